//! Handshakes with those who connect: beside each other, within a time, and no more than so many.
//!
//! Places are shared by address ([`Places`]), as those of connections are: who comes from elsewhere takes one of the address that has
//! the most, and so is never kept out by however many who say nothing. Many who come from one address at once do not end each
//! other: they wait for their turn.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use tokio::{net::TcpStream, sync::Notify, task::JoinSet, time::timeout};

use super::{accept::Acceptor, transport::Transport};
use crate::places::{Places, Seat};

/// How long a handshake may take, with the wait for its turn.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Connections that are not secured yet: those that wait for their turn cost a socket and little else.
const PRESENT: usize = 1_024;
/// Handshakes under way at a time.
const HANDSHAKES: usize = 256;
/// How long a handshake must have lasted to make place for another one of the same address, or where all addresses have as many.
const UNDISTURBED: Duration = Duration::from_secs(1);

/// Connections that are ready to be talked over: as they come without an acceptor, else each after its handshake.
pub(crate) fn secured<S>(incoming: S, acceptor: Option<Acceptor>) -> impl Stream<Item = io::Result<Transport>>
where
    S: Stream<Item = io::Result<TcpStream>> + Unpin,
{
    let crowd =
        Crowd::new(Places::new(PRESENT, HANDSHAKE_LIMIT), Places::new(HANDSHAKES, UNDISTURBED), UNDISTURBED);
    let door = Door { incoming, acceptor, under_way: JoinSet::new(), crowd };
    stream::unfold(door, async |mut door| door.next().await.map(|next| (next, door)))
}

struct Door<S> {
    incoming: S,
    acceptor: Option<Acceptor>,
    /// Handshakes: none of what failed.
    under_way: JoinSet<Option<Transport>>,
    crowd: Crowd,
}

impl<S: Stream<Item = io::Result<TcpStream>> + Unpin> Door<S> {
    async fn next(&mut self) -> Option<io::Result<Transport>> {
        loop {
            tokio::select! {
                Some(done) = self.under_way.join_next() => {
                    if let Ok(Some(transport)) = done {
                        return Some(Ok(transport));
                    }
                }
                next = self.incoming.next() => match (next?, self.acceptor.clone()) {
                    (Ok(stream), Some(acceptor)) => self.begin(acceptor, stream),
                    (next, _) => return Some(next.map(Transport::Plain)),
                },
            }
        }
    }

    fn begin(&mut self, acceptor: Acceptor, stream: TcpStream) {
        // One that is gone already has no address.
        let Ok(peer) = stream.peer_addr() else { return };
        let port = acceptor.port();
        let Some(secured) = self.crowd.admit(peer.ip(), acceptor.accept(stream)) else {
            tracing::debug!(%peer, ?port, "a handshake too many");
            return;
        };
        self.under_way.spawn(async move {
            // Whoever connects can cause it.
            secured
                .await
                .inspect_err(|error| tracing::debug!(%error, %peer, ?port, "a handshake failed"))
                .ok()
        });
    }
}

/// Those whose handshakes are not done.
#[derive(Clone, Debug)]
struct Crowd {
    present: Places,
    handshakes: Places,
    /// After so long in vain a turn is asked for again: by then handshakes may have lasted long enough.
    pause: Duration,
    ended: Arc<Notify>,
}

/// The place of a handshake, until it is dropped.
struct Turn {
    seat: Seat,
    /// After the seat: it is free by then.
    _bell: Bell,
}

/// Tells one who waits, when it is dropped.
struct Bell(Arc<Notify>);

impl Crowd {
    fn new(present: Places, handshakes: Places, pause: Duration) -> Self {
        Self { present, handshakes, pause, ended: Arc::default() }
    }

    /// Carries out a handshake with somebody at this address when it is its turn; none: there are too many from there.
    fn admit<T, H>(
        &self,
        address: IpAddr,
        handshake: H,
    ) -> Option<impl Future<Output = io::Result<T>> + use<T, H>>
    where
        H: Future<Output = io::Result<T>>,
    {
        let present = self.present.enter(address)?;
        let crowd = self.clone();
        Some(async move {
            let in_turn = async {
                let turn = crowd.turn(address).await;
                tokio::select! {
                    done = handshake => done,
                    () = turn.seat.lost() => Err(put_out()),
                }
            };
            tokio::select! {
                () = present.lost() => Err(put_out()),
                done = timeout(HANDSHAKE_LIMIT, in_turn) => done.map_err(|_| io::ErrorKind::TimedOut)?,
            }
        })
    }

    async fn turn(&self, address: IpAddr) -> Turn {
        loop {
            if let Some(seat) = self.handshakes.enter(address) {
                return Turn { seat, _bell: Bell(Arc::clone(&self.ended)) };
            }
            let _ = timeout(self.pause, self.ended.notified()).await;
        }
    }
}

fn put_out() -> io::Error {
    io::Error::other("others needed its place")
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        net::Ipv4Addr,
    };

    use tokio::{
        sync::oneshot,
        time::{Instant, sleep},
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const LONG: Duration = Duration::from_hours(1);

    fn silence() -> impl Future<Output = io::Result<()>> + Send {
        pending()
    }

    #[tokio::test]
    async fn many_who_say_nothing_at_one_address_keep_nobody_elsewhere_out() {
        let crowd = Crowd::new(Places::new(8, LONG), Places::new(4, LONG), LONG);
        let mut silent = JoinSet::new();
        for _ in 0..8 {
            silent.spawn(crowd.admit(HERE, silence()).unwrap());
        }
        tokio::task::yield_now().await;
        assert!(crowd.admit(HERE, silence()).is_none(), "all that are present are from there");
        for _ in 0..8 {
            crowd.admit(ELSEWHERE, ready(Ok(()))).unwrap().await.unwrap();
        }
        let ended = silent.join_next().await.unwrap().unwrap();
        assert!(ended.is_err(), "one of them made place");
    }

    #[tokio::test]
    async fn who_waits_has_their_turn_when_another_is_done() {
        let crowd = Crowd::new(Places::new(8, LONG), Places::new(1, LONG), LONG);
        let (tell, told) = oneshot::channel();
        let first = tokio::spawn(crowd.admit(HERE, async { told.await.map_err(io::Error::other) }).unwrap());
        tokio::task::yield_now().await;
        let next: JoinSet<_> = (0..3).map(|_| crowd.admit(HERE, ready(Ok(()))).unwrap()).collect();
        tokio::task::yield_now().await;
        assert_eq!(next.len(), 3);
        tell.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert!(next.join_all().await.iter().all(Result::is_ok), "nobody ended another");
    }

    #[tokio::test]
    async fn a_handshake_that_lasts_makes_place_for_another_of_its_address() {
        let crowd =
            Crowd::new(Places::new(8, LONG), Places::new(1, Duration::ZERO), Duration::from_millis(1));
        let first = tokio::spawn(crowd.admit(HERE, silence()).unwrap());
        tokio::task::yield_now().await;
        crowd.admit(HERE, ready(Ok(()))).unwrap().await.unwrap();
        assert!(first.await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_time_and_the_wait_for_it_is_part_of_that() {
        let crowd = Crowd::new(Places::new(8, LONG), Places::new(1, LONG), LONG);
        let start = Instant::now();
        let first = tokio::spawn(crowd.admit(HERE, silence()).unwrap());
        sleep(HANDSHAKE_LIMIT / 2).await;
        let second = tokio::spawn(crowd.admit(HERE, silence()).unwrap());
        for (silent, end) in [(first, HANDSHAKE_LIMIT), (second, HANDSHAKE_LIMIT * 3 / 2)] {
            let error = silent.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, end));
        }
    }
}
