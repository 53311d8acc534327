//! The decision on verdicts: every verdict on every state by example, and laws over random holds and verdicts.

mod examples;
mod laws;
