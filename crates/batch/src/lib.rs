//! Natural batching: while one batch runs, the next requests gather.
