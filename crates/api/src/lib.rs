//! What both services say to clients: rich errors, field checks, page tokens.
