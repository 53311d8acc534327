//! Boot, serve, drain: what a Holdfast process does around its own work.
