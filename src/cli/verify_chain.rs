//! `sealway verify-chain`: says offline whether a consumer holds everything, in order, unaltered.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::record_file;
use crate::cli::token_keys::Parties;
use crate::cli::verify_chain_text::{DISAGREE, text};
use crate::cli::{CommandResult, Context, Exit, Failure, asked};
use crate::event::{ChainValue, SubscriptionId, Timestamp, number_of};
use crate::proof::{ChainReport, ChainTrust, LostEvents, StoredTokens, verify_chain};
use crate::seal::evidence::LONGEST_LINE;
use crate::seal::{
    AccessEnd, ChainStanding, ComingAccessEnd, Finding, MissingKey, NumberedToken, PlaceClaims,
};
use crate::source::{InputLine, Lines};

/// Which tokens, of which subscription, and where its chain begins.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stored tokens, one in each file or one in each line; `-` reads standard input. Each is
    /// judged at its own `iat`, so that it may have expired since
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    parties: Parties,
    /// The subscription whose chain is checked
    #[arg(long, value_name = "ID")]
    subscription: SubscriptionId,
    /// A signed checkpoint, which tells whether the last event held is the newest; again for each
    /// that was kept: they are held against each other, too
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The consumer's own subscription document, in YAML or JSON: a checkpoint of a subscription that asks
    /// for anything else is wrong. Again for each that it had
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    subscription_document: Vec<PathBuf>,
    /// Signed records of the log's incarnations, as `GET /log/incarnations` gives them, or a bundle of
    /// evidence that holds them: behind a restore that they declare, the chain goes on
    #[arg(long, value_name = "FILE")]
    incarnations: Vec<PathBuf>,
    /// The first sequence number to check; 1, if not given
    #[arg(long, value_name = "SEQ", requires = "chain",
        value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// The chain value before the first: what an earlier check printed, or its `prv`
    #[arg(long, value_name = "VALUE", requires = "from", allow_hyphen_values = true)]
    chain: Option<ChainValue>,
}

/// What the command says.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    subscription: SubscriptionId,
    whole: bool,
    first: Option<Value>,
    last: Option<Value>,
    next: Value,
    events: usize,
    repeats: usize,
    replays: usize,
    others: usize,
    earlier: usize,
    missing_keys: BTreeSet<String>,
    lost: Vec<Value>,
    undeclared: BTreeSet<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Value>,
    checkpoints: usize,
    findings: Vec<Value>,
}

/// Runs the command; the answer is no if anything is missing, doubled, reordered or altered, does not open or
/// has a signature that cannot be believed.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let keys = args.parties.keys().await?;
    let documents = asked::of_documents(&args.subscription_document)?;
    let trust = args.parties.trust(&keys, &documents, SystemClock.now());
    let of = (&args.subscription, &trust);
    let mut stored = StoredTokens::default();
    for file in &args.files {
        read(file, &mut stored, of).map_err(Failure::input)?;
    }
    for file in &args.incarnations {
        record_file::read(file, &mut stored, &trust).map_err(Failure::input)?;
    }
    let checkpoints: anyhow::Result<Vec<String>> =
        args.checkpoint.iter().map(|file| checkpoint(file)).collect();
    let checkpoints = checkpoints.map_err(Failure::input)?;
    let start = PlaceClaims {
        sequence: args.from.unwrap_or(1),
        previous: args.chain.unwrap_or_else(|| ChainValue::start(&args.subscription)),
    };
    let found = verify_chain(stored, start, &checkpoints, of);
    if found.says_nothing() {
        let tokens = number_of(found.stored.tokens, "token");
        let others: Vec<&str> =
            found.stored.other_subscriptions.iter().map(String::as_str).collect();
        let whose = if others.is_empty() {
            String::new()
        } else {
            format!(
                "; what opens is of {}: `--subscription` takes the id, which tokens carry as `sub_id`",
                others.join(", ")
            )
        };
        return Err(Failure::input(anyhow!(
            "none of {tokens} has a place in `{}` from {} on{whose}",
            args.subscription,
            start.sequence
        )));
    }
    let report = report(args.subscription, &found);
    context.output().item(&report, |_| text(&found));
    Ok(if report.whole { Exit::Done } else { Exit::No })
}

fn read(
    file: &Path,
    stored: &mut StoredTokens,
    of: (&SubscriptionId, &ChainTrust<'_>),
) -> anyhow::Result<()> {
    let (name, reader): (_, Box<dyn BufRead>) = if file == Path::new("-") {
        ("standard input".to_owned(), Box::new(io::stdin().lock()))
    } else {
        let name = file.display().to_string();
        let file = File::open(file).with_context(|| format!("cannot read {name}"))?;
        (name, Box::new(BufReader::new(file)))
    };
    for line in Lines::new(reader, LONGEST_LINE) {
        let InputLine { number, text } = line.with_context(|| format!("cannot read {name}"))?;
        stored.take(text.trim(), || format!("{name}, line {number}"), of);
    }
    Ok(())
}

/// A checkpoint from a file; the API gives it as a JSON text.
fn checkpoint(file: &Path) -> anyhow::Result<String> {
    let token =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(token.trim().trim_matches('"').to_owned())
}

fn report(subscription: SubscriptionId, found: &ChainReport) -> Report {
    let (stored, check) = (&found.stored, &found.check);
    let unusable = stored.unusable.iter().map(|token| {
        let missing = token.missing.as_ref().map(MissingKey::kid);
        let fault = token.fault.map(|fault| fault.to_string());
        json!({"kind": "unusable", "at": token.at, "missing-key": missing, "problem": fault})
    });
    let bad = found.bad_checkpoints.iter();
    let bad = bad.map(|problem| json!({"kind": "bad-checkpoint", "problem": problem.to_string()}));
    let conflicts = found.conflicts.iter().map(|conflict| {
        let problem = conflict.to_string();
        json!({"kind": DISAGREE, "sequences": conflict.sequences(), "problem": problem})
    });
    let checkpoint = found.newest.as_ref().map(|(standing, checkpoint)| {
        json!({
            "sequence": checkpoint.sequence,
            "issued-at": checkpoint.issued_at,
            "head": checkpoint.head.map(|head| head.to_string()),
            "tree": checkpoint.tree,
            "incarnation": checkpoint.incarnation,
            "sub-digest": checkpoint.sub_digest,
            "asked": checkpoint.asked,
            "held": word(*standing),
            "ended": checkpoint.ended.iter().map(ended).collect::<Vec<_>>(),
            "ending": checkpoint.ending.iter().map(ending).collect::<Vec<_>>(),
            "closing": checkpoint.closing,
        })
    });
    let other_ask = found.other_ask.iter();
    let other_ask = other_ask.map(|problem| json!({"kind": "other-ask", "problem": problem}));
    let doubts = bad.chain(conflicts).chain(other_ask);
    let findings = unusable.chain(doubts).chain(check.findings.iter().map(finding));
    Report {
        subscription,
        whole: found.is_whole(),
        first: check.first.map(numbered),
        last: check.last.map(numbered),
        next: json!({
            "sequence": check.next.sequence, "chain": check.next.previous.to_string(),
        }),
        events: check.events,
        repeats: check.repeats,
        replays: stored.replays,
        others: stored.others,
        earlier: check.earlier,
        missing_keys: stored.missing_keys.clone(),
        lost: found.lost.iter().map(|lost| lost_events(lost, stored)).collect(),
        undeclared: found.undeclared.clone(),
        checkpoint,
        checkpoints: found.checkpoints,
        findings: findings.collect(),
    }
}

/// Events that a declared restore has lost, with what the record says of it.
fn lost_events(lost: &LostEvents, stored: &StoredTokens) -> Value {
    let record = stored.incarnations().find(|record| record.number == lost.incarnation);
    json!({
        "incarnation": lost.incarnation,
        "began": record.map(|record| record.began),
        "survivors": record.map(|record| &record.survivors),
        "before": record.map(|record| &record.before),
        "events": lost.events.iter().copied().map(numbered).collect::<Vec<_>>(),
    })
}

const fn word(standing: ChainStanding) -> &'static str {
    match standing {
        ChainStanding::Newest => "newest",
        ChainStanding::Behind => "behind",
        ChainStanding::Ahead => "ahead",
    }
}

fn numbered(event: NumberedToken) -> Value {
    json!({"sequence": event.sequence, "id": event.id.to_string()})
}

fn finding(finding: &Finding) -> Value {
    let kind = finding.kind();
    match finding {
        Finding::Missing { from, to, after, before } => json!({
            "kind": kind, "from": from, "to": to,
            "after": after.map(numbered), "before": before.map(numbered),
        }),
        Finding::Conflict { sequence, ids } => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            json!({"kind": kind, "sequence": sequence, "ids": ids})
        }
        Finding::Doubled { event, again } => {
            json!({"kind": kind, "event": numbered(*event), "again": again})
        }
        Finding::Reordered { event, behind } => {
            json!({"kind": kind, "event": numbered(*event), "behind": numbered(*behind)})
        }
        Finding::Altered { event, after } => {
            json!({"kind": kind, "event": numbered(*event), "after": after.map(numbered)})
        }
        Finding::Contradicted { sequence } => json!({"kind": kind, "sequence": sequence}),
        Finding::Undeclared { incarnation } | Finding::Forked { incarnation } => {
            json!({"kind": kind, "incarnation": incarnation})
        }
    }
}

fn ended(end: &AccessEnd) -> Value {
    json!({
        "publication": end.publication, "reason": end.reason,
        "at": Timestamp::from_unix_seconds(end.at), "detail": end.detail,
    })
}

fn ending(end: &ComingAccessEnd) -> Value {
    json!({ "publication": end.publication, "at": Timestamp::from_unix_seconds(end.at) })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_chain_value_may_begin_with_a_hyphen() {
        let value = format!("-{}", "A".repeat(42));
        let parties =
            "--key own.jwk --jwks keys.json --issuer https://gateway.example --audience shop";
        let words = format!("x {parties} --subscription shop --from 2 --chain {value} tokens");
        let line = Line::try_parse_from(words.split(' ')).unwrap();

        assert_eq!(line.args.chain.map(|chain| chain.to_string()), Some(value));
    }
}
