//! `sealway verify-chain`: says offline whether a consumer holds everything, in order, unaltered.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::token_keys::{Parties, TokenKeys};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::{
    ChainValue, ContentDigest, EventSource, EventType, Subject, SubscriptionId, Timestamp,
};
use crate::identify::Content;
use crate::seal::{
    ChainCheck, ChainStanding, Checkpoint, CheckpointReader, Finding, Link, NumberedToken, Opened,
    Opening, PlaceClaims, open,
};
use crate::transparency::{TreeHead, TreeRoot};

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
    /// A signed checkpoint, which tells whether the last event held is the newest
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The first sequence number to check; 1, if not given
    #[arg(long, value_name = "SEQ", requires = "chain",
        value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// The chain value before the first: what an earlier check printed, or its `prv`
    #[arg(long, value_name = "VALUE", requires = "from", allow_hyphen_values = true)]
    chain: Option<ChainValue>,
}

/// What was read.
#[derive(Default)]
struct Held {
    tokens: usize,
    links: Vec<Link>,
    replays: usize,
    /// Tokens without a place, such as challenges, and those of other subscriptions.
    others: usize,
    /// Where tokens stand that do not open, or hold no event.
    unusable: Vec<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Value>,
    findings: Vec<Value>,
}

/// Runs the command; the answer is no if anything is missing, doubled, reordered or altered.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let keys = args.parties.keys().await?;
    let now = SystemClock.now();
    let opening = Opening { stored: true, ..args.parties.opening(&keys, now) };
    let mut held = Held::default();
    for file in &args.files {
        held.read(file, &args.subscription, &opening).map_err(Failure::input)?;
    }
    let checkpoint = args
        .checkpoint
        .as_deref()
        .map(|file| checkpoint(file, &args, &keys, now))
        .transpose()
        .map_err(Failure::input)?;
    let start = PlaceClaims {
        sequence: args.from.unwrap_or(1),
        previous: args.chain.unwrap_or_else(|| ChainValue::start(&args.subscription)),
    };
    let mut check = ChainCheck::of(start, std::mem::take(&mut held.links));
    let stands = checkpoint.map(|checkpoint| (check.compare(&checkpoint), checkpoint));
    // A checkpoint may say that there is nothing to hold; one of before the start says nothing.
    let told = stands.as_ref().is_some_and(|(standing, _)| *standing != ChainStanding::Ahead);
    if check.events == 0 && held.unusable.is_empty() && !told {
        let (tokens, of) = (held.tokens, &args.subscription);
        let what =
            anyhow!("none of {tokens} tokens has a place in `{of}` from {} on", start.sequence);
        return Err(Failure::input(what));
    }
    let report = report(args.subscription, &held, &check, stands.as_ref());
    context.output().item(&report, |_| text(&held, &check, stands.as_ref()));
    Ok(if report.whole { Exit::Done } else { Exit::No })
}

impl Held {
    fn read(
        &mut self,
        file: &Path,
        subscription: &SubscriptionId,
        opening: &Opening<'_>,
    ) -> anyhow::Result<()> {
        let (name, reader): (_, Box<dyn BufRead>) = if file == Path::new("-") {
            ("standard input".to_owned(), Box::new(io::stdin().lock()))
        } else {
            let name = file.display().to_string();
            let file = File::open(file).with_context(|| format!("cannot read {name}"))?;
            (name, Box::new(BufReader::new(file)))
        };
        for (number, line) in (1..).zip(reader.lines()) {
            let line = line.with_context(|| format!("cannot read {name}, line {number}"))?;
            let token = line.trim();
            if !token.is_empty() {
                self.take(token, || format!("{name}, line {number}"), (subscription, opening));
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        token: &str,
        place: impl FnOnce() -> String,
        (subscription, opening): (&SubscriptionId, &Opening<'_>),
    ) {
        self.tokens += 1;
        let Ok(opened) = open(token, opening) else {
            return self.unusable.push(place());
        };
        let of = opened.claims().pointer("/sub_id/id").and_then(Value::as_str);
        if of != Some(subscription.as_str()) {
            self.others += 1;
        } else if opened.replay().is_some() {
            self.replays += 1;
        } else if let Some(place_in_chain) = opened.place() {
            match link(&opened, place_in_chain) {
                Some(link) => self.links.push(link),
                None => self.unusable.push(place()),
            }
        } else {
            self.others += 1;
        }
    }
}

fn link(opened: &Opened, place: PlaceClaims) -> Option<Link> {
    Some(Link { id: opened.id().parse().ok()?, place, digest: digest(opened.event())? })
}

/// The digest of an event's content; nothing if it is no CloudEvent of the gateway.
pub(super) fn digest(event: &Value) -> Option<ContentDigest> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let subject = text("subject").map(Subject::new).transpose().ok()?;
    let (source, kind) = (EventSource::new(text("source")?), EventType::new(text("type")?));
    let content =
        Content::of(&source.ok()?, &kind.ok()?, subject.as_ref(), event.get("data")?).ok()?;
    Some(content.digest())
}

fn checkpoint(
    file: &Path,
    args: &Args,
    keys: &TokenKeys,
    now: Timestamp,
) -> anyhow::Result<Checkpoint> {
    let place = file.display();
    let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?;
    let expected = args.parties.opening(keys, now);
    let reader = CheckpointReader {
        issuer_keys: expected.issuer_keys,
        issuer: expected.issuer,
        audience: expected.audience,
        now,
        leeway: expected.leeway,
    };
    // The API gives a checkpoint as a JSON text.
    let checkpoint = reader
        .read(token.trim().trim_matches('"'))
        .map_err(|_| anyhow!("{place} is not a checkpoint of this issuer for this audience"))?;
    let of = &checkpoint.subscription;
    ensure!(*of == args.subscription, "{place} is a checkpoint of the subscription `{of}`");
    Ok(checkpoint)
}

fn report(
    subscription: SubscriptionId,
    held: &Held,
    check: &ChainCheck,
    stands: Option<&(ChainStanding, Checkpoint)>,
) -> Report {
    let unusable = held.unusable.iter().map(|at| json!({"kind": "unusable", "at": at}));
    let checkpoint = stands.map(|(standing, checkpoint)| {
        json!({
            "sequence": checkpoint.sequence,
            "issued-at": checkpoint.issued_at,
            "head": checkpoint.head.map(|head| head.to_string()),
            "tree": checkpoint.tree,
            "held": word(*standing),
        })
    });
    let findings: Vec<Value> = unusable.chain(check.findings.iter().map(finding)).collect();
    Report {
        subscription,
        whole: findings.is_empty(),
        first: check.first.map(numbered),
        last: check.last.map(numbered),
        next: json!({
            "sequence": check.next.sequence, "chain": check.next.previous.to_string(),
        }),
        events: check.events,
        repeats: check.repeats,
        replays: held.replays,
        others: held.others,
        earlier: check.earlier,
        checkpoint,
        findings,
    }
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
    }
}

fn text(held: &Held, check: &ChainCheck, stands: Option<&(ChainStanding, Checkpoint)>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for place in &held.unusable {
        let _ = writeln!(text, "unusable: {place} does not open, or holds no event");
    }
    for finding in &check.findings {
        let _ = writeln!(text, "{finding}");
    }
    if let (true, Some(first), Some(last)) = (text.is_empty(), check.first, check.last) {
        let _ = writeln!(text, "whole: from {first} to {last}");
    }
    if let Some((standing, checkpoint)) = stands {
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
        if let Some(TreeHead { first, tree }) = checkpoint.tree {
            let TreeRoot { size, root } = tree;
            let _ = writeln!(text, "tree: {size} leaves from position {first} on, root {root}");
        }
    }
    let _ = write!(
        text,
        "read: {} tokens: {} events, {} repeats, {} replays, {} before the start, {} others\n\
         to go on: --from {} --chain {}",
        held.tokens,
        check.events,
        check.repeats,
        held.replays,
        check.earlier,
        held.others,
        check.next.sequence,
        check.next.previous,
    );
    text
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
