//! The one list of all steps.

use std::fmt;

/// The programs that have failpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// The catalog.
    Catalog,
    /// Reservation.
    Reservation,
    /// The expirer.
    Expirer,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "catalog",
            Self::Reservation => "reservation",
            Self::Expirer => "expirer",
        })
    }
}

/// Makes [`Step`] out of lines `Variant "name" in Program, Program: "what has happened there";`.
macro_rules! steps {
    ($($step:ident $name:literal in $($program:ident),+: $what:literal;)+) => {
        /// A place where a process can be made to die, to fail or to wait.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Step {
            $(#[doc = $what] $step,)+
        }

        impl Step {
            /// All of them, in the order of `docs/failpoints.md`.
            pub const ALL: &[Self] = &[$(Self::$step,)+];

            /// Its name: what is done, and how far.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)+
                }
            }

            /// The programs that pass it.
            #[must_use]
            pub const fn programs(self) -> &'static [Program] {
                match self {
                    $(Self::$step => &[$(Program::$program,)+],)+
                }
            }
        }
    };
}

steps! {
    // Holds are placed: one statement of the catalog.
    PlaceDecided "place.decided" in Catalog: "It is decided who gets what; nothing is locked or written.";
    PlaceRecorded "place.recorded" in Catalog: "The holds and all that they took are committed; the caller has not heard.";
    // Holds are settled: one transaction of the catalog.
    SettleLocked "settle.locked" in Catalog: "The holds are locked; nothing is written.";
    SettleRecorded "settle.recorded" in Catalog: "The holds are COMMITTED or RELEASED; their units are not counted yet.";
    SettleReviewed "settle.reviewed" in Catalog: "Reviews are put off.";
    SettleProductsSettled "settle.products_settled" in Catalog: "Units of products are counted as sold or free.";
    SettleSeatsSettled "settle.seats_settled" in Catalog: "Seats are sold or free; customers have nothing back yet.";
    SettleCountsGivenBack "settle.counts_given_back" in Catalog: "Customers have back what was counted; COMMIT has not been sent.";
    SettleCommitted "settle.committed" in Catalog: "COMMIT was acknowledged; the caller has not heard.";
    // Lost holds are put back: one transaction of the catalog.
    RestoreRecorded "restore.recorded" in Catalog: "Lost holds are back with all that they took; COMMIT has not been sent.";
    OverdueListed "overdue.listed" in Catalog: "Overdue holds are found; the sweep has not heard.";

    // A booking is created with its hold.
    CreatePlaced "create.placed" in Reservation: "The catalog has committed the hold; no booking knows of it.";
    CreateInserting "create.inserting" in Reservation: "The batch is about to be inserted.";
    CreateRecorded "create.recorded" in Reservation: "The insert is committed; the caller has not heard.";
    // A draft is held.
    HoldPlaced "hold.placed" in Reservation: "The catalog has committed the hold of a draft; the draft knows nothing of it.";
    // Bookings change: hold, extend, pay, cancel, refund, resolve. One transaction of reservation.
    ChangeLocked "change.locked" in Reservation: "The bookings are locked; nothing is written.";
    ChangeUpdated "change.updated" in Reservation: "The bookings are updated; their history is not written.";
    ChangeChronicled "change.chronicled" in Reservation: "The history is written.";
    ChangePaid "change.paid" in Reservation: "Payments are recorded.";
    ChangeOwed "change.owed" in Reservation: "What is owed stands in the outbox; COMMIT has not been sent.";
    ChangeCommitted "change.committed" in Reservation: "COMMIT was acknowledged; nobody has heard, no bell has rung.";
    // Verdicts and drafts.
    ResolveMarked "resolve.marked" in Reservation: "Unknown bookings have their tombstones; COMMIT has not been sent.";
    ResolveDecided "resolve.decided" in Reservation: "The verdicts are committed; who asked has not heard.";
    DraftsListed "drafts.listed" in Reservation: "Abandoned drafts are found; none is EXPIRED.";
    DraftsExpired "drafts.expired" in Reservation: "They are EXPIRED; who asked has not heard.";
    // The relay: a transaction of reservation for each portion of the outbox.
    RelayTimersTaken "relay.timers.taken" in Reservation: "Timers are deleted from the outbox, uncommitted; none is published.";
    RelayTimersDelivered "relay.timers.delivered" in Reservation: "RabbitMQ has confirmed them; their deletion is uncommitted.";
    RelayTimersDeleted "relay.timers.deleted" in Reservation: "Their deletion is committed.";
    RelayEventsTaken "relay.events.taken" in Reservation: "Events are deleted from the outbox, uncommitted; none is published.";
    RelayEventsDelivered "relay.events.delivered" in Reservation: "RabbitMQ has confirmed them; their deletion is uncommitted.";
    RelayEventsDeleted "relay.events.deleted" in Reservation: "Their deletion is committed.";
    RelaySettlesTaken "relay.settles.taken" in Reservation: "Settlements are deleted from the outbox, uncommitted; the catalog has not heard.";
    RelaySettlesDelivered "relay.settles.delivered" in Reservation: "The catalog has settled them; their deletion is uncommitted.";
    RelaySettlesDeleted "relay.settles.deleted" in Reservation: "Their deletion is committed.";
    // A portion that was refused: its rows one by one, those at fault apart from the others.
    RelayOneTaken "relay.one.taken" in Reservation: "One row is deleted from the outbox, uncommitted; nobody has heard.";
    RelayOneDelivered "relay.one.delivered" in Reservation: "It is delivered; its deletion is uncommitted.";
    RelayOneSplit "relay.one.split" in Reservation: "A refused row is made two, uncommitted.";
    RelayOneParked "relay.one.parked" in Reservation: "A refused row is moved to where such rows are parked, uncommitted.";
    RelayParkedReturned "relay.parked.returned" in Reservation: "Rested rows are back in the outbox, uncommitted.";

    // Publishing, by the relay and by whoever parks a timer again.
    PublishSent "publish.sent" in Reservation, Expirer: "Messages are written to RabbitMQ; none is confirmed.";

    // A timer that has come back.
    DueTaken "due.taken" in Expirer: "The message is at hand; nothing has been done about it.";
    DueWaited "due.waited" in Expirer: "The time of its holds has come; nobody has been asked.";
    DueAcking "due.acking" in Expirer: "All its holds are settled or parked again; it is not acknowledged.";
    // A message that nobody can handle.
    PoisonFound "poison.found" in Expirer: "It is at hand; it is not put aside.";
    // A timer is parked again.
    ParkPlanned "park.planned" in Expirer: "The hold is not due; its fresh message is not published.";
    ParkPublished "park.published" in Expirer: "The fresh message is confirmed; the old one is not acknowledged.";
    // Verdicts are carried over, for timers and for the sweep.
    CarryResolved "carry.resolved" in Expirer: "Reservation has decided; the catalog has not heard.";
    CarrySettled "carry.settled" in Expirer: "The catalog has settled; nobody has taken note.";
    // The sweep.
    SweepListed "sweep.listed" in Expirer: "Overdue holds are at hand; nobody has been asked about them.";
    SweepSettled "sweep.settled" in Expirer: "They are settled; the next page has not been asked for.";
    SweepDraftsExpired "sweep.drafts_expired" in Expirer: "Abandoned drafts are EXPIRED; the next page has not been asked for.";

    // A schema is migrated: a transaction for each migration.
    MigrateConnected "migrate.connected" in Catalog, Reservation: "The server is there; nothing is migrated.";
    MigrateApplied "migrate.applied" in Catalog, Reservation: "One migration is committed, and the next has not begun.";
}
