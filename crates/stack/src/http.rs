//! Just enough of HTTP/1.1 (RFC 9112) to ask a service on this machine for its health or its metrics.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ClientConfig;

use crate::secured::secure;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, without its transfer coding where it is not chunked.
    pub body: String,
}

/// Gets a path from a server, within 2 seconds.
pub fn get(server: SocketAddr, path: &str) -> Result<Answer> {
    ask(connect(server)?, server, path)
}

/// Gets a path from a server that speaks TLS, within 2 seconds for each step.
pub(crate) fn get_secured(config: &Arc<ClientConfig>, server: SocketAddr, path: &str) -> Result<Answer> {
    ask(secure(config, connect(server)?)?, server, path)
}

fn connect(server: SocketAddr) -> Result<TcpStream> {
    let limit = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&server, limit).context("connect")?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(stream)
}

fn ask(mut stream: impl Read + Write, server: SocketAddr, path: &str) -> Result<Answer> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n").context("ask")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read the answer")?;
    parse(&String::from_utf8_lossy(&bytes)).context("the answer is not HTTP")
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_body() {
        let answer =
            parse("HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno").expect("is HTTP");
        assert_eq!(answer, Answer { status: 503, body: "no".to_owned() });
        assert_eq!(parse("nonsense"), None);
    }
}
