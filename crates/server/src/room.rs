//! Room for what waits for the other side of a connection: so many entries, so many bytes. When it runs out, who has been there
//! longest goes.
//!
//! A limit that refused newcomers would let a few who never move keep everybody else out. Whoever is quick is never the
//! oldest for long.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

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
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    out: CancellationToken,
}

/// A place in a room, until it is dropped, or put out.
#[derive(Debug)]
pub struct Place {
    room: Room,
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
        let out = CancellationToken::new();
        let mut within = self.within();
        if within.entries.len() >= self.0.max_entries {
            within.put_out_oldest();
        }
        let number = within.next;
        within.next += 1;
        within.entries.insert(number, Entry { bytes: 0, out: out.clone() });
        drop(within);
        Place { room: self.clone(), number, out }
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
    /// Answers whose place it was.
    fn put_out_oldest(&mut self) -> Option<u64> {
        let (number, entry) = self.entries.pop_first()?;
        self.bytes -= entry.bytes;
        entry.out.cancel();
        Some(number)
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
            within.put_out_oldest();
        }
        within.bytes += bytes;
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
        let mut within = self.room.within();
        if let Some(entry) = within.entries.remove(&self.number) {
            within.bytes -= entry.bytes;
        }
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
}
