//! Drops what is too old as new rows come, so that no table of them grows and none is ever read whole.

use std::time::Duration;

use rusqlite::Connection;

use crate::eventlog::LogLimits;
use crate::eventlog::sqlite::actions::ActionSweep;
use crate::eventlog::sqlite::queue::WriteRequest;
use crate::eventlog::sqlite::running::RunningTime;
use crate::eventlog::sqlite::{attempts, origins, receipts};

/// Old rows are looked for once so many were added, and twice as many are looked at.
const SWEEP_AFTER: usize = 256;

/// How much was added since old rows were last looked for.
pub(super) struct Sweeping {
    /// How many events came.
    pub(super) origins: usize,
    origins_after: Vec<u8>,
    attempts: usize,
    /// Whether there were more attempts than are kept when it was looked last.
    too_many_attempts: bool,
    receipts: usize,
    receipt_age: Duration,
    actions: ActionSweep,
}

impl Sweeping {
    /// Begins to look for receipts and actions that are older than these bounds, and for what has its
    /// age from elsewhere.
    pub(super) const fn keeping(limits: &LogLimits) -> Self {
        Self {
            origins: 0,
            origins_after: Vec::new(),
            attempts: 0,
            too_many_attempts: false,
            receipts: 0,
            receipt_age: limits.receipt_age,
            actions: ActionSweep::keeping(limits.action_age, limits.actions_per_caller),
        }
    }

    /// Counts what a request adds.
    pub(super) fn count(&mut self, request: &WriteRequest) {
        match request {
            WriteRequest::Commit(changes, _) => {
                self.attempts += changes.attempts.len();
                self.receipts += changes.receipts.len();
            }
            WriteRequest::BeginAction(..) => self.actions.count(),
            _ => {}
        }
    }

    /// Drops what is too old, of what enough has come.
    pub(super) fn sweep(
        &mut self,
        transaction: &Connection,
        running: &RunningTime,
    ) -> rusqlite::Result<()> {
        if self.origins >= SWEEP_AFTER {
            let older = running.past_origins(transaction)?;
            self.origins_after =
                origins::sweep(transaction, &self.origins_after, self.origins * 2, &older)?;
            self.origins = 0;
        }
        if self.attempts >= SWEEP_AFTER {
            let were_too_many = self.too_many_attempts;
            self.too_many_attempts = attempts::are_too_many(transaction)?;
            if self.too_many_attempts && !were_too_many {
                tracing::warn!(
                    "The oldest attempts are dropped before their time, because there are more than a million"
                );
            }
            let older = running.older(transaction, attempts::KEPT_FOR)?;
            attempts::prune(transaction, self.attempts * 2, &older)?;
            self.attempts = 0;
        }
        if self.receipts >= SWEEP_AFTER {
            let older = running.older(transaction, self.receipt_age)?;
            receipts::prune(transaction, self.receipts * 2, &older)?;
            self.receipts = 0;
        }
        self.actions.sweep(transaction, running)
    }
}
