//! What `sealway verify-chain` says to people.

use std::fmt::Write as _;

use crate::cli::harmless::{harmless, harmless_line};
use crate::event::{Timestamp, number_of};
use crate::proof::{ChainReport, LostEvents, UnusableToken};
use crate::seal::{ChainStanding, Checkpoint, MissingKey};
use crate::transparency::{TreeHead, TreeRoot};

/// The word for checkpoints that say otherwise than each other, or than the events.
pub(super) const DISAGREE: &str = "checkpoints-disagree";
/// So many lost events are named in words; programs are told of all.
const MOST_TOLD: usize = 20;

/// What was found, in lines.
pub(super) fn text(found: &ChainReport) -> String {
    let (stored, check) = (&found.stored, &found.check);
    let mut text = String::new();
    // Writing to a string cannot fail.
    tell_unusable(&stored.unusable, &mut text);
    for problem in &found.bad_checkpoints {
        let _ = writeln!(text, "bad-checkpoint: {problem}");
    }
    for conflict in &found.conflicts {
        let _ = writeln!(text, "{DISAGREE}: {conflict}");
    }
    for problem in &found.other_ask {
        let _ = writeln!(text, "other-ask: {problem}");
    }
    for finding in &check.findings {
        let _ = writeln!(text, "{finding}");
    }
    if let (true, Some(first), Some(last)) = (text.is_empty(), check.first, check.last) {
        let _ = writeln!(text, "whole: from {first} to {last}");
    }
    if let Some((standing, checkpoint)) = &found.newest {
        let _ = writeln!(
            text,
            "checkpoint: at {}, of {}, with everything up to {} looked at; what is held is {}",
            checkpoint.sequence,
            checkpoint.issued_at,
            checkpoint.head.map_or_else(|| "no event".to_owned(), |head| head.to_string()),
            match standing {
                ChainStanding::Newest => "the newest",
                ChainStanding::Behind => "behind it",
                ChainStanding::Ahead => "newer",
            }
        );
        tell_ends(checkpoint, &mut text);
        if let Some(TreeHead { first, tree }) = checkpoint.tree {
            let TreeRoot { size, root } = tree;
            let _ = writeln!(text, "tree: {size} leaves from position {first} on, root {root}");
        }
    }
    tell_losses(found, &mut text);
    if !stored.missing_keys.is_empty() {
        let missing: Vec<&str> = stored.missing_keys.iter().map(String::as_str).collect();
        let _ = writeln!(text, "missing-keys: {}", missing.join(" "));
    }
    let _ = write!(
        text,
        "read: {}: {}, {}, {}, {} before the start, {} others\n\
         to go on: --from {} --chain {}",
        number_of(stored.tokens, "token"),
        number_of(check.events, "event"),
        number_of(check.repeats, "repeat"),
        number_of(stored.replays, "replay"),
        check.earlier,
        stored.others,
        check.next.sequence,
        check.next.previous,
    );
    harmless(&text).into_owned()
}

/// Which tokens tell nothing, and why.
fn tell_unusable(unusable: &[UnusableToken], text: &mut String) {
    for token in unusable {
        let _ = match &token.missing {
            Some(MissingKey::Own(kid)) => {
                writeln!(
                    text,
                    "unusable: {} is for the key `{kid}`, which is not in --key",
                    token.at
                )
            }
            Some(MissingKey::Issuer(kid)) => {
                writeln!(
                    text,
                    "unusable: {} is signed with `{kid}`, which is not in --jwks",
                    token.at
                )
            }
            None => match &token.fault {
                Some(fault) => {
                    writeln!(text, "unusable: {} is signed and cannot be true: {fault}", token.at)
                }
                None => writeln!(text, "unusable: {} does not open, or holds no event", token.at),
            },
        };
    }
}

/// What restores have lost, by the word of the gateway.
fn tell_losses(found: &ChainReport, text: &mut String) {
    for LostEvents { incarnation, events } in &found.lost {
        let count = events.len();
        let _ = write!(
            text,
            "lost: {} held {} not in the log any more, since its incarnation {incarnation} began without {}:",
            number_of(count, "event"),
            if count == 1 { "is" } else { "are" },
            if count == 1 { "it" } else { "them" },
        );
        for event in events.iter().take(MOST_TOLD) {
            let _ = write!(text, " {event}");
        }
        let _ = if count > MOST_TOLD {
            writeln!(text, " and {} more", count - MOST_TOLD)
        } else {
            writeln!(text)
        };
    }
    for number in &found.undeclared {
        let _ = writeln!(
            text,
            "undeclared: no record of incarnation {number} of the log was given; --incarnations takes it"
        );
    }
}

/// What the consumer hears no more, by the word of the gateway; a detail is another's text.
fn tell_ends(checkpoint: &Checkpoint, text: &mut String) {
    for end in &checkpoint.ended {
        let at = Timestamp::from_unix_seconds(end.at);
        let detail = if end.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", harmless_line(&end.detail))
        };
        let (publication, reason) = (harmless_line(&end.publication), harmless_line(&end.reason));
        let _ = writeln!(text, "ended: {publication}, {reason} at {at}{detail}");
    }
    for end in &checkpoint.ending {
        let at = Timestamp::from_unix_seconds(end.at);
        let _ = writeln!(text, "ends soon: {}, at {at}", harmless_line(&end.publication));
    }
    if checkpoint.closing {
        let _ = writeln!(text, "closing: this subscription hears nothing more");
    }
}
