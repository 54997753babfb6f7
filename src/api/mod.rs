//! The HTTP API: what it promises, and to whom.
//!
//! Requests come in, rooms are asked, answers go out: JSON, or a [`Problem`] (RFC 9457) with a
//! stable code that `docs/errors.md` explains. [`router()`] lists every route on one screen. Handlers
//! take [`Services`] as their state and a [`Caller`] where the route is not open to all.
//!
//! **Invariant:** only this room speaks status codes, and nothing an error of ours says inside
//! reaches a caller.

mod access;
mod access_requests;
mod access_tokens;
mod acting;
mod actions;
mod authentication;
mod answer_shares;
mod answer_subject;
mod api_destination;
mod asked_receipt;
mod body_budget;
mod bus;
mod cached;
mod caller;
mod callers;
mod config;
mod connections;
mod consent;
mod contract_query;
mod credentials;
mod dead_letters;
mod deliveries;
mod documents;
mod draining;
mod dry_run;
mod event_body;
mod event_choice;
mod events;
mod evidence;
mod evidence_ask;
mod evidence_bounds;
mod evidence_contract;
mod evidence_incarnations;
mod evidence_notes;
mod evidence_places;
mod evidence_receipt_keys;
mod evidence_series;
mod evidence_tree;
mod exports;
mod explain;
mod external_ids;
mod problem_pages;
mod find_event;
mod find_subscription;
mod found;
mod grants;
mod health;
mod historical_keys;
mod in_force;
mod jobs;
mod json_object;
mod kept_answers;
mod limits;
mod lists;
mod log;
mod log_access;
mod log_files;
mod log_incarnations;
mod log_proofs;
mod log_trees;
mod no_delivery;
mod oauth_token;
mod openapi;
mod outcome;
mod own_answers;
mod peer;
mod poll;
mod poll_receipts;
mod post_events;
mod problem;
mod publication_sight;
mod published;
mod publisher;
mod pull;
mod quarantine;
mod quarantine_size;
mod query;
mod queues;
mod rates;
mod readers;
mod reading_place;
mod readiness;
mod receipts;
mod received_trace;
mod redrives;
mod repeats;
mod replays;
mod request;
mod router;
mod schemas;
mod services;
mod settings;
mod set_aside;
mod signed_answer;
mod sink_credential;
mod source_rights;
mod stalled;
mod stream;
mod subscription_shown;
mod subscriptions;
mod taking;
mod unread;
mod verify;
mod withheld;

pub use access_tokens::AccessTokens;
pub use body_budget::BodyBudget;
pub use bus::bus_route;
pub use caller::{Caller, Scope, ScopeError};
pub use callers::{CallerError, CallerRecord, Callers};
pub use config::Config;
pub use documents::Documents;
pub use draining::draining_router;
pub use dry_run::{TriedAttributes, TriedEvent, TriedField, TriedPublication};
pub use evidence_series::{SeriesOutcome, SeriesStep, next_bundle};
pub use in_force::{InForce, InForceCounts, InForceDigests, ReloadTold};
pub use limits::serve;
pub use lists::{
    AccessRequestListQuery, ActionListQuery, AttemptListQuery, DEFAULT_LIMIT, DeadLetterListQuery,
    EventListQuery, EvidenceQuery, FetchQuery, GrantListQuery, ListAnswer, QuarantineListQuery,
    RecallQuery, ReceiptListQuery, SubscriptionListQuery, TraceQuery, WithdrawQuery,
};
pub use log_access::LogProofs;
pub use openapi::openapi;
pub use problem::{Code, Problem};
pub use queues::DrainRequest;
pub use rates::Rates;
pub use readers::Readers;
pub use readiness::{Readiness, Trouble};
pub use redrives::RedriveRequest;
pub use replays::ReplayRequest;
pub use router::router;
pub use services::Services;
pub use verify::ChallengeResponse;
