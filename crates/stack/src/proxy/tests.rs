//! What a proxy does to its connections in each weather.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener as Listener, TcpStream as Stream};
use std::thread;

use super::*;

/// A server that says everything twice, and a proxy in front of it.
fn echo() -> Proxy {
    let listener = Listener::bind(port::loopback(0)).expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("it can be accepted");
            thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&[byte[0], byte[0]]).is_ok() {}
            });
        }
    });
    Proxy::start(address).expect("a proxy starts")
}

fn call(proxy: &Proxy) -> Stream {
    let stream = Stream::connect(port::loopback(proxy.port())).expect("the proxy listens");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit can be set");
    stream
}

fn say(stream: &mut Stream, byte: u8) -> std::io::Result<[u8; 2]> {
    stream.write_all(&[byte])?;
    hear(stream)
}

fn hear(stream: &mut Stream) -> std::io::Result<[u8; 2]> {
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Waits long, for a machine that is busy.
fn patiently(stream: &mut Stream) -> &mut Stream {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit can be set");
    stream
}

#[test]
fn in_fair_weather_everything_arrives_and_an_end_is_an_end() {
    let proxy = echo();
    let mut stream = call(&proxy);
    assert_eq!(say(patiently(&mut stream), 7).expect("it answers"), [7, 7]);
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    assert_eq!(stream.read(&mut [0; 8]).expect("it ends"), 0);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_cut_resets_what_is_open_and_what_is_new_and_can_be_mended() {
    let proxy = echo();
    let mut open = call(&proxy);
    say(patiently(&mut open), 1).expect("it answers");
    proxy.set(Weather::Cut);
    assert_eq!(hear(&mut open).expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
    assert!(say(patiently(&mut call(&proxy)), 2).is_err());
    proxy.set(Weather::Fair);
    assert_eq!(say(patiently(&mut call(&proxy)), 3).expect("it answers"), [3, 3]);
}

#[test]
fn what_stalls_arrives_later() {
    let proxy = echo();
    let mut open = call(&proxy);
    say(patiently(&mut open), 1).expect("it answers");
    proxy.set(Weather::Stalled);
    open.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit can be set");
    assert_eq!(say(&mut open, 2).expect_err("nothing comes").kind(), ErrorKind::WouldBlock);
    let mut new = call(&proxy);
    assert_eq!(say(&mut new, 3).expect_err("nothing comes").kind(), ErrorKind::WouldBlock);
    proxy.set(Weather::Fair);
    assert_eq!(hear(patiently(&mut open)).expect("it comes"), [2, 2]);
    assert_eq!(hear(patiently(&mut new)).expect("it comes"), [3, 3]);
}

#[test]
fn a_slow_link_is_so_much_later_in_each_direction() {
    let proxy = echo();
    let mut stream = call(&proxy);
    proxy.set(Weather::Slow(Duration::from_millis(150)));
    let start = std::time::Instant::now();
    assert_eq!(say(patiently(&mut stream), 9).expect("it answers"), [9, 9]);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_deaf_caller_is_heard_and_its_connection_reset() {
    let proxy = echo();
    let mut stream = call(&proxy);
    say(patiently(&mut stream), 1).expect("it answers");
    proxy.set(Weather::Deaf);
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit can be set");
    assert_eq!(say(&mut stream, 2).expect_err("nothing comes").kind(), ErrorKind::WouldBlock);
    proxy.set(Weather::Fair);
    assert_eq!(hear(patiently(&mut stream)).expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_proxy_that_is_dropped_takes_its_connections_along() {
    let proxy = echo();
    let mut stream = call(&proxy);
    say(patiently(&mut stream), 1).expect("it answers");
    drop(proxy);
    assert_eq!(hear(&mut stream).expect_err("it is reset").kind(), ErrorKind::ConnectionReset);
}
