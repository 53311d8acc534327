//! The way to a PostgreSQL database: pool, patience at start, units of work.
