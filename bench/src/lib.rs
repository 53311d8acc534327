//! Measures Holdfast against raw SQL and bare gRPC, in the same run on the same machine: `make bench`.
//!
//! `load` makes the calls, `naive` and `echo` are the baselines, `scenario` has what is measured, `results` writes it down.

pub mod broker;
pub mod calls;
pub mod cpu;
pub mod disturbance;
pub mod echo;
pub mod figure;
pub mod goods;
pub mod history;
pub mod load;
pub mod machine;
pub mod naive;
pub mod options;
pub mod releases;
pub mod results;
pub mod run;
pub mod scale;
pub mod scenario;
pub mod site;
