//! A model of the protocol between catalog, reservation, expirer and broker, checked exhaustively for small bounds.
