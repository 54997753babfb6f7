//! Contracts as they are served: each stands alone.
//!
//! A contract of one file is served as its domain wrote it. One of several files becomes one document
//! ([`bundled()`]): parts of other files take the place of the references to them, and schemas go into
//! `components`, so that those which refer to themselves can, too.

mod bundled;
mod context;

pub(in crate::contract) use bundled::bundled;
