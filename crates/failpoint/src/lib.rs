//! Faults on demand at the steps of a unit of work: for tests, and compiled in with the feature `failpoints` only.
