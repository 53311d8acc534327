//! The whole system, driven through real clients against real servers.
