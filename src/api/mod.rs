//! The HTTP API: what it promises, and to whom.
