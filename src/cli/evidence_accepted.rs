//! `sealway evidence verify --accepted`: holds a bundle against the signed answers that a producer has kept.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::Failure;
use crate::event::EventId;
use crate::keys::VerifyingKeys;
use crate::proof::{AcceptedCheck, AcceptedReport, AcceptedScope, MissingEvent};
use crate::seal::AcceptedReader;
use crate::seal::evidence::BundleTrust;
use crate::source::Lines;

/// The longest answer that is read.
const LONGEST: usize = 8 * 1024 * 1024;

/// The answers, and which of their events the bundle should hold.
#[derive(Debug, clap::Args)]
pub struct AcceptedArgs {
    /// The signed answers of a producer, as `sealway events put --receipts` keeps them: an event that was
    /// accepted in the range of the bundle and is not in it is missing, and the answer is no
    #[arg(long, value_name = "FILE", requires = "jwks")]
    accepted: Option<PathBuf>,
    /// The subscription asks for events of this type alone, and those of others are not missed; again for
    /// each. All, if not given
    #[arg(long, value_name = "TYPE", requires = "accepted")]
    accepted_type: Vec<String>,
    /// The first event that the bundle should hold; as the bundle itself says, if not given
    #[arg(long, value_name = "ULID", requires = "accepted")]
    accepted_from: Option<EventId>,
    /// The producer that the answers are to be for: the caller's name, or its access key id. Any, if not
    /// given
    #[arg(long, value_name = "NAME", requires = "accepted")]
    accepted_producer: Option<String>,
}

impl AcceptedArgs {
    /// Reads the answers, if there are any.
    ///
    /// # Errors
    ///
    /// The caller's turn: the file cannot be read, or has nothing in it.
    pub fn read(
        &self,
        keys: Option<&VerifyingKeys>,
        issuers: &[String],
    ) -> Result<Option<AcceptedCheck>, Failure> {
        let (Some(place), Some(issuer_keys)) = (&self.accepted, keys) else { return Ok(None) };
        let mut check = AcceptedCheck::new(AcceptedScope {
            types: self.accepted_type.iter().cloned().collect(),
            from: self.accepted_from,
            producer: self.accepted_producer.clone(),
        });
        let (now, leeway) = (SystemClock.now(), BundleTrust::LEEWAY);
        let reader = AcceptedReader { issuer_keys, issuers, now, leeway };
        each_answer(place, |line, token| check.take_receipt(line, token, &reader))?;
        Ok(Some(check))
    }

    /// What to say of the file.
    fn place(&self) -> std::path::Display<'_> {
        self.accepted.as_deref().unwrap_or_else(|| Path::new("")).display()
    }
}

/// Reads a file of signed answers, one to a line.
///
/// # Errors
///
/// The caller's turn: it cannot be read, or has nothing in it.
pub fn each_answer(place: &Path, mut take: impl FnMut(usize, &str)) -> Result<(), Failure> {
    let file = File::open(place).with_context(|| format!("cannot read {}", place.display()));
    let mut is_empty = true;
    for line in Lines::new(BufReader::new(file.map_err(Failure::input)?), LONGEST) {
        let line = line.map_err(|error| {
            Failure::blame(error).context(format!("cannot read {}", place.display()))
        })?;
        is_empty = false;
        take(line.number, line.text.trim());
    }
    if is_empty {
        return Err(Failure::input(anyhow!("{} holds no signed answer", place.display())));
    }
    Ok(())
}

/// What was found, for programs.
pub fn report(found: &AcceptedReport) -> Value {
    let flaws = found.flaws.iter().map(|flaw| {
        json!({
            "line": flaw.line, "id": flaw.event.map(|id| id.to_string()), "problem": flaw.problem,
        })
    });
    let missing = found.missing.iter().map(|one| {
        json!({
            "line": one.line, "id": one.event.to_string(), "position": one.position,
            "sha256": one.sent.to_string(), "accepted": one.accepted,
            "behind-last": one.is_behind_last,
        })
    });
    json!({
        "receipts": found.receipts, "events": found.events, "found": found.found,
        "lost": found.lost, "unanswered-types": found.unanswered_types, "other-types": found.other_types, "earlier": found.earlier, "later": found.later,
        "missing-count": found.missing_count, "missing": missing.collect::<Vec<_>>(),
        "missing-keys": found.missing_keys,
        "flaw-count": found.flaw_count, "flaws": flaws.collect::<Vec<_>>(),
    })
}

/// What was found, for people.
pub fn text(found: &AcceptedReport, args: &AcceptedArgs) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for flaw in &found.flaws {
        let line = flaw.line.map_or_else(String::new, |line| format!(", line {line}"));
        let event = flaw.event.map_or_else(String::new, |id| format!(" ({id})"));
        lines.push(format!("{}{line}{event}: {}", args.place(), flaw.problem));
    }
    lines.extend(found.missing.iter().map(in_words));
    let told = found.flaws.len() + found.missing.len();
    if found.flaw_count + found.missing_count > told {
        lines.push(format!("and {} more", found.flaw_count + found.missing_count - told));
    }
    lines.extend(found.unanswered_types.iter().map(|one| {
        format!("no answer tells of an event of the type {one}: is it written as consumers see it?")
    }));
    lines.push(format!(
        "accepted: {} answers with {} events; {} are in the bundle, {} are missing, {} are from before it, {} \
         from behind it, {} of other types, {} lost with a declared restore",
        found.receipts,
        found.events,
        found.found,
        found.missing_count,
        found.earlier,
        found.later,
        found.other_types,
        found.lost,
    ));
    lines
}

fn in_words(missing: &MissingEvent) -> String {
    let MissingEvent { line, event, sent, accepted, .. } = missing;
    let position =
        missing.position.map_or_else(String::new, |position| format!(" at position {position}"));
    let behind = if missing.is_behind_last {
        "; the bundle has no later event, so its subscription may not have come so far"
    } else {
        ""
    };
    format!(
        "missing: event {event}, accepted{position} by {accepted} (line {line}, sha256 {sent}){behind}"
    )
}
