//! What `deploy/` holds, judged without a cluster and without Docker: rendered, validated, and compared with the programs.
//!
//! Each rule is a function from documents to complaints. The real documents must give none, and each rule must complain of
//! documents that were altered to break it (`broken`): a check that cannot fail shows nothing.

mod broken;
mod compose;
mod custom;
mod documents;
mod image;
mod kubernetes;
mod network;
mod programs;
mod routes;
mod rules;
mod supply;
mod watching;
