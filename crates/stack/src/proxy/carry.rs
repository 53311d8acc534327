//! One connection through a proxy: two directions, each a reader and a writer with a queue of chunks in between.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Weather;

/// As much as is read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How many chunks may be under way in one direction; then the sender has to wait, as on any wire.
const QUEUE: usize = 256;
/// How long a connection to the other side may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What goes which way.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Direction {
    /// From the client.
    Request,
    /// To the client.
    Answer,
}

/// A piece of the stream, and when it was read.
struct Chunk {
    read_at: Instant,
    bytes: Vec<u8>,
}

/// The connection broke, or is to be broken.
struct Broken;

/// Carries one connection until both sides are done, or until it is to be reset.
pub(super) async fn connection(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut forecast: watch::Receiver<Weather>,
) {
    // Who calls where nothing goes through waits, like any other packet.
    let weather = forecast.wait_for(|weather| *weather != Weather::Stalled).await.map(|weather| *weather);
    if !matches!(weather, Err(_) | Ok(Weather::Cut))
        && let Ok(Ok(mut server)) = timeout(CONNECT_LIMIT, TcpStream::connect(upstream)).await
    {
        let done = converse(&mut client, &mut server, &forecast).await;
        if done.is_ok() {
            return;
        }
        let _ = server.set_zero_linger();
    }
    // Dropping it resets it.
    let _ = client.set_zero_linger();
}

async fn converse(
    client: &mut TcpStream,
    server: &mut TcpStream,
    forecast: &watch::Receiver<Weather>,
) -> Result<(), Broken> {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (questions, to_client) = client.split();
    let (answers, to_server) = server.split();
    let both = async {
        tokio::try_join!(
            carry(questions, to_server, Direction::Request, forecast.clone()),
            carry(answers, to_client, Direction::Answer, forecast.clone()),
        )
    };
    tokio::select! {
        done = both => done.map(drop),
        () = reset(forecast.clone()) => Err(Broken),
    }
}

/// Returns when the connection is to be reset: its link was cut, or was deaf and is not any more, or its proxy is gone.
async fn reset(mut forecast: watch::Receiver<Weather>) {
    loop {
        let before = *forecast.borrow_and_update();
        if before == Weather::Cut || forecast.changed().await.is_err() || before == Weather::Deaf {
            return;
        }
    }
}

/// Carries one direction to its end.
async fn carry(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    forecast: watch::Receiver<Weather>,
) -> Result<(), Broken> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::try_join!(read(from, sender), write(&mut to, receiver, direction, forecast))?;
    to.shutdown().await.map_err(|_| Broken)
}

async fn read(mut from: ReadHalf<'_>, chunks: mpsc::Sender<Chunk>) -> Result<(), Broken> {
    loop {
        let mut bytes = vec![0; CHUNK_BYTES];
        let length = from.read(&mut bytes).await.map_err(|_| Broken)?;
        if length == 0 {
            return Ok(());
        }
        bytes.truncate(length);
        chunks.send(Chunk { read_at: Instant::now(), bytes }).await.map_err(|_| Broken)?;
    }
}

async fn write(
    to: &mut WriteHalf<'_>,
    mut chunks: mpsc::Receiver<Chunk>,
    direction: Direction,
    mut forecast: watch::Receiver<Weather>,
) -> Result<(), Broken> {
    while let Some(chunk) = chunks.recv().await {
        let weather = forecast.wait_for(|weather| *weather != Weather::Stalled).await.map(|now| *now);
        match weather.map_err(|_| Broken)? {
            Weather::Deaf if direction == Direction::Answer => continue,
            Weather::Slow(delay) => sleep_until(chunk.read_at + delay).await,
            Weather::Fair | Weather::Deaf | Weather::Cut | Weather::Stalled => {}
        }
        to.write_all(&chunk.bytes).await.map_err(|_| Broken)?;
    }
    Ok(())
}
