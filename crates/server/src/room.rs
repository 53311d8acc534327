//! Room for what waits for the other side of a connection: so many entries, so many bytes, fairly shared by where they come from.
//! When it runs out, who has been there longest goes: of those from the address that has the most.
//!
//! A limit that refused newcomers would let a few who never move keep everybody else out. Whoever is quick is never the
//! oldest for long; and who sends very much from one address puts out nobody but themselves.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::Address;

/// Whose address is not known.
const NOWHERE: Address = Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

/// The room. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_entries: usize,
    max_bytes: usize,
    within: Mutex<Within>,
}

/// Who is there, in the order in which they came.
#[derive(Debug, Default)]
struct Within {
    next: u64,
    bytes: usize,
    entries: BTreeMap<u64, Entry>,
    /// What each address has of it.
    shares: HashMap<IpAddr, Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    entries: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    bytes: usize,
    out: CancellationToken,
}

/// A place in a room, until it is dropped, or put out.
#[derive(Debug)]
pub struct Place {
    room: Room,
    address: IpAddr,
    number: u64,
    out: CancellationToken,
}

impl Room {
    /// For so many, who have so many bytes together.
    #[must_use]
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self(Arc::new(Shared { max_entries, max_bytes, within: Mutex::default() }))
    }

    /// A place without bytes yet. There is always one: if need be that of the oldest.
    #[must_use]
    pub fn enter(&self) -> Place {
        self.enter_from(NOWHERE)
    }

    /// The same for somebody at this address.
    #[must_use]
    pub fn enter_from(&self, address: Address) -> Place {
        let (address, out) = (address.network(), CancellationToken::new());
        let mut within = self.within();
        if within.entries.len() >= self.0.max_entries {
            within.make_place(address, 1, |share| share.entries);
        }
        let number = within.next;
        within.next += 1;
        within.entries.insert(number, Entry { address, bytes: 0, out: out.clone() });
        within.shares.entry(address).or_default().entries += 1;
        drop(within);
        Place { room: self.clone(), address, number, out }
    }

    fn within(&self) -> MutexGuard<'_, Within> {
        self.0.within.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are there, and with how many bytes.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> (usize, usize) {
        let within = self.within();
        (within.entries.len(), within.bytes)
    }
}

impl Within {
    /// Puts somebody out for who comes from this address and wants so much `more` of what `counted` counts: the oldest from the
    /// address that has the most of it then. Where all have one, and the newcomer none, that is the oldest of all.
    fn make_place(&mut self, address: IpAddr, more: usize, counted: impl Fn(&Share) -> usize) {
        let own = self.shares.get(&address).map_or(0, &counted) + more;
        let most = self.shares.values().map(&counted).max().unwrap_or_default();
        let has_most = |entry: &Entry| match self.shares.get(&entry.address) {
            Some(share) if most > own => counted(share) == most,
            _ => entry.address == address,
        };
        let loser = self.entries.iter().find(|(_, entry)| has_most(entry));
        let loser = loser.or_else(|| self.entries.first_key_value()).map(|(number, _)| *number);
        if let Some(entry) = loser.and_then(|number| self.remove(number)) {
            entry.out.cancel();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= entry.bytes;
        if let Some(share) = self.shares.get_mut(&entry.address) {
            share.entries -= 1;
            share.bytes -= entry.bytes;
            if share.entries == 0 {
                self.shares.remove(&entry.address);
            }
        }
        Some(entry)
    }
}

impl Place {
    /// Takes so many bytes more, of who came before if need be. False when it is put out itself: what it has is to be
    /// given up.
    #[must_use]
    pub fn take(&self, bytes: usize) -> bool {
        let mut within = self.room.within();
        loop {
            if !within.entries.contains_key(&self.number) {
                return false;
            }
            if within.bytes + bytes <= self.room.0.max_bytes {
                break;
            }
            within.make_place(self.address, bytes, |share| share.bytes);
        }
        within.bytes += bytes;
        within.shares.entry(self.address).or_default().bytes += bytes;
        if let Some(entry) = within.entries.get_mut(&self.number) {
            entry.bytes += bytes;
        }
        true
    }

    /// Waits until it is put out.
    pub async fn put_out(&self) {
        self.out.cancelled().await;
    }

    /// Whether it was put out.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.out.is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.within().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest() {
        let room = Room::new(2, 100);
        let places: Vec<_> = (0..3).map(|_| room.enter()).collect();
        assert_eq!(places.iter().map(Place::is_out).collect::<Vec<_>>(), [true, false, false]);
        assert!(!places[0].take(1) && places[2].take(1));
        assert_eq!(room.taken(), (2, 1));
        drop(places);
        assert_eq!(room.taken(), (0, 0));
    }

    #[test]
    fn who_needs_bytes_gets_those_of_the_oldest_and_the_oldest_gets_none() {
        let room = Room::new(10, 100);
        let (old, young) = (room.enter(), room.enter());
        assert!(old.take(60) && young.take(40));
        assert!(young.take(30) && old.is_out() && !young.is_out());
        assert_eq!(room.taken(), (1, 70));
        // Alone, it is the oldest itself.
        assert!(!young.take(31) && young.is_out());
        assert_eq!(room.taken(), (0, 0));
    }
    #[test]
    fn who_comes_again_and_again_from_one_address_puts_out_nobody_elsewhere() {
        let (junk, honest) = (Address([10, 0, 0, 1].into()), Address([10, 0, 0, 2].into()));
        let room = Room::new(3, 100);
        let old = room.enter_from(honest);
        assert!(old.take(30));
        let places: Vec<_> = (0..5).map(|_| room.enter_from(junk)).collect();
        assert_eq!(places.iter().map(Place::is_out).collect::<Vec<_>>(), [true, true, true, false, false]);
        assert!(places[3].take(35) && places[4].take(35) && !old.is_out());
        // Of the bytes too: it has the most of them.
        assert!(places[4].take(10) && places[3].is_out() && !old.is_out());
        assert!(places[4].take(25) && old.take(20) && places[4].is_out());
        assert_eq!(room.taken(), (1, 50));
    }

    #[test]
    fn where_all_addresses_have_as_much_the_oldest_goes() {
        let address = |n: u8| Address([10, 0, 0, n].into());
        let room = Room::new(3, 100);
        let places: Vec<_> = (1..=4).map(|n| room.enter_from(address(n))).collect();
        assert_eq!(places.iter().map(Place::is_out).collect::<Vec<_>>(), [true, false, false, false]);
        drop(places);
        assert!(room.within().shares.is_empty());
    }
}
