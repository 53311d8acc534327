//! One caller: sends messages that are encoded already, and takes answers as they come.

use bytes::{Buf, BufMut, Bytes};
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// What a caller shows of who it is.
pub type Token = AsciiMetadataValue;

/// The value of the header that shows this token.
///
/// # Errors
/// It has characters that no header may have.
pub fn bearer(token: &str) -> anyhow::Result<Token> {
    Ok(MetadataValue::try_from(format!("Bearer {token}"))?)
}

/// A request with what is shown of who makes it.
#[must_use]
pub fn request<T>(message: T, token: Option<&Token>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert(AUTHORIZATION.as_str(), token.clone());
    }
    request
}

/// A client of one connection.
#[derive(Debug)]
pub struct Caller {
    grpc: Grpc<Channel>,
    token: Option<Token>,
}

impl Caller {
    pub(super) fn new(channel: Channel) -> Self {
        Self { grpc: Grpc::new(channel), token: None }
    }

    /// Shows this with its calls from now on.
    pub fn show(&mut self, token: Option<&Token>) {
        self.token = token.cloned();
    }

    /// Makes one call, and answers the message that came back.
    pub async fn call(&mut self, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = request(message, self.token.as_ref());
        let answer = self.grpc.unary(request, PathAndQuery::from_static(path), RawCodec);
        Ok(answer.await?.into_inner())
    }
}

/// Passes messages on as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
