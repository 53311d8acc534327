//! Owns products, stock, seat maps, seats and holds.
