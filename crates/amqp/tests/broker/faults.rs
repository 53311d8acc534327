//! The broker goes, stalls and comes back; each test has a node of its own.

use std::time::{Duration, Instant};

use amqp::{Broker, Error, LinkState, Message, Route, topology};
use stack::RabbitMq;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::bench::{PATIENCE, config, down, timer};

const LANE: Duration = Duration::from_secs(1);

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn due(number: u128) -> [Message; 1] {
    [Message::timer(Route::Due, &[timer(number, LANE)], None)]
}

/// Killed with what it has confirmed, it has it when it is back, and everything goes on without anybody's help.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_comes_back_with_what_it_confirmed() {
    let node = blocking(|| RabbitMq::temporary().unwrap()).await;
    let broker = Broker::start("test", &config(&node.url()), CancellationToken::new()).unwrap();
    timeout(PATIENCE, broker.up()).await.unwrap();
    let mut publisher = broker.publisher();
    let mut deliveries = broker.consume(topology::DUE, 10).await.unwrap();
    publisher.publish(&[Message::timer(Route::Lane(LANE), &[timer(1, LANE)], None)]).await.unwrap();

    node.kill();
    assert!(timeout(PATIENCE, deliveries.next()).await.unwrap().is_none());
    down(&broker).await;
    assert!(matches!(publisher.publish(&due(2)).await, Err(Error::Down(_))));
    assert!(matches!(broker.consume(topology::DUE, 10).await, Err(Error::Down(_))));

    let _node = blocking(move || node.restart().map(|()| node).unwrap()).await;
    timeout(PATIENCE, broker.up()).await.unwrap();
    let mut deliveries = broker.consume(topology::DUE, 10).await.unwrap();
    let kept = timeout(PATIENCE, deliveries.next()).await.unwrap().unwrap();
    assert_eq!(kept.timers().unwrap()[0].key, timer(1, LANE).key);
    publisher.publish(&due(2)).await.unwrap();
}

/// A broker that does not answer costs a limited time, and the messages stay with the caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stalls_is_not_waited_for_without_end() {
    let node = blocking(|| RabbitMq::temporary().unwrap()).await;
    let broker = Broker::start("test", &config(&node.url()), CancellationToken::new()).unwrap();
    timeout(PATIENCE, broker.up()).await.unwrap();
    let mut publisher = broker.publisher();
    publisher.publish(&due(1)).await.unwrap();

    node.freeze();
    let consuming = tokio::spawn({
        let broker = broker.clone();
        async move { broker.consume(topology::DUE, 1).await.map(drop) }
    });
    let asked = Instant::now();
    let failed = publisher.publish(&due(2)).await;
    assert!(matches!(failed, Err(Error::Timeout(_))), "{failed:?}");
    assert!(asked.elapsed() < Duration::from_secs(8));
    let consumed = timeout(PATIENCE, consuming).await.expect("it is given up").unwrap();
    assert!(matches!(consumed, Err(Error::Timeout(_))), "{consumed:?}");
    node.thaw();
    let again = async {
        while let Err(error) = publisher.publish(&due(2)).await {
            assert!(!matches!(error, Error::Unroutable { .. } | Error::Refused), "{error:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("it goes on");
}

/// Short of memory, a broker stops reading from who publishes. It says so, and nobody queues up behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_gets_no_more_messages() {
    let node = blocking(|| RabbitMq::temporary().unwrap()).await;
    let broker = Broker::start("test", &config(&node.url()), CancellationToken::new()).unwrap();
    timeout(PATIENCE, broker.up()).await.unwrap();
    let mut publisher = broker.publisher();
    publisher.publish(&due(1)).await.unwrap();

    let limit = |node: RabbitMq, limit: &'static str| {
        blocking(move || {
            node.control("rabbitmqctl", &["set_vm_memory_high_watermark", limit]).unwrap();
            node
        })
    };
    let node = limit(node, "0.000001").await;
    let blocked = async { while !matches!(publisher.publish(&due(2)).await, Err(Error::Blocked)) {} };
    timeout(PATIENCE, blocked).await.expect("the broker says that it is blocked");
    let _node = limit(node, "0.9").await;
    let again = async { while publisher.publish(&due(2)).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_yet_is_found_when_it_comes() {
    let home = blocking(|| stack::Home::temporary("late-rabbitmq").unwrap()).await;
    let port = stack::port::free().unwrap();
    let url = format!("amqp://127.0.0.1:{port}");
    let broker = Broker::start("test", &config(&url), CancellationToken::new()).unwrap();
    down(&broker).await;
    assert!(matches!(broker.publisher().publish(&due(1)).await, Err(Error::Down(_))));
    let options = stack::RabbitMqOptions { port: Some(port), tls: None };
    let _node = blocking(move || RabbitMq::start(&home, options).unwrap()).await;
    timeout(PATIENCE, broker.up()).await.expect("the broker is found");
    broker.publisher().publish(&due(1)).await.unwrap();
}

/// Who accepts and never answers is given up, and tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_speaks_is_given_up_and_tried_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", silent.local_addr().unwrap());
    let _broker = Broker::start("test", &config(&url), CancellationToken::new()).unwrap();
    let mut accepted = Vec::new();
    for _ in 0..2 {
        accepted.push(timeout(PATIENCE, silent.accept()).await.expect("it tries again").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_ends_when_it_is_told_to() {
    let node = blocking(|| RabbitMq::temporary().unwrap()).await;
    let stop = CancellationToken::new();
    let broker = Broker::start("test", &config(&node.url()), stop.clone()).unwrap();
    timeout(PATIENCE, broker.up()).await.unwrap();
    stop.cancel();
    let mut state = broker.state();
    let ended = async { while state.changed().await.is_ok() {} };
    timeout(PATIENCE, ended).await.expect("it ends");
    assert!(matches!(broker.publisher().publish(&due(1)).await, Err(Error::Down(_))));
    assert_eq!(*broker.state().borrow(), LinkState::Down("stopped".to_owned()));
}
