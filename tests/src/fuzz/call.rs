//! One call with whatever bytes, through a codec that knows no types.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tokio::time::timeout;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use super::Method;
use crate::bearer;

/// How long an answer may take: longer than any service takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the next message of a stream that need not have one is waited for.
const LULL: Duration = Duration::from_millis(20);
/// The most messages that are taken from a stream.
const MESSAGES: usize = 4;

/// What was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The bytes of each message: one, but for methods that take a stream.
    pub messages: Vec<Bytes>,
}

/// Makes a call, and answers the messages of its response, or the status that it failed with.
pub async fn call(channel: Channel, method: &Method, sent: &Sent) -> Result<Vec<Bytes>, Status> {
    call_as(channel, method, sent, None).await
}

/// The same, by the caller with this token.
pub async fn call_as(
    channel: Channel,
    method: &Method,
    sent: &Sent,
    token: Option<&str>,
) -> Result<Vec<Bytes>, Status> {
    let answer = timeout(PATIENCE, attempt(channel, method, sent, token)).await;
    answer.unwrap_or_else(|_| Err(Status::data_loss("there is no answer")))
}

async fn attempt(
    channel: Channel,
    method: &Method,
    sent: &Sent,
    token: Option<&str>,
) -> Result<Vec<Bytes>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::data_loss(format!("no connection: {error}")))?;
    let path = PathAndQuery::try_from(method.path.as_str()).expect("a method's path");
    let mut request = Request::new(stream::iter(sent.messages.clone()));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", bearer(token));
    }
    let answer = client.streaming(request, path, Raw).await?;
    let mut answers = answer.into_inner();
    let mut messages = Vec::new();
    while messages.len() < MESSAGES {
        let next = answers.next();
        // A stream may stay open for what is still to come.
        let next = if method.descriptor.is_server_streaming() && !messages.is_empty() {
            let Ok(next) = timeout(LULL, next).await else { break };
            next
        } else {
            next.await
        };
        match next {
            Some(message) => messages.push(message?),
            None => break,
        }
    }
    Ok(messages)
}

/// Bytes in, bytes out.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
