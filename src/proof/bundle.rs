//! Judges an evidence bundle as a whole: its lines, what is in its tokens, and its contracts.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};

use jsonschema::Validator;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::event::TokenDigest;
use crate::proof::asked::AskedFilter;
use crate::proof::bundle_words::BundleWords;
use crate::proof::{AcceptedCheck, AcceptedReport, contract_line};
use crate::seal::evidence::{BundleLine, BundleTrust, Examiner, LONGEST_LINE, OpenedEvent};

/// What a bundle is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BundleVerdict {
    /// Whole, and signed by keys that were trusted before.
    Valid,
    /// Whole, but only its own keys say who signed it.
    Consistent,
    /// Something is wrong with it.
    Wrong,
}

impl BundleVerdict {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Consistent => "consistent",
            Self::Wrong => "wrong",
        }
    }
}

/// Why there is nothing to judge.
#[derive(Debug, thiserror::Error)]
pub enum NoBundle {
    /// The bytes could not be read.
    #[error("the bundle cannot be read")]
    Read(#[from] io::Error),
    /// The first line is not that of a bundle.
    #[error("this is no evidence bundle: its first line is not of the kind `evidence`")]
    Other,
}

/// What was found.
#[must_use]
pub struct BundleReport<'a> {
    /// What the lines say and what is wrong with them.
    pub examined: Examiner<'a>,
    /// Opened events whose data no contract in the bundle describes.
    pub unvalidated: u64,
    /// What was found by the answers that a producer has kept, where there are any.
    pub accepted: Option<AcceptedReport>,
    /// The SHA-256 of its bytes, by which the next bundle of a series names it.
    pub sha256: TokenDigest,
    /// Whether an event with a salted digest was opened.
    is_salted: bool,
    asked: AskedFilter,
}

impl BundleReport<'_> {
    /// Opened events of which it was too much work to tell whether the subscription asks for them.
    pub const fn unjudged(&self) -> u64 {
        self.asked.unjudged
    }

    /// What the bundle is: without keys from elsewhere, whoever made it may be anyone.
    pub const fn verdict(&self) -> BundleVerdict {
        if let Some(accepted) = &self.accepted
            && !accepted.is_good()
        {
            return BundleVerdict::Wrong;
        }
        match (self.examined.flaw_count, self.examined.trusts_keys()) {
            (0, true) => BundleVerdict::Valid,
            (0, false) => BundleVerdict::Consistent,
            _ => BundleVerdict::Wrong,
        }
    }
}

/// Reads a bundle line by line, in memory that does not grow with its events.
///
/// # Errors
///
/// The caller's turn: the bytes cannot be read, or are those of something else. What is wrong with a
/// bundle is in the report.
pub fn verify_bundle<'a>(
    bundle: &mut (impl BufRead + ?Sized),
    trust: BundleTrust<'a>,
) -> Result<BundleReport<'a>, NoBundle> {
    verify_bundle_against(bundle, trust, None)
}

/// As [`verify_bundle`], and holds the bundle against the answers that a producer has kept: what was accepted
/// in its range and is not in it is missing.
///
/// # Errors
///
/// As [`verify_bundle`].
pub fn verify_bundle_against<'a>(
    bundle: &mut (impl BufRead + ?Sized),
    trust: BundleTrust<'a>,
    mut accepted: Option<AcceptedCheck>,
) -> Result<BundleReport<'a>, NoBundle> {
    let mut report = BundleReport {
        examined: Examiner::new(trust),
        unvalidated: 0,
        accepted: None,
        sha256: TokenDigest::of(""),
        is_salted: false,
        asked: AskedFilter::default(),
    };
    let mut hash = Sha256::new();
    let mut validators = HashMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than a line may have, so that a longer one has no end and is refused.
        let limit = LONGEST_LINE as u64 + 1;
        if (&mut *bundle).take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        hash.update(&line);
        match report.examined.take(&line) {
            Some(BundleLine::Event(opened)) => report.compare(&opened, &mut validators),
            Some(BundleLine::Contract { document, schema }) => {
                if let Some(problem) = contract_line::problem_of(&document, &schema) {
                    report.examined.find(problem.to_owned());
                }
            }
            None => {}
        }
        let Some(header) = report.examined.header() else { break };
        if let Some(accepted) = &mut accepted
            && let Some(words) = BundleWords::of(&line, header.tree)
        {
            accepted.take_line(&words);
        }
    }
    if !report.examined.is_bundle() {
        return Err(NoBundle::Other);
    }
    // Nothing that follows a header that cannot be read is worth a word.
    if report.examined.header().is_some() {
        report.examined.finish();
    }
    report.accepted =
        accepted.map(|accepted| accepted.finish(trust.issuers, report.examined.incarnations()));
    report.sha256 = TokenDigest::from_bytes(hash.finalize().into());
    Ok(report)
}

impl BundleReport<'_> {
    /// The form of a digest belongs to its event: once digests are salted, all are, and each event is in the
    /// tree, which begins with them.
    fn compare_form(&mut self, told: &OpenedEvent) {
        if told.opened.salted().is_none() {
            if self.is_salted {
                let problem = "its digest is of form 1, and that of an event before it of form 2";
                self.examined.find(problem.to_owned());
            }
            return;
        }
        self.is_salted = true;
        if !told.is_in_tree {
            let problem =
                "its digest is salted, and nothing proves that it is in the tree over the log";
            self.examined.find(problem.to_owned());
        }
    }

    /// Holds what was in a token against its line and its contract.
    fn compare(&mut self, told: &OpenedEvent, validators: &mut HashMap<String, Option<Validator>>) {
        let event = told.opened.event();
        if event.get("id").and_then(Value::as_str) != Some(told.opened.id()) {
            self.examined.find("the event in the token has another id than the token".to_owned());
        }
        self.compare_form(told);
        self.asked.judge(&mut self.examined, told);
        let Some(dataschema) = event.get("dataschema").and_then(Value::as_str) else {
            self.unvalidated += 1;
            return;
        };
        let Some(known) = self.examined.schema(dataschema) else {
            let problem = format!("the contract {dataschema} is not in the bundle");
            return self.examined.find(problem);
        };
        let validator = validators.entry(dataschema.to_owned()).or_insert_with(|| {
            known.as_ref().and_then(|schema| jsonschema::validator_for(schema).ok())
        });
        if known.is_none() && told.opened.salted().is_some() {
            let problem = "its contract is left out, and it is no event of before";
            self.examined.find(problem.to_owned());
        }
        match (validator, event.get("data")) {
            (Some(validator), Some(data)) if !validator.is_valid(data) => {
                self.examined.find(format!("the data breaks its contract {dataschema}"));
            }
            (Some(_), Some(_)) => {}
            _ => self.unvalidated += 1,
        }
    }
}
