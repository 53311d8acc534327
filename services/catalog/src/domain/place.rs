//! The decision on a batch of holds: given what is on the shelf, who gets what. Pure.
//!
//! The requests are decided one after the other, each all or none; what one takes is gone for the next. The writes are
//! summed, so that a batch on one product changes one row once.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    customer::{CountKey, Counted, CustomerId, CustomerLimit},
    hold::{Hold, HoldKey, HoldState, Item, Line, SeatKey},
    ids::{ProductId, SeatMapId},
};

/// A hold that is asked for.
#[derive(Clone, Debug)]
pub struct PlaceRequest {
    /// Its key.
    pub key: HoldKey,
    /// What to take, 1 .. 100 items; a seat at most once.
    pub items: Vec<Item>,
    /// The longest that is wanted, in ms.
    pub asked_ttl_ms: Option<i64>,
    /// Whose it is to be; without a customer nothing counts.
    pub customer_id: Option<CustomerId>,
}

/// The terms of everything on sale.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The price of one unit, in minor units.
    pub price_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// How long a hold on it lasts, in ms.
    pub hold_ttl_ms: i64,
    /// The most that one customer may have of the product, or of the seat's map.
    pub customer_limit: CustomerLimit,
}

/// A product as it stands.
#[derive(Clone, Debug)]
pub struct ProductOnSale {
    /// Units that can be held.
    pub available: i64,
    /// Price and time.
    pub terms: Terms,
}

/// Whether a seat can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatOnSale {
    /// It can.
    Free,
    /// Another hold has it.
    Taken,
    /// The operator took it off sale.
    Blocked,
}

/// What the batch asks about, as it stands in one instant.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// The products that exist.
    pub products: HashMap<ProductId, ProductOnSale>,
    /// The seats that exist.
    pub seats: HashMap<SeatKey, (SeatOnSale, Terms)>,
    /// The maps that are known to exist although a seat asked for in them does not.
    pub seat_maps: HashSet<SeatMapId>,
    /// The holds that were placed before under a key of the batch.
    pub holds: HashMap<HoldKey, Hold>,
    /// The keys of the batch under which there is a hold that makes no sense.
    pub damaged: HashSet<HoldKey>,
    /// The most open holds that one customer may have.
    pub open_holds_limit: CustomerLimit,
    /// What customers of the batch have of what is limited; what is not there is 0.
    pub counts: HashMap<CountKey, i64>,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hold is there: placed now, or before by the same request.
    Placed(Hold),
    /// Nothing was taken.
    Refused {
        /// Why.
        reason: Refusal,
        /// Which line, from 0; none when it is the hold as a whole.
        line: Option<usize>,
    },
    /// A hold is there that makes no sense. Nothing was taken.
    Damaged,
}

/// Why a hold was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such product.
    ProductNotFound(ProductId),
    /// There is no such map.
    SeatMapNotFound(SeatMapId),
    /// There is no such seat.
    SeatNotFound(SeatKey),
    /// Another hold has the seat.
    SeatTaken(SeatKey),
    /// The operator took the seat off sale.
    SeatBlocked(SeatKey),
    /// Fewer units are available.
    InsufficientStock {
        /// The product.
        product_id: ProductId,
        /// Units asked for by all lines.
        requested: i64,
        /// Units that can be held.
        available: i64,
    },
    /// The lines have prices in several currencies.
    CurrencyMismatch {
        /// That of the first line.
        first: String,
        /// That of the line.
        other: String,
    },
    /// The total goes beyond [`MAX_TOTAL_MINOR`].
    TotalTooLarge,
    /// The key was used for other items, or by another customer.
    IdReused(HoldKey),
    /// The customer would have more of it than one may.
    CustomerLimit {
        /// A product, or a seat map.
        counted: Counted,
        /// The most.
        limit: i64,
        /// What they have.
        has: i64,
        /// What all lines ask for.
        requested: i64,
    },
    /// The customer has as many open holds as one may.
    OpenHoldsLimit {
        /// The most.
        limit: i64,
        /// What they have.
        has: i64,
    },
}

/// What a batch takes of what one customer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// How many.
    pub taken: i64,
    /// The most that the customer may have with that.
    pub allowed: i64,
}

/// The largest total of a hold, in minor units: far from the end of an i64.
pub const MAX_TOTAL_MINOR: i128 = 1_000_000_000_000_000_000;

/// What is to be written, summed over the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Units to add to what is held of each product.
    pub products: BTreeMap<ProductId, i64>,
    /// Who gets each seat.
    pub seats: BTreeMap<SeatKey, HoldKey>,
    /// What to add to what customers have.
    pub counts: BTreeMap<CountKey, Taking>,
    /// The new holds, all ACTIVE.
    pub holds: Vec<Hold>,
}

/// The decision on a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// One for each request, in their order.
    pub outcomes: Vec<Outcome>,
    /// What is to be written.
    pub writes: Writes,
}

/// Decides the batch.
#[must_use]
pub fn decide(mut shelf: Shelf, requests: &[PlaceRequest]) -> Decision {
    let mut decision = Decision::default();
    for request in requests {
        let outcome = match shelf.holds.get(&request.key) {
            None if shelf.damaged.contains(&request.key) => Outcome::Damaged,
            Some(hold) if hold.was_asked_as(&request.items, request.customer_id.as_ref()) => {
                Outcome::Placed(hold.clone())
            }
            Some(_) => refused(Refusal::IdReused(request.key), None),
            None => match shelf.terms_of(request) {
                Ok(hold) => shelf.take(hold, &mut decision.writes),
                Err(outcome) => outcome,
            },
        };
        decision.outcomes.push(outcome);
    }
    decision
}

const fn refused(reason: Refusal, line: Option<usize>) -> Outcome {
    Outcome::Refused { reason, line }
}

impl Shelf {
    /// The hold as it would be placed, if everything in it exists and can be sold together.
    fn terms_of(&self, request: &PlaceRequest) -> Result<Hold, Outcome> {
        let mut lines = Vec::with_capacity(request.items.len());
        let mut currency: Option<&str> = None;
        let mut hold_ttl_ms = request.asked_ttl_ms.unwrap_or(i64::MAX);
        let mut total: i128 = 0;
        let counts_open = request.customer_id.is_some() && self.open_holds_limit.most().is_some();
        for (i, item) in request.items.iter().enumerate() {
            let (terms, quantity) = self.find(item).map_err(|reason| refused(reason, Some(i)))?;
            let first = *currency.get_or_insert(&terms.currency);
            if first != terms.currency {
                let (first, other) = (first.to_owned(), terms.currency.clone());
                return Err(refused(Refusal::CurrencyMismatch { first, other }, Some(i)));
            }
            hold_ttl_ms = hold_ttl_ms.min(terms.hold_ttl_ms);
            total += i128::from(terms.price_minor) * i128::from(quantity);
            let counts = request.customer_id.is_some() && terms.customer_limit.most().is_some();
            lines.push(Line { item: item.clone(), price_minor: terms.price_minor, counts });
        }
        if total > MAX_TOTAL_MINOR {
            return Err(refused(Refusal::TotalTooLarge, None));
        }
        Ok(Hold {
            key: request.key,
            state: HoldState::Active,
            lines,
            currency: currency.unwrap_or_default().to_owned(),
            hold_ttl_ms,
            customer_id: request.customer_id.clone(),
            counts_open,
        })
    }

    /// Whether one customer may have only so many of what this is one of.
    #[must_use]
    pub fn limits(&self, item: &Item) -> bool {
        self.find(item).is_ok_and(|(terms, _)| terms.customer_limit.most().is_some())
    }

    fn find(&self, item: &Item) -> Result<(&Terms, i64), Refusal> {
        match item {
            Item::Product { product_id, quantity } => match self.products.get(product_id) {
                Some(product) => Ok((&product.terms, *quantity)),
                None => Err(Refusal::ProductNotFound(*product_id)),
            },
            Item::Seat(key) => match self.seats.get(key) {
                Some((_, terms)) => Ok((terms, 1)),
                None if self.seat_maps.contains(&key.seat_map_id) => Err(Refusal::SeatNotFound(key.clone())),
                None => Err(Refusal::SeatMapNotFound(key.seat_map_id)),
            },
        }
    }

    /// Takes everything that `hold` names off the shelf, or nothing.
    fn take(&mut self, hold: Hold, writes: &mut Writes) -> Outcome {
        let mut units: BTreeMap<ProductId, i64> = BTreeMap::new();
        for (i, line) in hold.lines.iter().enumerate() {
            match &line.item {
                Item::Seat(key) => match self.seats.get(key).map(|(state, _)| *state) {
                    Some(SeatOnSale::Free) => {}
                    Some(SeatOnSale::Blocked) => return refused(Refusal::SeatBlocked(key.clone()), Some(i)),
                    Some(SeatOnSale::Taken) | None => {
                        return refused(Refusal::SeatTaken(key.clone()), Some(i));
                    }
                },
                Item::Product { product_id, quantity } => {
                    let requested = units.entry(*product_id).or_insert(0);
                    *requested += quantity;
                    let available = self.products.get(product_id).map_or(0, |product| product.available);
                    if *requested > available {
                        let requested = total_units(&hold, *product_id);
                        let reason =
                            Refusal::InsufficientStock { product_id: *product_id, requested, available };
                        return refused(reason, Some(i));
                    }
                }
            }
        }
        let counts = match self.count(&hold) {
            Ok(counts) => counts,
            Err(refused) => return refused,
        };
        for (key, taking) in counts {
            *self.counts.entry(key.clone()).or_insert(0) += taking.taken;
            let sum = writes.counts.entry(key).or_insert(Taking { taken: 0, ..taking });
            sum.taken += taking.taken;
        }
        for (product_id, quantity) in units {
            if let Some(product) = self.products.get_mut(&product_id) {
                product.available -= quantity;
            }
            *writes.products.entry(product_id).or_insert(0) += quantity;
        }
        for line in &hold.lines {
            if let Item::Seat(key) = &line.item {
                if let Some((state, _)) = self.seats.get_mut(key) {
                    *state = SeatOnSale::Taken;
                }
                writes.seats.insert(key.clone(), hold.key);
            }
        }
        self.holds.insert(hold.key, hold.clone());
        writes.holds.push(hold.clone());
        Outcome::Placed(hold)
    }

    /// What `hold` counts for, if its customer may have all of it.
    fn count(&self, hold: &Hold) -> Result<BTreeMap<CountKey, Taking>, Outcome> {
        let mut takings: BTreeMap<CountKey, Taking> = BTreeMap::new();
        let Some(customer_id) = &hold.customer_id else { return Ok(takings) };
        let key = |counted| CountKey { customer_id: customer_id.clone(), counted };
        let has = |key: &CountKey| self.counts.get(key).copied().unwrap_or(0);
        if let Some(limit) = self.open_holds_limit.most().filter(|_| hold.counts_open) {
            let key = key(Counted::OpenHolds);
            let has = has(&key);
            if has >= limit {
                return Err(refused(Refusal::OpenHoldsLimit { limit, has }, None));
            }
            takings.insert(key, Taking { taken: 1, allowed: limit });
        }
        for (i, line) in hold.lines.iter().enumerate() {
            let Some((counted, number)) = line.counted() else { continue };
            let limit = self.find(&line.item).map_or(0, |(terms, _)| terms.customer_limit.number());
            let key = key(counted);
            let has = has(&key);
            let taking = takings.entry(key).or_insert(Taking { taken: 0, allowed: limit });
            taking.taken += number;
            if taking.taken > limit.saturating_sub(has) {
                let of_it = |line: &Line| line.counted().filter(|(of, _)| *of == counted);
                let requested = hold.lines.iter().filter_map(of_it).map(|(_, number)| number).sum();
                let reason = Refusal::CustomerLimit { counted, limit, has, requested };
                return Err(refused(reason, Some(i)));
            }
        }
        Ok(takings)
    }
}

fn total_units(hold: &Hold, wanted: ProductId) -> i64 {
    let units = |line: &Line| match &line.item {
        Item::Product { product_id, quantity } if *product_id == wanted => *quantity,
        _ => 0,
    };
    hold.lines.iter().map(units).sum()
}

#[cfg(test)]
pub(super) mod tests;
