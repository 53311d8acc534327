//! How large a world is: what customers may ask for, what may fail, how much there is to sell.

use crate::action::{Ask, Fault};

/// A world that is searched through.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Its name.
    pub name: &'static str,
    /// Bookings, all alike.
    pub bookings: u8,
    /// Units of the product on hand.
    pub on_hand: i8,
    /// Units that each booking takes.
    pub units: i8,
    /// Whether each booking takes the one seat as well.
    pub seat: bool,
    /// What customers may ask for, as often as they like.
    pub asks: &'static [Ask],
    /// What may fail, as often as it likes.
    pub faults: &'static [Fault],
    /// Calls of a booking that may be under way at a time.
    pub calls: usize,
    /// Copies of its timer that there may be at a time.
    pub copies: usize,
    /// Attempts at a hold.
    pub attempts: u8,
    /// When the sweep looks.
    pub sweep: Sweep,
    /// The times.
    pub times: Times,
    /// Whether the calm may come, and everything has to come to rest then.
    pub calm: bool,
    /// What has to be seen, so that the search was not an empty one.
    pub sights: &'static [&'static str],
}

/// When the sweep looks at an ACTIVE hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Never.
    Off,
    /// Whenever it likes: the catalog's clock may be as wrong as it wants.
    AnyTime,
    /// When its review time has come.
    WhenDue,
}

/// Times in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// A hold's.
    pub hold: u8,
    /// A draft's.
    pub draft: u8,
    /// How much later an extended hold runs out.
    pub extension: u8,
    /// The payment window.
    pub window: u8,
    /// The grace before the sweep looks.
    pub grace: u8,
}

impl Bounds {
    /// Whether this may fail.
    #[must_use]
    pub fn may(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}
