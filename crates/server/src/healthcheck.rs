//! Asking a service that runs on this machine how it is, over its own HTTP port: for containers, where there is no curl.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::tls;

/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// An answer is shorter.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Asks the service that listens for HTTP on this address, whichever of the machine's it is, whether it is ready; or, `live`, only
/// whether it runs. `secured`: it speaks TLS there. Answers what it says.
///
/// # Errors
/// It is not, or does not answer in time.
pub(crate) async fn healthcheck(
    http_listen: SocketAddr,
    secured: bool,
    live: bool,
) -> anyhow::Result<String> {
    let address = SocketAddr::new(reachable(http_listen.ip()), http_listen.port());
    let path = if live { "/livez" } else { "/readyz" };
    let answer = timeout(LIMIT, ask(address, secured, path))
        .await
        .with_context(|| format!("{address} did not answer within {} s", LIMIT.as_secs()))?
        .with_context(|| format!("{address} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split_ascii_whitespace().nth(1).context("the answer is not HTTP")?;
    ensure!(status == "200", "not ready: {}", body.trim_end());
    ensure!(is_ours(body, live), "somebody else answers at {address}");
    Ok(body.trim_end().to_owned())
}

/// Whether this is what a service of Holdfast's says: there may be another program at its address.
fn is_ours(body: &str, live: bool) -> bool {
    if live {
        return body == "ok\n";
    }
    let answer: Result<Value, _> = serde_json::from_str(body);
    answer.is_ok_and(|answer| answer["ready"] == true && answer["parts"].is_object())
}

/// Where one that listens on all addresses is reached.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

async fn ask(address: SocketAddr, secured: bool, path: &str) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if secured {
        return talk(tls::unverified(address, stream).await?, address, path).await;
    }
    talk(stream, address, path).await
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    path: &str,
) -> anyhow::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    match String::from_utf8(answer) {
        Ok(answer) => Ok(answer),
        Err(_) => bail!("the answer is not text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_another_program_is_not_taken_for_that_of_a_service() {
        assert!(is_ours("ok\n", true) && is_ours(r#"{"ready":true,"parts":{}}"#, false));
        for body in ["", "ok", "<html></html>", "{}", r#"{"ready":true}"#] {
            assert!(!is_ours(body, true) && !is_ours(body, false), "{body}");
        }
    }

    #[test]
    fn one_that_listens_everywhere_is_asked_over_loopback() {
        for (listen, asked) in [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7")] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
