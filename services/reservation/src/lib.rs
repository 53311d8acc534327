//! Owns bookings, and alone decides what becomes of them.
