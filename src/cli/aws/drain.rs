//! `sealway aws drain`: has the gateway let the messages of a dead-letter queue in.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::DrainRequest;
use crate::cli::answer::text;
use crate::cli::{CommandResult, Context, Exit};
use crate::event::{QueueArn, number_of};

/// The numbers of an answer, in the order in which they are told.
const COUNTS: [(&str, &str); 6] = [
    ("received", "received"),
    ("admitted", "admitted"),
    ("repeated", "repeated"),
    ("quarantined", "quarantined"),
    ("unwanted", "unwanted"),
    ("left", "left in the queue"),
];

/// Which queue.
#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// The ARN of the dead-letter queue, or of the queue whose only one it is; may be left out if the
    /// settings name only one
    #[arg(long, value_name = "ARN")]
    queue: Option<QueueArn>,
    /// Count the messages by what went wrong, and leave them there
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command: asks until the queue is empty, or keeps what cannot be taken now.
pub(super) async fn run(args: &DrainArgs, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    let request = DrainRequest { queue: args.queue.clone(), dry_run: args.dry_run };
    let progress = output.progress(None, "draining");
    let mut sum = DrainSum::default();
    loop {
        let answer = client.call(Method::POST, "/queues/drain", Some(&request)).await?;
        sum.add(&answer);
        progress.set_position(sum.count("received"));
        let is_over = sum.is_empty || sum.count("left") > 0;
        // What is only counted would be counted again.
        if is_over || args.dry_run {
            break;
        }
    }
    progress.finish_and_clear();
    output.item(&sum.document(), |_| sum.in_words(args.dry_run));
    let is_done = args.dry_run || sum.count("left") == 0;
    Ok(if is_done { Exit::Done } else { Exit::No })
}

/// What several requests have come to.
#[derive(Default)]
struct DrainSum {
    queue: String,
    counts: BTreeMap<&'static str, u64>,
    /// The messages by their reasons, each reason as the gateway wrote it.
    failures: BTreeMap<String, (u64, Value)>,
    is_empty: bool,
}

impl DrainSum {
    fn add(&mut self, answer: &Value) {
        let number =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.queue = text(answer, "/queue");
        self.is_empty = answer.get("isEmpty").and_then(Value::as_bool).unwrap_or_default();
        for (name, _) in COUNTS {
            *self.counts.entry(name).or_default() += number(answer, name);
        }
        for failure in answer.get("failures").and_then(Value::as_array).into_iter().flatten() {
            let reason = ["code", "rule", "target", "condition"].map(|name| &failure[name]);
            let place = self.failures.entry(json!(reason).to_string());
            let (count, _) = place.or_insert_with(|| (0, failure.clone()));
            *count += number(failure, "count");
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// The reasons with their counts, the most frequent first.
    fn failures(&self) -> Vec<Value> {
        let mut failures: Vec<_> = self.failures.values().cloned().collect();
        failures.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let counted = |(count, mut failure): (u64, Value)| {
            if let Value::Object(members) = &mut failure {
                members.insert("count".to_owned(), count.into());
            }
            failure
        };
        failures.into_iter().map(counted).collect()
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "queue": self.queue, "isEmpty": self.is_empty, "failures": self.failures(),
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.counts.iter().map(|(name, n)| ((*name).to_owned(), (*n).into())));
        }
        document
    }

    fn in_words(&self, is_dry_run: bool) -> String {
        let received = usize::try_from(self.count("received")).unwrap_or(usize::MAX);
        let mut words = format!("{}: {}", self.queue, number_of(received, "message"));
        if is_dry_run {
            words += " counted, all left in the queue";
        } else {
            let told = COUNTS.iter().skip(1).filter(|(name, _)| self.count(name) > 0);
            let told = told.map(|(name, words)| format!("{} {words}", self.count(name)));
            words.extend(told.map(|one| format!(", {one}")));
        }
        if !self.is_empty {
            words += "; more may be there";
        }
        if self.count("quarantined") > 0 && !is_dry_run {
            words += "\n  see `sealway quarantine list`";
        }
        for failure in self.failures() {
            let of = |pointer: &str| Some(text(&failure, pointer)).filter(|text| !text.is_empty());
            let code = of("/code").unwrap_or_else(|| "no error attributes".to_owned());
            let count = text(&failure, "/count");
            words.extend(["\n  ", &count, " ", &code]);
            words.extend(of("/message").map(|message| format!(": {message}")));
            words.extend(of("/rule").map(|rule| format!("\n    rule {rule}")));
            words.extend(of("/target").map(|target| format!("\n    target {target}")));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_answers_are_one_sum_with_the_reasons_of_all() {
        let answer = |received: u64, is_empty: bool| {
            json!({
                "queue": "arn:aws:sqs:…:dead", "received": received, "admitted": received - 1,
                "repeated": 0, "quarantined": 1, "unwanted": 0, "left": 0, "isEmpty": is_empty,
                "failures": [
                    { "count": 1, "code": "SDK_CLIENT_ERROR", "message": "a", "rule": "r" },
                    { "count": received - 1 },
                ],
            })
        };
        let mut sum = DrainSum::default();
        sum.add(&answer(10, false));
        sum.add(&answer(3, true));

        assert_eq!((sum.count("received"), sum.count("admitted")), (13, 11));
        let document = sum.document();
        assert_eq!(document["failures"][0]["count"], 11);
        assert_eq!(document["failures"][1]["code"], "SDK_CLIENT_ERROR");
        let words = sum.in_words(false);
        assert!(
            words.contains("13 messages, 11 admitted, 2 quarantined\n  see `sealway quarantine"),
            "{words}"
        );
        assert!(words.contains("list`\n  11 no error"), "{words}");
        assert!(words.contains("2 SDK_CLIENT_ERROR: a\n    rule r"), "{words}");
    }
}
