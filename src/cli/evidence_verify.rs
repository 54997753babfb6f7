//! `sealway evidence verify`: holds an evidence bundle against itself and its keys, offline.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::evidence_accepted::{self, AcceptedArgs};
use crate::cli::evidence_witnesses::WitnessArgs;
use crate::cli::harmless::harmless_line;
use crate::cli::receipt_file::keys_of;
use crate::cli::{CommandResult, Context, Exit, Failure, asked, evidence_witnesses};
use crate::event::{EventId, number_of};
use crate::keys::OpeningKeys;
use crate::proof::{
    AcceptedCheck, AcceptedReport, BundleReport, BundleVerdict, NoBundle, SeriesReport,
    verify_bundle_against, verify_series,
};
use crate::seal::evidence::{BundleTrust, Examiner, Flaw, Header, ToldStates};
use crate::transparency::Incarnation;

/// What to verify.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle; `-` for standard input. Several bundles of a series in their order: that they follow each
    /// other, and that none is missing between them
    #[arg(required = true)]
    file: Vec<PathBuf>,
    /// The gateway's public keys from a source that you trust, a JWK or a JWK Set; without them the
    /// bundle's own are used, their thumbprints are shown for you to compare, and the exit code is 4
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The only issuer to believe; again for each name that the gateway had before. Any, if not given
    #[arg(long, value_name = "URL")]
    issuer: Vec<String>,
    /// The consumer's private key, a JWK or a JWK Set: opens every token, too
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The consumer's public keys for receipts, from a source that you trust: a receipt under another
    /// key is wrong. The bundle's own, if not given
    #[arg(long, value_name = "FILE")]
    receipt_keys: Option<PathBuf>,
    /// The consumer's own subscription document, in YAML or JSON: a bundle of a subscription that asks for
    /// anything else is wrong. Again for each that it had
    #[arg(long, value_name = "FILE", visible_alias = "subscription-document")]
    subscription: Vec<PathBuf>,
    #[command(flatten)]
    accepted: AcceptedArgs,
    #[command(flatten)]
    witnesses: WitnessArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> CommandResult {
    let read = |path: &Path| {
        std::fs::read(path)
            .with_context(|| format!("cannot read {}", path.display()))
            .map_err(Failure::input)
    };
    let public = |path: &PathBuf| keys_of(path);
    let trusted = args.jwks.as_ref().map(public).transpose()?;
    let receipt_keys = args.receipt_keys.as_ref().map(public).transpose()?;
    let own = match &args.key {
        Some(path) => Some(OpeningKeys::from_json(&read(path)?).map_err(|error| {
            Failure::input(error).context(format!("cannot use {}", path.display()))
        })?),
        None => None,
    };
    let documents = asked::of_documents(&args.subscription)?;
    let witnesses = args.witnesses.trust()?;
    let trust = BundleTrust {
        witnesses: witnesses.as_ref(),
        issuer_keys: trusted.as_ref(),
        opening_keys: own.as_ref(),
        receipt_keys: receipt_keys.as_ref(),
        issuers: &args.issuer,
        documents: &documents,
        now: SystemClock.now(),
    };
    let accepted = args.accepted.read(trusted.as_ref(), &args.issuer)?;
    if let [file] = &*args.file {
        let found = judged(file, trust, accepted)?;
        context.output().item(&report(&found), |_| text(&found, args));
        return Ok(exit(found.verdict()));
    }
    if accepted.is_some() {
        let problem =
            anyhow!("--accepted holds one bundle, and there are several: give each by itself");
        return Err(Failure::input(problem));
    }
    let found: Vec<BundleReport<'_>> =
        args.file.iter().map(|file| judged(file, trust, None)).collect::<Result<_, _>>()?;
    let series = verify_series(&found);
    let told = series_report(&found, &series, args);
    context.output().item(&told, |_| series_text(&found, &series, args));
    Ok(exit(series.verdict(&found)))
}

fn judged<'a>(
    file: &Path,
    trust: BundleTrust<'a>,
    accepted: Option<AcceptedCheck>,
) -> Result<BundleReport<'a>, Failure> {
    let found = verify_bundle_against(&mut *bundle(file)?, trust, accepted);
    found.map_err(|error| match error {
        NoBundle::Read(error) => Failure::ours(error),
        NoBundle::Other => Failure::input(anyhow!("{}: {error}", file.display())),
    })
}

const fn exit(verdict: BundleVerdict) -> Exit {
    match verdict {
        BundleVerdict::Valid => Exit::Done,
        BundleVerdict::Consistent => Exit::Unproved,
        BundleVerdict::Wrong => Exit::No,
    }
}

/// What was found of several bundles, for programs.
fn series_report(found: &[BundleReport<'_>], series: &SeriesReport, args: &Args) -> Value {
    let file = |number: usize| args.file.get(number).map(|file| file.display().to_string());
    let bundles = found.iter().enumerate().map(|(number, one)| {
        let mut told = report(one);
        if let Some(members) = told.as_object_mut() {
            members.insert("file".to_owned(), json!(file(number)));
        }
        told
    });
    let flaws = series
        .flaws
        .iter()
        .map(|flaw| json!({ "file": file(flaw.bundle), "problem": flaw.problem }));
    let verdict = series.verdict(found);
    json!({
        "verdict": verdict.word(), "valid": verdict == BundleVerdict::Valid,
        "from-start": series.is_from_start, "dropped": series.dropped,
        "withheld": series.withheld, "flaws": flaws.collect::<Vec<_>>(),
        "bundles": bundles.collect::<Vec<_>>(),
    })
}

/// What was found of several bundles, for a person.
fn series_text(found: &[BundleReport<'_>], series: &SeriesReport, args: &Args) -> String {
    let mut lines = Vec::new();
    for (number, (one, file)) in found.iter().zip(&args.file).enumerate() {
        lines.push(format!("{}:", harmless_line(&file.display().to_string())));
        let flaws = series.flaws.iter().filter(|flaw| flaw.bundle == number);
        lines.extend(flaws.map(|flaw| harmless_line(&flaw.problem).into_owned()));
        lines.push(text(one, args));
    }
    let missing = [
        (series.dropped, "dropped from the log before an export"),
        (series.withheld, "which the consumer may not hear any more"),
    ];
    for (count, why) in missing.into_iter().filter(|(count, _)| *count > 0) {
        lines.push(format!(
            "in no bundle, as the gateway has signed: {}, {why}",
            number_of(count, "event")
        ));
    }
    if !series.is_from_start {
        lines.push("the series begins before the first bundle that was given".to_owned());
    }
    lines.push(format!("together: {}", series.verdict(found).word()));
    lines.join("\n")
}

fn bundle(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(Box::new(BufReader::new(file.map_err(Failure::input)?)))
}

fn report(found: &BundleReport<'_>) -> Value {
    let examiner = &found.examined;
    let flaws = examiner.flaws.iter().map(|flaw| {
        let (sequence, id) = flaw.event.unzip();
        json!({
            "line": flaw.line, "sequence": sequence, "id": id.map(|id| id.to_string()),
            "problem": flaw.problem,
        })
    });
    let (header, states) = (examiner.header(), examiner.states);
    json!({
        "verdict": found.verdict().word(),
        "valid": found.verdict() == BundleVerdict::Valid,
        "issuer": header.map(|header| &header.issuer),
        "audience": header.map(|header| &header.audience),
        "subscription": header.map(|header| &header.subscription),
        "tree": examiner.tree(), "unproved": examiner.unproved(),
        "from": header.and_then(|header| header.from).map(|id| id.to_string()),
        "to": header.and_then(|header| header.to).map(|id| id.to_string()),
        "at": header.map(|header| header.at),
        "incarnation": header.map(|header| header.incarnation),
        "incarnations": examiner.incarnations().iter().map(incarnation).collect::<Vec<_>>(),
        "asked": asked::report(examiner), "asked-count": examiner.asked.count,
        "offered": states.offered, "taken": states.taken, "given-up": states.given_up,
        "taken-by-receipt": states.taken_by_receipt, "untold": states.untold,
        "unjudged": found.unjudged(), "events": examiner.events, "opened": examiner.opened, "receipts": examiner.receipts,
        "unchecked-receipts": examiner.unchecked_receipts,
        "doubtful-receipts": examiner.doubtful_receipts,
        "receipts-without-chain": examiner.receipts_without_chain,
        "events-without-receipt": examiner.events_without_receipt,
        "unvalidated": found.unvalidated, "trusted-keys": examiner.trusts_keys(), "keys": examiner.bundled_keys,
        "missing-keys": examiner.missing_keys, "unknown-members": examiner.unknown_members,
        "bundled-receipt-keys": examiner.bundled_receipt_keys,
        "receipt-keys-problem": examiner.receipt_keys_problem,
        "notes": examiner.notes(), "cosignatures": evidence_witnesses::report(examiner),
        "flaw-count": examiner.flaw_count, "flaws": flaws.collect::<Vec<_>>(),
        "accepted": found.accepted.as_ref().map(evidence_accepted::report),
    })
}

/// An incarnation that a restore has begun, and how many positions it has lost, if that is known.
fn incarnation(record: &Incarnation) -> Value {
    let mut told = json!(record);
    if let Some(members) = told.as_object_mut() {
        members.insert("lost".to_owned(), json!(record.lost()));
    }
    told
}

/// The same in words.
fn restored(record: &Incarnation) -> String {
    let lost = match record.lost() {
        Some(0) => "nothing that is known of was lost".to_owned(),
        Some(lost) => format!("{lost} positions behind that were lost"),
        None => "how much was lost is not known".to_owned(),
    };
    format!(
        "restored at {}: incarnation {} of the log went on behind position {} of incarnation {}; {lost}",
        record.began, record.number, record.survivors.position, record.survivors.incarnation
    )
}

fn text(found: &BundleReport<'_>, args: &Args) -> String {
    let (examiner, unvalidated) = (&found.examined, found.unvalidated);
    let mut lines: Vec<String> = examiner
        .flaws
        .chunk_by(|one, next| one.problem == next.problem)
        .filter_map(in_one_line)
        .collect();
    let told = examiner.flaws.len() as u64;
    if examiner.flaw_count > told {
        lines.push(format!("and {} more", examiner.flaw_count - told));
    }
    let is_good = found.accepted.as_ref().is_none_or(AcceptedReport::is_good);
    if let (0, true, Some(header)) = (examiner.flaw_count, is_good, examiner.header()) {
        let verdict = found.verdict().word();
        lines.push(format!(
            "{verdict}: what {} has offered to {} for the subscription {}",
            header.issuer, header.audience, header.subscription
        ));
    }
    lines.push(format!(
        "read: {} events up to number {}, {} tokens opened, {} receipts checked, {} not",
        examiner.events,
        examiner.last_sequence().unwrap_or_default(),
        examiner.opened,
        examiner.receipts,
        examiner.unchecked_receipts,
    ));
    if let Some(Header { from, to, at, .. }) = examiner.header() {
        let bound = |id: &Option<EventId>, open: &str| {
            id.map_or_else(|| open.to_owned(), |id| id.to_string())
        };
        let (from, to) = (bound(from, "the start"), bound(to, "the newest"));
        lines.push(format!("asked for: from {from} to {to}, at {at}"));
    }
    lines.extend(examiner.incarnations().iter().map(restored));
    lines.extend(states(examiner));
    lines.extend(asked::lines(examiner));
    if found.unjudged() > 0 {
        let events = number_of(found.unjudged(), "event");
        lines.push(format!("it was too much work to tell whether these were asked for: {events}"));
    }
    if examiner.unproved() > 0 {
        let events = number_of(examiner.unproved(), "event");
        lines.push(format!("without proof that it is in a tree over the log: {events}"));
    }
    if args.key.is_none() {
        lines.push("no token was opened; --key does that".to_owned());
    } else if unvalidated > 0 {
        lines
            .push(format!("without a contract in the bundle: {}", number_of(unvalidated, "event")));
    }
    if args.jwks.is_none() {
        lines.push(format!(
            "the bundle's own keys were believed, so anyone may have made it; use --jwks, or compare \
             each thumbprint with the gateway's: {}",
            examiner.bundled_keys.join(" ")
        ));
    }
    if !examiner.missing_keys.is_empty() {
        let missing: Vec<&str> = examiner.missing_keys.iter().map(String::as_str).collect();
        let from = if args.jwks.is_some() { "among the keys of --jwks" } else { "in the bundle" };
        lines.push(format!("missing {from}: {}", missing.join(" ")));
    }
    lines.extend(evidence_witnesses::text(examiner, &args.witnesses));
    if !examiner.unknown_members.is_empty() {
        let unknown: Vec<&str> = examiner.unknown_members.iter().map(String::as_str).collect();
        lines.push(format!(
            "members that this version does not know, and has held against nothing: {}",
            unknown.join(" ")
        ));
    }
    lines.extend(on_receipts(examiner, args));
    lines
        .extend(found.accepted.iter().flat_map(|one| evidence_accepted::text(one, &args.accepted)));
    let lines: Vec<String> = lines.iter().map(|line| harmless_line(line).into_owned()).collect();
    lines.join("\n")
}

/// What became of the events, and whose word that is.
fn states(examiner: &Examiner<'_>) -> Option<String> {
    let ToldStates { offered, taken, taken_by_receipt, given_up, untold } = examiner.states;
    (offered + taken + given_up > 0).then(|| {
        let told = format!(
            "{taken} taken, {taken_by_receipt} of them by receipt and the others by the word of the gateway; \
             {given_up} given up; {offered} offered, with no end on record"
        );
        if untold == 0 { told } else { format!("{told}; of {untold} nothing is said") }
    })
}

/// What there is to say of the keys for receipts.
fn on_receipts(examiner: &Examiner<'_>, args: &Args) -> Vec<String> {
    let mut lines = Vec::new();
    let expects_receipts = args.receipt_keys.is_some()
        || examiner.receipt_keys_problem.is_some()
        || !examiner.bundled_receipt_keys.is_empty();
    if let (Some(problem), None) = (&examiner.receipt_keys_problem, &args.receipt_keys) {
        let which = if examiner.bundled_receipt_keys.is_empty() { "" } else { "newer " };
        lines.push(format!(
            "the bundle has no {which}keys for receipts, {problem}; use --receipt-keys"
        ));
    }
    if !examiner.bundled_receipt_keys.is_empty() {
        lines.push(format!(
            "the bundle's own keys for receipts were believed; use --receipt-keys, or compare each \
             thumbprint with the consumer's: {}",
            examiner.bundled_receipt_keys.join(" ")
        ));
    }
    if expects_receipts && examiner.events_without_receipt > 0 {
        lines.push(format!(
            "without a receipt: {}",
            number_of(examiner.events_without_receipt, "event")
        ));
    }
    if examiner.receipts_without_chain > 0 {
        lines.push(format!(
            "{} receipts do not say the chain value, so that they do not bind the content",
            examiner.receipts_without_chain
        ));
    }
    if examiner.doubtful_receipts > 0 {
        lines.push(format!(
            "{} receipts do not fit the bundle's own keys for them, as when the consumer has put \
             another key under the same name since; use --receipt-keys with the keys of then",
            examiner.doubtful_receipts
        ));
    }
    lines
}

/// What is wrong with some lines in the same way.
fn in_one_line(flaws: &[Flaw]) -> Option<String> {
    let (first, last) = (flaws.first()?, flaws.last()?);
    if flaws.len() == 1 {
        return Some(first.to_string());
    }
    let numbers = match (first.event, last.event) {
        (Some((from, _)), Some((to, _))) => format!(", numbers {from} to {to}"),
        _ => String::new(),
    };
    let (from, to, count) = (first.line, last.line, flaws.len());
    Some(format!("lines {from} to {to}{numbers}: {} ({count} times)", first.problem))
}
