//! Breaks a running Holdfast in every way, and proves from what its clients saw that nothing was lost or sold twice.
//!
//! [`run`](run::run) starts two replicas of everything with a proxy on every link, lets clients loose on scarce goods, carries
//! out a [plan](plan) of faults, mends everything, and [checks](checker) every answer against what is on record.

mod audits;
pub mod books;
pub mod caller;
pub mod checker;
pub mod clients;
pub mod conductor;
mod evidence;
pub mod fault;
pub mod goods;
pub mod history;
pub mod judge;
pub mod lag;
pub mod onlookers;
pub mod options;
pub mod plan;
mod purge;
mod refunds;
pub mod report;
pub mod run;
pub mod site;
pub mod time;
