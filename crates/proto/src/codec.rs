//! How messages become bytes: as tonic-prost does it, with small buffers.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as TonicCodec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a buffer begins with, in bytes: enough for a booking. Larger messages make it grow, by doubling. tonic's 8 KiB, twice
/// for each call, are more than an allocator keeps at hand.
const BUFFER: usize = 1 << 10;
/// A stream of messages is sent whenever so many bytes have gathered: tonic's own setting.
const YIELD: usize = 32 << 10;

/// The codec of all services and clients.
#[derive(Clone, Debug)]
pub(crate) struct Codec<Encode, Decode>(PhantomData<(Encode, Decode)>);

impl<Encode, Decode> Default for Codec<Encode, Decode> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Encode, Decode> TonicCodec for Codec<Encode, Decode>
where
    Encode: Message + Send + 'static,
    Decode: Message + Default + Send + 'static,
{
    type Encode = Encode;
    type Decode = Decode;
    type Encoder = ProstEncoder<Encode>;
    type Decoder = ProstDecoder<Decode>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Encode, Decode>::raw_encoder(BufferSettings::new(BUFFER, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Encode, Decode>::raw_decoder(BufferSettings::new(BUFFER, YIELD))
    }
}
