//! The booking's life, table by table and law by law.
