//! Replicas of one service: calls go to each, and follow the addresses that names have.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use server::{Channel, Lookup};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::running::{PATIENCE, Running, call, end, start, start_at};

/// A directory that a test writes: what it has for every name, if anything.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Names {
    fn have(&self, replicas: &[&Running]) {
        *self.0.lock().unwrap() = Some(replicas.iter().map(|running| running.grpc).collect());
    }

    fn fail(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn lookup(&self) -> Lookup {
        let names = self.clone();
        Arc::new(move |_, _| {
            let found = names.0.lock().unwrap().clone();
            Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
        })
    }

    fn channel(&self) -> Channel {
        server::channel_by("http://catalog:50051", PATIENCE, self.lookup()).unwrap()
    }
}

async fn try_to_call(channel: &Channel) -> Result<(), Code> {
    call(channel.clone(), "/test.Test/Wait", None).await.map_err(|status| status.code())
}

/// Whether of so many calls each replica gets its share, exactly.
async fn are_shared(channel: &Channel, replicas: &[&Running]) -> bool {
    const EACH: usize = 3;
    let count = || replicas.iter().map(|running| running.calls.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let before = count();
    for _ in 0..EACH * replicas.len() {
        try_to_call(channel).await.unwrap();
    }
    count().iter().zip(before).all(|(after, before)| *after == before + EACH)
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes true in time");
}

async fn two() -> (Running, Running) {
    let (first, second) = (start_at("127.0.0.1").await, start_at("127.0.0.2").await);
    for running in [&first, &second] {
        running.answer.send_replace(true);
    }
    (first, second)
}

#[tokio::test]
async fn calls_follow_the_addresses_of_a_name() {
    let (first, second) = two().await;
    let names = Names::default();
    names.have(&[&first]);
    let channel = names.channel();
    assert!(are_shared(&channel, &[&first]).await);
    // A new one is found, without any call having failed.
    names.have(&[&second, &first]);
    eventually(async || are_shared(&channel, &[&first, &second]).await).await;
    // One that is gone from the directory gets no more calls, though it would answer them.
    names.have(&[&second]);
    eventually(async || are_shared(&channel, &[&second]).await).await;
    let answered = first.calls.load(Ordering::Relaxed);
    assert!(are_shared(&channel, &[&second]).await);
    assert_eq!(first.calls.load(Ordering::Relaxed), answered);
    end(first).await;
    end(second).await;
}

/// As after a rollout: nothing is where it was.
#[tokio::test]
async fn calls_that_reach_no_one_have_the_name_looked_up_anew() {
    let (first, second) = two().await;
    let names = Names::default();
    names.have(&[&first]);
    let channel = names.channel();
    try_to_call(&channel).await.unwrap();
    names.have(&[&second]);
    end(first).await;
    eventually(async || try_to_call(&channel).await.is_ok()).await;
    assert!(are_shared(&channel, &[&second]).await);
    end(second).await;
}

#[tokio::test]
async fn what_was_found_stays_while_lookups_fail() {
    let (first, second) = two().await;
    let names = Names::default();
    names.have(&[&first, &second]);
    let channel = names.channel();
    assert!(are_shared(&channel, &[&first, &second]).await);
    names.fail();
    end(first).await;
    // Calls that fail at the first have the name looked up again, to no avail.
    for _ in 0..10 {
        try_to_call(&channel).await.unwrap();
    }
    assert!(are_shared(&channel, &[&second]).await);
    end(second).await;
}

#[tokio::test]
async fn a_service_without_an_address_is_unavailable_until_it_has_one() {
    let (first, second) = two().await;
    let names = Names::default();
    let channel = names.channel();
    assert_eq!(try_to_call(&channel).await, Err(Code::Unavailable));
    names.have(&[]);
    assert_eq!(try_to_call(&channel).await, Err(Code::Unavailable));
    names.have(&[&first]);
    eventually(async || try_to_call(&channel).await.is_ok()).await;
    end(first).await;
    end(second).await;
}

/// By the system's own lookup. On most machines it has two addresses, and at one of them nobody listens.
#[tokio::test]
async fn localhost_is_a_name_as_any_other() {
    let running = start().await;
    running.answer.send_replace(true);
    let url = format!("http://localhost:{}", running.grpc.port());
    let channel = server::channel(&url, PATIENCE).unwrap();
    for _ in 0..10 {
        try_to_call(&channel).await.unwrap();
    }
    assert_eq!(running.calls.load(Ordering::Relaxed), 10);
    end(running).await;
}

#[tokio::test]
async fn calls_go_to_another_replica_when_one_is_gone() {
    let (first, second) = (start().await, start().await);
    let urls = format!("{}, {}", first.url, second.url);
    let channel = server::channel(&urls, PATIENCE).unwrap();
    for running in [&first, &second] {
        running.answer.send_replace(true);
    }
    for _ in 0..4 {
        call(channel.clone(), "/test.Test/Wait", None).await.unwrap();
    }
    end(first).await;
    for _ in 0..10 {
        call(channel.clone(), "/test.Test/Wait", None).await.unwrap();
    }
    end(second).await;
    assert_eq!(call(channel, "/test.Test/Wait", None).await.unwrap_err().code(), Code::Unavailable);
}
