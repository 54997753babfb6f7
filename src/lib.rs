//! Sealway, a secure cross-domain event gateway.
//!
//! A business domain publishes events on its own bus. The gateway takes them in, lets only those
//! cross that a published contract describes, gives each a name, seals it for each consumer, and
//! delivers it, provably complete and replayable.
//!
//! ```text
//!  producer → source → enrich → contract → identify → eventlog       gateway::inbound
//!            Received  Enriched  Validated  Identified  Appended
//!
//!  eventlog → route → seal → deliver → consumer                      deliver::attempt
//!  Entry      Matches  Sealed  Attempt → Verdict
//! ```
//!
//! The modules below are the rooms of the house, in the order in which an event walks through
//! them. `transparency` is the tree over the log; `deliver` has wings; `egress` guards what is dialed, and `aws` speaks to AWS through it; `witness`
//! has others cosign the tree; `jobs` sends again what was let in, and `archive` is where evidence is put.
//! `docs/ARCHITECTURE.md` is the map; `tests/it/architecture/` holds the walls.

// ── vocabulary ──
pub mod event;
pub mod ambient;
pub mod telemetry;
pub mod transparency;

// ── the way in ──
pub mod source;
pub mod enrich;
pub mod contract;
pub mod identify;
pub mod eventlog;

// ── the way out ──
pub mod route;
pub mod egress;
pub mod aws;
pub mod keys;
pub mod witness;
pub mod access;
pub mod subscriptions;
pub mod seal;
pub mod proof;
pub mod deliver;
pub mod jobs;
pub mod archive;

// ── faces ──
pub mod api;
pub mod console;

// ── the whole ──
pub mod config;
pub mod gateway;
pub mod cli;
