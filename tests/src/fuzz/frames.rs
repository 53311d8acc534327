//! What is wrong below the messages: requests, frames and bytes that no gRPC client would send.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use prost::bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{body::Body, codegen::Service as _, transport::Channel};

use crate::Dice;

/// The start of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long an answer is waited for that need not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a request that is HTTP/2, but hardly gRPC. Answers its gRPC status, or else what HTTP said; an error where the
/// connection was closed over it, which is as good an answer.
pub async fn frame(mut channel: Channel, path: &str, body: &[u8], dice: &mut Dice) -> Result<String, String> {
    let headers = headers(dice);
    let path = match dice.below(8) {
        0 => "/holdfast.catalog.v1.CatalogService/NoSuchMethod".to_owned(),
        1 => (dice.word(&["/", "/a", "/a/b/c", "/%00/%ff", "/metrics"])).to_owned(),
        _ => path.to_owned(),
    };
    let mut request = Request::post(path).body(Body::new(Full::new(framed(body, dice)))).expect("a request");
    request.headers_mut().extend(headers);
    let call = async {
        std::future::poll_fn(|cx| channel.poll_ready(cx)).await.map_err(|error| error.to_string())?;
        channel.call(request).await.map_err(|error| error.to_string())
    };
    let response = timeout(PATIENCE, call).await.map_err(|_| "no answer")??;
    let status = |headers: &HeaderMap| Some(headers.get("grpc-status")?.to_str().ok()?.to_owned());
    if response.status() != StatusCode::OK {
        return Ok(format!("HTTP {}", response.status()));
    }
    Ok(status(response.headers()).unwrap_or_else(|| "in its trailers".to_owned()))
}

/// Some bad header fields among the usual ones.
fn headers(dice: &mut Dice) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("te", "trailers");
    let types = [
        "application/grpc",
        "application/grpc",
        "application/grpc+proto",
        "text/plain",
        "application/json",
        "",
    ];
    set("content-type", dice.word(&types));
    let timeouts = ["", "5", "99999999999S", "-1S", "1n", "0u", "S", "1e3m", "99999999H", "NaNS"];
    if dice.chance(400) {
        set("grpc-timeout", dice.word(&timeouts));
    }
    if dice.chance(300) {
        set("grpc-encoding", dice.word(&["gzip", "identity", "zstd", "nonsense", ""]));
    }
    if dice.chance(200) {
        set(
            "traceparent",
            dice.word(&["00-0-0-00", "ff-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff", "\t"]),
        );
    }
    if dice.chance(200) {
        set("x-huge", &"h".repeat(1 << dice.below(15)));
    }
    if dice.chance(200) {
        set("x-bin-bin", "not base64!");
    }
    headers
}

/// A message in a frame with a flag and a length that may lie.
fn framed(body: &[u8], dice: &mut Dice) -> Bytes {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let flag = *dice.pick(&[0, 0, 0, 1, 2, 0xff]);
    let said = match dice.below(6) {
        0 => len.wrapping_add(1),
        1 => len.wrapping_sub(1),
        2 => u32::MAX,
        3 => 5 << 20,
        _ => len,
    };
    let mut frame = [&[flag][..], &said.to_be_bytes(), body].concat();
    match dice.below(8) {
        0 => frame.truncate(dice.below(frame.len() + 1)),
        1 => frame.extend_from_slice(&frame.clone()),
        2 => frame.clear(),
        _ => {}
    }
    frame.into()
}

/// Opens a connection, writes whatever, perhaps slowly, perhaps reads, and leaves.
pub async fn raw_bytes(to: SocketAddr, dice: &mut Dice) {
    let Ok(mut stream) = TcpStream::connect(to).await else { panic!("nobody listens on {to}") };
    let noise = dice.below(400);
    let noise = dice.bytes(noise);
    let bytes = match dice.below(8) {
        0 => Vec::new(),
        1 => PREFACE[..dice.below(PREFACE.len())].to_vec(),
        2 => [PREFACE, &noise].concat(),
        // An empty SETTINGS frame, then frames of chance types; a frame of the greatest length.
        3 => [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0], &noise].concat(),
        4 => [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 1, 4, 0, 0, 0, 1], &noise].concat(),
        5 => b"GET /readyz HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
        6 => [b"\x16\x03\x01\x02\x00\x01\x00", &noise[..]].concat(),
        _ => noise,
    };
    let half = if dice.chance(300) { bytes.len() / 2 } else { bytes.len() };
    // Whoever listens may close at any time.
    let _ = stream.write_all(&bytes[..half]).await;
    tokio::time::sleep(Duration::from_millis(if half < bytes.len() { 5 } else { 0 })).await;
    let _ = stream.write_all(&bytes[half..]).await;
    if dice.chance(500) {
        let mut answer = [0; 256];
        let _ = timeout(Duration::from_millis(20), stream.read(&mut answer)).await;
    }
}
