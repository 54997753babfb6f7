//! Tells what happens, hop by hop.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::cli::Output;

/// Writes one line for each hop, with the time since the story began.
#[derive(Clone)]
pub struct Narrator {
    output: Output,
    began: Instant,
    /// What was claimed, and whether it held.
    claims: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Narrator {
    /// Begins now.
    pub fn new(output: Output) -> Self {
        Self { output, began: Instant::now(), claims: Arc::default() }
    }

    /// Opens a chapter.
    pub fn chapter(&self, title: &str) {
        self.say(&format!("\n{title}\n{}", "─".repeat(title.chars().count())));
    }

    /// Tells one hop: who does what.
    pub fn hop(&self, who: &str, what: &str) {
        let ms = self.began.elapsed().as_millis();
        self.say(&format!("{ms:>6} ms  {who:<21} {what}"));
    }

    /// Says something without a time; programs are told the claims only.
    pub fn say(&self, text: &str) {
        if !self.output.is_json() {
            self.output.line(text);
        }
    }

    /// Shows that a claim holds, or that it does not.
    pub fn claim(&self, claim: &str, holds: bool) {
        self.say(&format!("  {} {claim}", if holds { "✓" } else { "✗ NOT TRUE:" }));
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.push((claim.to_owned(), holds));
    }

    /// What was claimed so far, and whether it held.
    pub fn claims(&self) -> Vec<(String, bool)> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
