//! Calls: a request that stands for an RPC goes into the gRPC stack before its body is read.
//!
//! What is admitted there, and within which deadline, counts what is read here: a body that nobody let in is not read, and one
//! that is slow, or bad, ends its call, which the stack's span and metrics tell.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures::stream;
use http::{StatusCode, request::Parts};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::{Code, Status};

use crate::{answer, edge::Edge, error::Refused, frame, request};

/// How far the reading of a request came.
#[derive(Debug)]
enum Reading {
    UnderWay,
    Done,
    Refused(Refused),
}

/// Calls the RPC of a route, by its number.
pub(crate) async fn call(
    edge: &Arc<Edge>,
    route: usize,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    let path = edge.routes[route].call.clone();
    let headers = parts.headers.clone();
    let reading = Arc::new(Mutex::new(Reading::UnderWay));
    let message = {
        let (edge, reading) = (Arc::clone(edge), Arc::clone(&reading));
        async move { note(&reading, read(&edge, route, &parts, body).await) }
    };
    let message = tonic::body::Body::new(StreamBody::new(stream::once(message)));
    let response = edge.calls.call(frame::request(&path, message, &headers)).await;
    let reading =
        std::mem::replace(&mut *reading.lock().unwrap_or_else(PoisonError::into_inner), Reading::Done);
    match reading {
        Reading::Refused(refused) => Err(refused),
        Reading::UnderWay if answer::code(response.headers()) == Some(Code::DeadlineExceeded) => {
            let message = "the body did not arrive in time";
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message))
        }
        Reading::UnderWay | Reading::Done => Ok(answer::to(&edge.routes[route], response).await),
    }
}

/// Reads a request, and makes the frame of its message.
async fn read(edge: &Edge, route: usize, parts: &Parts, body: Body) -> Result<Bytes, Refused> {
    let route = &edge.routes[route];
    let values = route.template.matched(parts.uri.path()).unwrap_or_default();
    let given = edge.bodies.read(parts, body).await?;
    let query = parts.uri.query().unwrap_or_default();
    let message = request::message(route, &values, query, given.json)?;
    let frame = frame::of(&message);
    drop(given.room);
    Ok(frame)
}

/// Keeps what was refused: the stack only learns its code.
fn note(reading: &Mutex<Reading>, read: Result<Bytes, Refused>) -> Result<Frame<Bytes>, Status> {
    let (now, frame) = match read {
        Ok(frame) => (Reading::Done, Ok(Frame::data(frame))),
        Err(refused) => {
            let status = refused.status();
            (Reading::Refused(refused), Err(status))
        }
    };
    *reading.lock().unwrap_or_else(PoisonError::into_inner) = now;
    frame
}
