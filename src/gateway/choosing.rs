//! Which publications want an event: what is cheap at once, and what is not on a thread of its own.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::enrich::{Publication, Publications, WantingPublications};
use crate::event::{Fault, Violation};
use crate::route::{PatternConfig, StepAllowance};
use crate::source::{AdmitRefusal, Received};

/// Asks the patterns of publications, and never keeps other work waiting for long.
pub struct Choosing {
    publications: Arc<Publications>,
    config: PatternConfig,
    /// One event at a time: however many are expensive, they take one core.
    turn: Semaphore,
}

impl Choosing {
    /// Asks these publications, with the work that the settings allow.
    pub fn new(publications: Arc<Publications>, config: PatternConfig) -> Self {
        Self { publications, config, turn: Semaphore::new(1) }
    }

    /// Finds the publications that want an event, and those for which that takes more work than is
    /// allowed at all.
    pub async fn wanted_by(&self, received: &Arc<Received>) -> WantingPublications {
        let at_once = self.publications.wanted_by(received, self.config.at_once());
        if at_once.undecided.is_empty() {
            return at_once;
        }
        let Ok(_turn) = self.turn.acquire().await else { return at_once };
        let steps = self.config.budget().steps();
        let allowance = StepAllowance { each: steps, whole: steps };
        let (publications, received) = (Arc::clone(&self.publications), Arc::clone(received));
        let work = move || publications.wanted_by(&received, allowance);
        // Whoever panics there has decided nothing.
        tokio::task::spawn_blocking(work).await.unwrap_or(at_once)
    }

    /// Steps that an explanation of one publication may take.
    pub const fn steps_at_once(&self) -> u64 {
        self.config.at_once().each
    }
}

/// What is said of an event that is too much work for the pattern of a publication.
pub fn undecided(publication: &Publication) -> AdmitRefusal {
    let name = publication.name();
    let message = format!(
        "to tell whether publication `{name}` wants the event takes more work than is allowed"
    );
    let violation = Violation {
        pointer: String::new(),
        code: "undecided".to_owned(),
        message: format!("{message}; send it in smaller parts"),
    };
    AdmitRefusal { fault: Fault::Caller, code: "undecided", message, violations: vec![violation] }
}
