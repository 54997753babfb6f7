//! Sends what was already let in, again.
