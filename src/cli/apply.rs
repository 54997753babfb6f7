//! `sealway apply`: makes the gateway's grants and subscriptions what files say.

use std::path::PathBuf;

use anyhow::anyhow;
use serde::Serialize;
use serde_json::Value;

use crate::cli::apply_changes::{MemberChange, changes_between};
use crate::cli::apply_grants;
use crate::cli::apply_prune::{self, Candidate, Pruned};
use crate::cli::gateway_state::{self, KnownSubscription, KnownSubscriptions, by_name};
use crate::cli::subscription_changes::warnings;
use crate::cli::subscription_file::{self, Documents};
use crate::cli::{Client, Column, CommandResult, Context, Exit, Failure, Output, subscriptions};
use crate::config::GrantFiles;
use crate::event::{QualifiedName, number_of};
use crate::subscriptions::{SinkCredential, SubscriptionDocument};

/// What to apply.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, or folders of files, with one subscription each; the settings' folder if none is named
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder of grants, which are given first; the settings' folder if neither it nor a path is
    /// named
    #[arg(long, value_name = "FOLDER")]
    grants: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also remove, by name, what no file names any more: subscriptions of consumers and grants of
    /// domains of which another file names one. Only with folders
    #[arg(long)]
    prune: bool,
}

/// What is done about a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ApplyStep {
    Create,
    Replace,
    /// It says the same but for secrets, which only the gateway can compare.
    Compare,
    Keep,
}

/// What was done about one subscription, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    id: String,
    consumer: String,
    file: String,
    action: ApplyStep,
    dry_run: bool,
    /// What the file says otherwise than what is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<MemberChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What its consumer should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Shown once, if the gateway made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_secret: Option<Value>,
}

/// What is shown of it.
const COLUMNS: &[Column<Done>] = &[
    ("Subscription", |done| done.id.clone()),
    ("Consumer", |done| done.consumer.clone()),
    ("Outcome", |done| done.in_words().to_owned()),
    ("File", |done| done.file.clone()),
];

impl Done {
    const fn in_words(&self) -> &'static str {
        match (self.action, self.dry_run, self.problem.is_some()) {
            (_, _, true) => "refused",
            (ApplyStep::Keep, ..) => "as it was",
            (ApplyStep::Create, true, _) => "would be created",
            (ApplyStep::Create, false, _) => "created",
            (ApplyStep::Replace, true, _) => "would be replaced",
            (ApplyStep::Compare, ..) => "as it was, if its secrets are",
            (ApplyStep::Replace, false, _) => "replaced",
        }
    }
}

/// Runs the command; the answer is no if the gateway refused a subscription.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    if args.prune {
        apply_prune::check_paths(&args.paths)?;
    }
    let paths = match args.paths.as_slice() {
        [] => vec![context.config()?.subscriptions],
        paths => paths.to_vec(),
    };
    let grants = match (&args.grants, args.paths.as_slice()) {
        (Some(folder), _) => apply_grants::read(folder)?,
        (None, []) => apply_grants::read(&context.config()?.grants)?,
        (None, _) => GrantFiles::new(),
    };
    let wanted = subscription_file::read_all(&paths).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::input(anyhow!("nothing was applied\n{}", told.join("\n")))
    })?;
    let client = context.client()?;
    let there = gateway_state::subscriptions(&client).await?;
    let output = context.output();
    let granted = apply_grants::apply((&client, output), &grants, args.dry_run).await?;
    let mut all = Vec::new();
    let applied = apply_all((&client, output), (&wanted, &there), args.dry_run, &mut all).await;
    let extra = there.keys().filter(|name| !wanted.contains_key(*name)).count();
    // Also when it broke off: what was made is made, and a secret is not shown again.
    tell(output, &all, args.dry_run, if args.prune || applied.is_err() { 0 } else { extra });
    applied?;
    let is_done = granted && all.iter().all(|done| done.problem.is_none());
    if !args.prune {
        return Ok(if is_done { Exit::Done } else { Exit::No });
    }
    if !is_done {
        output.note("nothing is removed, because something was refused");
        return Ok(Exit::No);
    }
    let mut surplus = surplus(&wanted, &there)?;
    surplus.extend(apply_grants::surplus(&client, &grants).await?);
    apply_prune::prune((&client, output), surplus, args.dry_run).await
}

/// Applies subscriptions one by one, and notes what was done about each.
async fn apply_all(
    (client, output): (&Client, Output),
    (wanted, there): (&Documents, &KnownSubscriptions),
    dry_run: bool,
    all: &mut Vec<Done>,
) -> Result<(), Failure> {
    for (name, action) in plan(wanted, there) {
        let Some((file, document)) = wanted.get(&name) else { continue };
        let mut done = Done {
            id: name.name.to_string(),
            consumer: name.consumer.to_string(),
            file: file.clone(),
            action,
            dry_run,
            changes: changed(there, &name, document),
            problem: None,
            warnings: Vec::new(),
            shared_secret: None,
        };
        announce(output, &done);
        if !dry_run {
            let performed =
                perform(client, document, known(there, &name, document), &mut done).await;
            performed.map_err(|failure| failure.context(format!("subscription {name}")))?;
        }
        all.push(done);
    }
    Ok(())
}

/// Subscriptions that no file names, of consumers of which one names another.
fn surplus(wanted: &Documents, there: &KnownSubscriptions) -> Result<Vec<Pruned>, Failure> {
    let by_id: Vec<_> =
        wanted.iter().filter_map(|(name, (_, one))| known(there, name, one)).collect();
    let candidate = |(name, one): (&QualifiedName, &KnownSubscription)| {
        let path = apply_prune::subscription_path(one.id.as_str())?;
        Ok(Candidate { owner: name.consumer.to_string(), name: name.to_string(), path })
    };
    // What a file names by its id may be called otherwise.
    let others = there.iter().filter(|(_, one)| !by_id.iter().any(|other| other.id == one.id));
    let candidates: Result<Vec<_>, Failure> = others.map(candidate).collect();
    let names = wanted.keys().map(ToString::to_string).collect();
    let owners = wanted.keys().map(|name| name.consumer.to_string()).collect();
    Ok(apply_prune::surplus("subscription", candidates?, (&names, &owners)))
}

/// What a file says otherwise than what is there; nothing of one that is not there yet.
fn changed(
    there: &KnownSubscriptions,
    name: &QualifiedName,
    document: &SubscriptionDocument,
) -> Vec<MemberChange> {
    let current = known(there, name, document);
    current.map_or_else(Vec::new, |one| changes_between(&one.document, &by_name(document)))
}

/// Says what is about to change, before it does.
fn announce(output: Output, done: &Done) {
    if output.is_json() {
        return;
    }
    for change in &done.changes {
        output.note(format_args!("{}/{}: {change}", done.consumer, done.id));
    }
}

/// The subscription of a document: the one that its consumer calls so, or the one of that id.
fn known<'a>(
    there: &'a KnownSubscriptions,
    name: &QualifiedName,
    document: &SubscriptionDocument,
) -> Option<&'a KnownSubscription> {
    let of_id = || there.values().find(|one| Some(&one.id) == document.id.as_ref());
    there.get(name).or_else(of_id)
}

fn plan(wanted: &Documents, there: &KnownSubscriptions) -> Vec<(QualifiedName, ApplyStep)> {
    let action = |(name, (_, document)): (&QualifiedName, &(String, SubscriptionDocument))| {
        let action = match known(there, name, document) {
            None => ApplyStep::Create,
            Some(one) if one.document != by_name(document) => ApplyStep::Replace,
            Some(_) if has_secrets(document) => ApplyStep::Compare,
            Some(_) => ApplyStep::Keep,
        };
        (name.clone(), action)
    };
    wanted.iter().map(action).collect()
}

fn has_secrets(document: &SubscriptionDocument) -> bool {
    document.sinkcredential.as_deref().is_some_and(SinkCredential::has_secrets)
}

/// Does it; a refusal is noted, so that the other subscriptions are still applied.
async fn perform(
    client: &Client,
    document: &SubscriptionDocument,
    before: Option<&KnownSubscription>,
    done: &mut Done,
) -> Result<(), Failure> {
    let document = || subscription_file::with_secrets(document.clone(), &done.file);
    let performed = match (done.action, before, document()) {
        (ApplyStep::Keep, ..) => return Ok(()),
        (.., Err(failure)) => Err(failure),
        (ApplyStep::Create, _, Ok(document)) | (_, None, Ok(document)) => {
            subscriptions::create(client, &document).await
        }
        (ApplyStep::Replace | ApplyStep::Compare, Some(one), Ok(document)) => {
            subscriptions::replace(client, &one.id.clone().into(), &document).await
        }
    };
    match performed {
        Ok(mut answer) => {
            if done.action == ApplyStep::Compare {
                let is_same =
                    |one: &KnownSubscription| answer.get("credential") == Some(&one.credential);
                let same = before.is_some_and(is_same);
                done.action = if same { ApplyStep::Keep } else { ApplyStep::Replace };
            }
            done.warnings = warnings(&answer);
            done.shared_secret = answer.get_mut("sharedSecret").map(Value::take);
            Ok(())
        }
        Err(failure) if failure.is_input() => {
            done.problem = Some(failure.to_string());
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

fn tell(output: Output, all: &[Done], dry_run: bool, others: usize) {
    output.list(all, COLUMNS);
    for done in all {
        if let Some(problem) = &done.problem {
            output.note(format_args!("{}: {problem}", done.file));
        }
        for warning in &done.warnings {
            output.note(format_args!("{}: warning: {warning}", done.file));
        }
        if let Some(secret) = done.shared_secret.as_ref().filter(|_| !output.is_json()) {
            output.note(format_args!(
                "the shared secret of `{}`; it cannot be shown again:",
                done.id
            ));
            output.document(secret);
        }
    }
    if others > 0 {
        let others = number_of(others, "other subscription");
        output.note(format_args!("left alone: {others} of the gateway"));
    }
    if dry_run {
        output.note("nothing was done; run it without --dry-run to do it");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(id: &str, sink: &str) -> Value {
        let keys = json!({"jwksUri": "https://a.example/jwks.json"});
        json!({"id": id, "consumer": "a", "sink": sink, "state": "active", "config": {"keys": keys}})
    }

    #[test]
    fn what_is_missing_is_created_what_differs_is_replaced_and_the_rest_is_kept() {
        let wanted: Documents = [("new", "https://a.example"), ("old", "https://b.example")]
            .into_iter()
            .chain([("same", "https://c.example")])
            .map(|(id, sink)| {
                let mut document = document(id, sink);
                document.as_object_mut().unwrap().remove("state");
                let document = serde_json::from_value(document).unwrap();
                (format!("a/{id}").parse().unwrap(), ("a.yaml".to_owned(), document))
            })
            .collect();
        let mut same = document("same", "https://c.example");
        for (name, value) in [
            ("created", json!("2026-01-01T00:00:00Z")),
            ("progress", json!({"sequence": 7})),
            ("protocol", json!("HTTP")),
        ] {
            same[name] = value;
        }
        same["config"]["start"] = json!("latest");
        let other = document("other", "https://d.example");
        let old = document("old", "https://a.example");
        let there = gateway_state::known(vec![same, old, other]).unwrap();

        let planned: Vec<(String, ApplyStep)> = plan(&wanted, &there)
            .into_iter()
            .map(|(name, action)| (name.name.to_string(), action))
            .collect();

        let expected =
            [("new", ApplyStep::Create), ("old", ApplyStep::Replace), ("same", ApplyStep::Keep)];
        assert_eq!(planned, expected.map(|(id, action)| (id.to_owned(), action)));
    }
}
