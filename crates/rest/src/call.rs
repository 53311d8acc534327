//! Calls: a request that stands for an RPC goes into the gRPC stack before its body is read.
//!
//! Who calls, how often and within which time is looked at there before the body is awaited; and whether there is a place for the
//! call once it is there. Then the message is made of it, so that one that is bad ends its call, which the stack's span and
//! metrics tell.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{StatusCode, request::Parts};
use server::{Calls, Late};
use tonic::{Code, Status};

use crate::{answer, body, error::Refused, frame, request, route::Route, unsent::Answers};

/// How far the reading of a request came.
#[derive(Debug)]
enum Reading {
    UnderWay,
    Done,
    Refused(Refused),
}

/// The RPCs that there are, and how they are called.
#[derive(Debug)]
pub(crate) struct Rpcs {
    pub(crate) routes: Vec<Route>,
    pub(crate) calls: Calls,
    pub(crate) answers: Answers,
    pub(crate) max_body_bytes: usize,
}

/// Calls the RPC of a route, by its number.
pub(crate) async fn call(
    rpcs: &Arc<Rpcs>,
    route: usize,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    let limit = rpcs.max_body_bytes;
    // One that says that it is too large is not awaited.
    let too_large = body::is_too_large(&parts.headers, limit);
    let body = if too_large { Body::empty() } else { body };
    let request = frame::request(&rpcs.routes[route].call, tonic::body::Body::new(body), &parts);
    let reading = Arc::new(Mutex::new(Reading::UnderWay));
    let decode = {
        let (rpcs, reading) = (Arc::clone(rpcs), Arc::clone(&reading));
        move |body: Result<Bytes, Late>| {
            let body = if too_large { Err(Late::TooLarge(limit)) } else { body };
            note(
                &reading,
                body.map_err(Refused::from).and_then(|body| read(&rpcs.routes[route], &parts, &body)),
            )
        }
    };
    let response = rpcs.calls.upload(request, limit, decode).await;
    let reading =
        std::mem::replace(&mut *reading.lock().unwrap_or_else(PoisonError::into_inner), Reading::Done);
    match reading {
        Reading::Refused(refused) => Err(refused),
        Reading::UnderWay if answer::code(response.headers()) == Some(Code::DeadlineExceeded) => {
            let message = "the body did not arrive in time";
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message))
        }
        Reading::UnderWay | Reading::Done => answer::to(&rpcs.answers, &rpcs.routes[route], response).await,
    }
}

/// Makes the frame of a request's message.
fn read(route: &Route, parts: &Parts, body: &Bytes) -> Result<Bytes, Refused> {
    let values = route.template.matched(parts.uri.path()).unwrap_or_default();
    let json = body::json(&parts.headers, body)?;
    let query = parts.uri.query().unwrap_or_default();
    Ok(frame::of(&request::message(route, &values, query, json)?))
}

/// Keeps what was refused: the stack only learns its code.
fn note(reading: &Mutex<Reading>, read: Result<Bytes, Refused>) -> Result<Bytes, Status> {
    let (now, frame) = match read {
        Ok(frame) => (Reading::Done, Ok(frame)),
        Err(refused) => {
            let status = refused.status();
            (Reading::Refused(refused), Err(status))
        }
    };
    *reading.lock().unwrap_or_else(PoisonError::into_inner) = now;
    frame
}
