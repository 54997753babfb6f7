//! The commands; the only room that prints.
//!
//! Each command is a file with its `Args` and a `run` that takes them and the [`Context`]. What a
//! command has to say goes through [`Output`]: for people as text and tables, with `--output json`
//! for programs. How it ended is an [`Exit`] or a [`Failure`], which become the exit code:
//!
//! | Code | Meaning |
//! |---|---|
//! | 0 | done, or the answer is yes |
//! | 1 | the answer is no: nothing matches, a token does not open, a check found mistakes |
//! | 2 | the command line, a file or the request is wrong; change it |
//! | 3 | the gateway cannot be reached, or something of ours is broken |
//! | 4 | nothing is wrong, but it is believed on its own word only |
//! | 141 | whoever read standard output has gone, and the rest was not written |
//!
//! **Invariant:** nothing outside this room writes to the terminal, and no command prints except
//! through [`Output`].

mod acting;
mod actions;
mod answer;
mod access;
mod apply;
mod apply_changes;
mod apply_grants;
mod apply_prune;
mod asked;
mod aws;
mod callers;
mod carried;
mod check;
mod check_log;
mod client;
mod command;
mod config;
mod config_drift;
mod consumer_key;
mod context;
mod contract;
mod contract_sample;
mod data_directory;
mod dead_letters;
#[cfg(feature = "aws")]
mod demo;
mod event_file;
mod event_key;
mod events;
mod events_put;
mod events_explain;
mod events_try;
mod events_try_words;
mod evidence;
mod evidence_accepted;
mod evidence_export;
mod evidence_exports;
mod evidence_verify;
mod evidence_witnesses;
mod exit_codes;
mod export;
mod failure;
mod gateway_state;
mod grants;
mod harmless;
mod import;
mod issuer;
mod keys;
mod keys_adopt;
mod log_incarnation;
mod log_proof;
mod log_proof_accepted;
mod log_restored;
mod log;
mod log_verify;
mod log_verify_tree;
mod open;
mod output;
mod pattern;
mod pull;
mod pull_signed;
mod proof_answer;
mod put_tally;
mod receipt_file;
mod quarantine;
mod quarantine_release;
mod record_file;
mod rehearsal;
mod rehearsal_attributes;
mod rehearsal_finding;
mod rehearsal_groups;
mod rehearsal_maps;
mod rehearsal_try;
mod replay;
mod serve;
mod subscription_changes;
mod subscription_file;
mod subscriptions;
mod subscriptions_why;
mod token_keys;
mod verify_chain;
mod verify_chain_text;
mod waiting;
mod witness;

pub use client::Client;
pub use command::main;
pub use context::Context;
pub use data_directory::DataDirectory;
pub use failure::{CommandResult, Exit, Failure};
pub use output::{Column, Format, Output};
