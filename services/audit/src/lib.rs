//! The audit: checks the invariants across both databases, through the services that own them, while they work.
//!
//! Each service checks what is its own, page by page. What concerns both is judged by the order of looking: holds are
//! read before their bookings, so what is settled must be decided; bookings before the holds that they claim, so what
//! is acknowledged must be there. What may be in flight is looked at again before it is called a violation.
//!
//! ```no_run
//! # async fn f() -> Result<(), audit::Error> {
//! let report = audit::run(&audit::Options::default()).await?;
//! assert!(report.is_sound(), "{report}");
//! # Ok(())
//! # }
//! ```

mod audit;
mod error;
mod options;
mod report;
mod services;

pub use audit::run;
pub use error::Error;
pub use options::Options;
pub use report::{Broken, Checked, InFlight, Report, Violation};
