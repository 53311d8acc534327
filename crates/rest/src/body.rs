//! Bodies of requests: JSON, of a limited size, and not too much of it at once. Their time is that of the call.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

use crate::{error::Refused, json::Json};

/// The longest body that is taken to come with the head of its request, in bytes.
const SHORT: usize = 8 << 10;
/// What bodies that are being read may have together, in KiB: as JSON each takes several times the room of its text.
const ROOM_KIB: usize = 32 << 10;

/// Reads bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    limit: usize,
    room: Arc<Semaphore>,
}

/// A body, with the room that it takes.
#[derive(Debug)]
pub(crate) struct Given {
    /// Its content; `None` when there is no body.
    pub(crate) json: Option<Json>,
    /// Taken until the message is made.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Of so many bytes at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, room: Arc::new(Semaphore::new(ROOM_KIB)) }
    }

    /// Reads one.
    pub(crate) async fn read(&self, parts: &Parts, body: Body) -> Result<Given, Refused> {
        let announced = announced(&parts.headers);
        if announced == Some(0) || (announced.is_none() && http_body::Body::is_end_stream(&body)) {
            return Ok(Given { json: None, room: None });
        }
        if announced.is_some_and(|length| length > self.limit) {
            return Err(self.too_large());
        }
        let (bytes, room) = self.gather(body).await?;
        if bytes.is_empty() {
            return Ok(Given { json: None, room: None });
        }
        check_type(&parts.headers)?;
        let json = serde_json::from_slice(&bytes);
        let json = json.map_err(|error| malformed(format!("the body is not JSON: {error}")))?;
        Ok(Given { json: Some(json), room: Some(room) })
    }

    /// All of a body, with room for what has arrived: who is slow, or only announces much, takes nothing from others.
    async fn gather(&self, mut body: Body) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refused> {
        let (mut bytes, mut room) = (Vec::new(), self.take(0)?);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| malformed("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            let (before, after) = (bytes.len(), bytes.len() + data.len());
            if after > self.limit {
                return Err(self.too_large());
            }
            room.merge(self.take(after.div_ceil(1 << 10) - before.div_ceil(1 << 10))?);
            bytes.extend_from_slice(&data);
        }
        Ok((bytes, room))
    }

    fn take(&self, kib: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| api::overloaded().into())
    }

    fn too_large(&self) -> Refused {
        let message = format!("the body is larger than {} bytes", self.limit);
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, message)
    }
}

/// Whether a request's body is so short that it has come with the head, or there is none.
pub(crate) fn is_short(request: &Request<Body>) -> bool {
    match announced(request.headers()) {
        Some(length) => length <= SHORT,
        None => http_body::Body::is_end_stream(request.body()),
    }
}

/// The length that the headers announce.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// JSON in UTF-8, which is the only one that there is (RFC 8259).
fn check_type(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    if is_json && parts.all(is_utf8) {
        return Ok(());
    }
    let message = "the body must be application/json, in UTF-8";
    Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message))
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bodies: &Bodies, kind: &str, content: &'static str) -> Result<Option<Json>, u16> {
        let request = Request::post("/").header("content-type", kind).body(Body::from(content)).unwrap();
        let (parts, body) = request.into_parts();
        let given = bodies.read(&parts, body).await;
        given.map(|given| given.json).map_err(|refused| refused.into_response().status().as_u16())
    }

    #[tokio::test]
    async fn a_body_is_json_and_nothing_else() {
        let bodies = Bodies::new(16);
        assert_eq!(read(&bodies, "application/json", "{}").await, Ok(Some(Json::Object(vec![]))));
        assert_eq!(
            read(&bodies, "Application/JSON; charset=\"UTF-8\"", "1").await,
            Ok(Some(Json::Number(1.into())))
        );
        assert_eq!(read(&bodies, "application/json", "{").await, Err(400));
        for kind in ["", "text/plain", "application/json; charset=latin1", "application/jsonp"] {
            assert_eq!(read(&bodies, kind, "{}").await, Err(415), "{kind}");
        }
        assert_eq!(read(&bodies, "text/plain", "").await, Ok(None));
    }

    #[tokio::test]
    async fn a_body_has_a_limit_and_so_have_all_together() {
        let bodies = Bodies::new(16);
        assert_eq!(read(&bodies, "application/json", "[1,2,3,4,5,6,7]").await.map(|_| ()), Ok(()));
        assert_eq!(read(&bodies, "application/json", "[1,2,3,4,5,6,7,8]").await, Err(413));
        let _all = Arc::clone(&bodies.room).try_acquire_many_owned(u32::try_from(ROOM_KIB).unwrap()).unwrap();
        assert_eq!(read(&bodies, "application/json", "{}").await, Err(429));
    }

    #[tokio::test]
    async fn who_announces_much_and_sends_nothing_takes_no_room() {
        let bodies = Bodies::new(1 << 20);
        let request = Request::post("/").header("content-length", 1 << 20);
        let silent = Body::from_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>());
        let (parts, body) = request.body(silent).unwrap().into_parts();
        let mut reading = std::pin::pin!(bodies.read(&parts, body));
        assert!(futures::poll!(&mut reading).is_pending());
        assert_eq!(bodies.room.available_permits(), ROOM_KIB);
    }
}
