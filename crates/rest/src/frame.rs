//! Messages in gRPC's frames: a byte that says that they are not compressed, four with their length, and they.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use axum::body::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Version, header, request::Parts, uri::PathAndQuery};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use server::Address;
use tonic::body::Body;

/// How long a frame's head is.
const HEAD: usize = 5;
/// What is passed on of the caller's headers: how long it waits, which trace it is part of, what it calls its request, who it is.
const PASSED_ON: [HeaderName; 6] = [
    header::AUTHORIZATION,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("x-request-id"),
];

/// A gRPC call with this body, of who sent this.
pub(crate) fn request(call: &PathAndQuery, body: Body, caller: &Parts) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = call.clone().into();
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    for name in PASSED_ON {
        // All of them: what gRPC refuses, such as a second token, is refused here too.
        for value in caller.headers.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    if let Some(address) = caller.extensions.get::<Address>() {
        request.extensions_mut().insert(*address);
    }
    request
}

/// A message in its frame.
pub(crate) fn of(message: &DynamicMessage) -> Bytes {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(HEAD + length);
    frame.push(0);
    frame.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    message.encode(&mut frame).expect("a vector takes all there is");
    frame.into()
}

/// The message of a frame; `None` when it is no single, plain frame.
pub(crate) fn message(frame: &Bytes) -> Option<Bytes> {
    let (head, message) = frame.split_at_checked(HEAD)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0 && usize::try_from(length) == Ok(message.len())).then(|| frame.slice(HEAD..))
}
