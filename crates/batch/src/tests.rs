//! What a batcher promises, with batches that wait for a gate instead of a clock.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{BatchLimits, Batcher, SubmitError};

/// A batcher that doubles numbers, one batch per permit of the gate, and notes its batches.
struct Gated {
    batcher: Batcher<u64, u64>,
    gate: Arc<Semaphore>,
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
}

fn gated(limits: BatchLimits) -> Gated {
    let gate = Arc::new(Semaphore::new(0));
    let noted = Arc::new(Mutex::new(Vec::new()));
    let (inner_gate, inner_batches) = (Arc::clone(&gate), Arc::clone(&noted));
    let batcher = Batcher::start("test", limits, move |numbers: Vec<u64>| {
        let (gate, batches) = (Arc::clone(&inner_gate), Arc::clone(&inner_batches));
        async move {
            batches.lock().unwrap().push(numbers.clone());
            gate.acquire().await.unwrap().forget();
            assert!(!numbers.contains(&666), "a poisoned batch");
            numbers.into_iter().map(|number| number * 2).collect()
        }
    });
    Gated { batcher, gate, batches: noted }
}

impl Gated {
    fn submit(&self, number: u64) -> tokio::task::JoinHandle<Result<u64, SubmitError>> {
        let batcher = self.batcher.clone();
        tokio::spawn(async move { batcher.submit(number).await })
    }

    async fn until_batches(&self, count: usize) {
        while self.batches.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn until_waiting(&self, count: usize) {
        while self.batcher.queue.max_capacity() - self.batcher.queue.capacity() < count {
            tokio::task::yield_now().await;
        }
    }
}

const LIMITS: BatchLimits =
    BatchLimits { max_batch: 8, queue: 16, in_flight: 1, beside: 1, max_wait: Duration::MAX };

#[tokio::test]
async fn requests_that_come_while_a_batch_runs_go_together() {
    let gated = gated(LIMITS);
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let later: Vec<_> = (2..=5).map(|number| gated.submit(number)).collect();
    gated.until_waiting(4).await;
    gated.gate.add_permits(2);
    assert_eq!(first.await.unwrap(), Ok(2));
    for (number, task) in (2..=5).zip(later) {
        assert_eq!(task.await.unwrap(), Ok(number * 2));
    }
    assert_eq!(*gated.batches.lock().unwrap(), vec![vec![1], vec![2, 3, 4, 5]]);
}

#[tokio::test]
async fn a_batch_begins_beside_another_only_when_enough_waits_for_it() {
    let gated = gated(BatchLimits { in_flight: 2, beside: 3, ..LIMITS });
    let mut tasks = vec![gated.submit(1)];
    gated.until_batches(1).await;
    tasks.extend([gated.submit(2), gated.submit(3)]);
    gated.until_waiting(2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*gated.batches.lock().unwrap(), [[1]]);
    tasks.push(gated.submit(4));
    gated.until_batches(2).await;
    assert_eq!(*gated.batches.lock().unwrap(), [vec![1], vec![2, 3, 4]]);
    // With none beside it, a batch begins with whatever there is.
    gated.gate.add_permits(2);
    tasks.push(gated.submit(5));
    gated.until_batches(3).await;
    gated.gate.add_permits(1);
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn few_do_not_wait_for_long_behind_a_batch_that_does_not_end() {
    let gated = gated(BatchLimits { in_flight: 2, beside: 3, ..LIMITS });
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let second = gated.submit(2);
    gated.until_batches(2).await;
    gated.gate.add_permits(2);
    assert!(first.await.unwrap().is_ok());
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let gated = gated(BatchLimits { queue: 2, ..LIMITS });
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let waiting = [gated.submit(2), gated.submit(3)];
    gated.until_waiting(2).await;
    assert_eq!(gated.batcher.submit(4).await, Err(SubmitError::QueueFull));
    gated.gate.add_permits(2);
    assert_eq!(first.await.unwrap(), Ok(2));
    for task in waiting {
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_dropped() {
    let gated = gated(LIMITS);
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let gone = gated.submit(2);
    gated.until_waiting(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let stays = gated.submit(3);
    gated.until_waiting(2).await;
    gated.gate.add_permits(2);
    assert!(first.await.unwrap().is_ok());
    assert_eq!(stays.await.unwrap(), Ok(6));
    assert_eq!(*gated.batches.lock().unwrap(), vec![vec![1], vec![3]]);
}

#[tokio::test]
async fn a_batch_that_panics_takes_only_its_own_requests() {
    let gated = gated(LIMITS);
    let poisoned = gated.submit(666);
    gated.until_batches(1).await;
    let next = gated.submit(2);
    gated.gate.add_permits(2);
    assert_eq!(poisoned.await.unwrap(), Err(SubmitError::Abandoned));
    assert_eq!(next.await.unwrap(), Ok(4));
}

/// A batcher whose batches are known to take an hour, with one under way and another, full, waiting.
async fn slow(limits: BatchLimits) -> (Gated, Vec<tokio::task::JoinHandle<Result<u64, SubmitError>>>) {
    let gated = gated(BatchLimits { max_batch: 2, ..limits });
    gated.batcher.pace.took(Duration::from_hours(1));
    let mut tasks = vec![gated.submit(1)];
    gated.until_batches(1).await;
    // Two find no full batch ahead of them, however long a batch takes.
    tasks.extend([gated.submit(2), gated.submit(3)]);
    gated.until_waiting(2).await;
    (gated, tasks)
}

async fn finish(gated: Gated, tasks: Vec<tokio::task::JoinHandle<Result<u64, SubmitError>>>) {
    gated.gate.add_permits(10);
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_at_once() {
    let (gated, mut tasks) = slow(BatchLimits { max_wait: Duration::from_mins(59), ..LIMITS }).await;
    assert_eq!(gated.batcher.submit(4).await, Err(SubmitError::QueueFull));
    tasks.push({
        gated.batcher.pace.took(Duration::ZERO);
        gated.submit(5)
    });
    finish(gated, tasks).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_by_its_deadline_is_refused_at_once() {
    let (gated, mut tasks) = slow(LIMITS).await;
    let now = Instant::now();
    let in_time = now + Duration::from_hours(3);
    assert_eq!(
        gated.batcher.submit_by(4, 1, Some(now + Duration::from_mins(119))).await,
        Err(SubmitError::QueueFull)
    );
    let batcher = gated.batcher.clone();
    tasks.push(tokio::spawn(async move { batcher.submit_by(5, 1, Some(in_time)).await }));
    finish(gated, tasks).await;
}

#[tokio::test]
async fn nothing_is_done_for_a_request_whose_deadline_passed_while_it_waited() {
    let gated = gated(LIMITS);
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let (batcher, deadline) = (gated.batcher.clone(), Instant::now() + Duration::from_millis(1));
    let late = tokio::spawn(async move { batcher.submit_by(2, 1, Some(deadline)).await });
    gated.until_waiting(1).await;
    let next = gated.submit(3);
    gated.until_waiting(2).await;
    while Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    gated.gate.add_permits(2);
    assert_eq!(late.await.unwrap(), Err(SubmitError::QueueFull));
    assert_eq!((first.await.unwrap(), next.await.unwrap()), (Ok(2), Ok(6)));
    assert_eq!(*gated.batches.lock().unwrap(), vec![vec![1], vec![3]]);
}

#[tokio::test]
async fn a_batch_weighs_no_more_than_it_may_and_what_weighs_more_goes_alone() {
    let gated = gated(LIMITS);
    let first = gated.submit(1);
    gated.until_batches(1).await;
    let mut tasks = Vec::new();
    for (i, weight) in [5, 3, 1, 20, 8, 2].into_iter().enumerate() {
        let (batcher, number) = (gated.batcher.clone(), 10 + i as u64);
        tasks.push(tokio::spawn(async move { batcher.submit_by(number, weight, None).await }));
        gated.until_waiting(i + 1).await;
    }
    gated.gate.add_permits(10);
    assert!(first.await.unwrap().is_ok());
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(
        *gated.batches.lock().unwrap(),
        vec![vec![1], vec![10, 11], vec![12], vec![13], vec![14], vec![15]]
    );
    assert_eq!(gated.batcher.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_weighs_much_makes_the_queue_long_and_what_is_given_up_does_not() {
    let gated = gated(BatchLimits { max_wait: Duration::from_mins(59), ..LIMITS });
    let first = gated.submit(1);
    gated.until_batches(1).await;
    gated.batcher.pace.took(Duration::from_hours(1));
    let batcher = gated.batcher.clone();
    let heavy = tokio::spawn(async move { batcher.submit_by(2, 8, None).await });
    gated.until_waiting(1).await;
    assert_eq!(gated.batcher.submit(3).await, Err(SubmitError::QueueFull));
    heavy.abort();
    gated.gate.add_permits(2);
    assert_eq!(first.await.unwrap(), Ok(2));
    while gated.batcher.waiting.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gated.batcher.submit(4).await, Ok(8));
}
