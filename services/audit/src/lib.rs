//! The audit: checks the invariants across both databases, through the services that own them.
