//! What the system tests share: running stacks, clients, waiting, reading errors and books.
//!
//! Everything here fails a test by panicking. Nothing here knows more of the services than their protos, their schemas
//! and their messages.

#![expect(clippy::missing_panics_doc, reason = "what helps a test fails it by panicking")]

mod acknowledged;
mod armed;
mod auditor;
mod backup;
mod bearers;
mod bookings;
mod books;
mod collector;
mod compat;
mod counters;
mod dice;
mod ended;
pub mod exposition;
pub mod fuzz;
mod goods;
mod lag;
mod memory;
mod news;
mod outcome;
mod payment_provider;
mod plans;
mod programs;
pub mod promql;
mod quiet;
mod refusal;
mod rest;
mod secured;
mod stacks;
mod traffic;
mod wait;
mod watcher;
mod world;

pub use acknowledged::{Acknowledged, insist, passes};
pub use armed::Armed;
pub use auditor::{Verdict, audit_program};
pub use backup::{Backup, Repaired, repair};
pub use bearers::{asking, bearer, bearing, issuer, publish, rsa_key, token};
pub use bookings::{Record, customer, fresh_id, seat, state_of, times, units};
pub use books::Stock;
pub use collector::{Collector, Traced};
pub use compat::{broken_rules, broken_statements, rules};
pub use counters::counted;
pub use dice::Dice;
pub use ended::ended;
pub use goods::{euros, sample_product, sample_seats};
pub use lag::Lag;
pub use memory::memory_mib;
pub use news::News;
pub use outcome::{Failed, Outcome};
pub use payment_provider::{PaymentProvider, now};
pub use plans::wandering_statements;
pub use programs::{Said, program, program_with, tell};
pub use quiet::Findings;
pub use refusal::{assert_bad_field, assert_illegal, assert_refused};
pub use rest::{Answer, Rest};
pub use secured::secured_channel;
pub use stacks::{OwnStack, hasty, own, shared};
pub use traffic::Traffic;
pub use wait::{PATIENCE, eventually, when};
pub use watcher::{Watcher, dashboard_queries, in_repository, repository_text};
pub use world::World;
