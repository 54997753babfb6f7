//! `sealway events put`: publishes events from a file or a pipe, one to a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use indicatif::ProgressBar;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ambient::{Clock, SystemClock};
use crate::cli::{Client, CommandResult, Context, Exit, Failure, Output};
use crate::event::Violation;
use crate::event::json::{self, Limits};
use crate::source::{InputLine, Lines};

/// The most bytes of one request, well below what the gateway takes.
const REQUEST_BYTES: usize = 1024 * 1024;
/// How often a busy gateway is asked again, and how long to wait at first; each wait doubles.
const REPEATS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What to publish, and how it is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Newline-delimited JSON, one event to a line; `-` for standard input
    file: PathBuf,
    /// What each line is
    #[arg(long, value_enum, default_value = "envelope")]
    format: Form,
    /// The most events of one request
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
}

/// How events are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    /// EventBridge envelopes: `id`, `source`, `detail-type`, `detail`, …
    Envelope,
    /// CloudEvents in their JSON form
    Cloudevents,
}

impl Form {
    /// The media type of a batch.
    const fn media_type(self) -> &'static str {
        match self {
            Self::Envelope => "application/json",
            Self::Cloudevents => "application/cloudevents-batch+json",
        }
    }

    /// What to say where an event is written in the other way.
    fn mismatch(self, event: &Value) -> Option<&'static str> {
        let is_envelope = event.get("detail-type").is_some();
        match (self, event.get("specversion").is_some()) {
            (Self::Envelope, true) => Some("is a CloudEvent; say `--format cloudevents`"),
            (Self::Cloudevents, false) if is_envelope => {
                Some("is an envelope; leave `--format cloudevents` out")
            }
            _ => None,
        }
    }
}

/// What became of the events.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Tally {
    /// Durable, under one or more new ids.
    taken: usize,
    /// In the log already.
    repeated: usize,
    /// Taken, and wanted by no publication.
    unwanted: usize,
    /// Kept aside by at least one publication.
    quarantined: usize,
    /// Not taken.
    refused: usize,
}

/// What the gateway says of one event.
#[derive(Deserialize)]
#[serde(rename_all_fields = "camelCase", rename_all = "camelCase", tag = "outcome")]
enum Told {
    Taken {
        event_ids: Vec<String>,
        repeated: bool,
        quarantined: usize,
    },
    Refused {
        code: String,
        detail: String,
        #[serde(default)]
        violations: Vec<Violation>,
    },
}

/// The parts of an answer that matter here, be it an acceptance or a problem.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    events: Vec<Told>,
    #[serde(default)]
    title: String,
    detail: Option<String>,
}

/// Runs the command; the answer is no if an event was refused.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let output = context.output();
    let total = if is_stdin(&args.file) { None } else { Some(count(&args.file)?) };
    let mut sender = Sender {
        client: context.client()?,
        form: args.format,
        output,
        bar: output.progress(total, "publishing"),
        tally: Tally::default(),
    };
    let sent = sender.send_all(open(&args.file)?, usize::from(args.batch)).await;
    sender.bar.finish_and_clear();
    let tally = sender.tally;
    output.item(&tally, in_words);
    sent?;
    Ok(if tally.refused == 0 { Exit::Done } else { Exit::No })
}

fn in_words(tally: &Tally) -> String {
    let Tally { taken, repeated, unwanted, quarantined, refused } = tally;
    format!(
        "taken {taken}, repeated {repeated}, wanted by no publication {unwanted}, quarantined \
         {quarantined}, refused {refused}"
    )
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if is_stdin(file) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()));
    Ok(Box::new(BufReader::new(opened.map_err(Failure::input)?)))
}

/// Counts the lines, so that progress has an end.
fn count(file: &Path) -> Result<u64, Failure> {
    Ok(Lines::new(open(file)?, REQUEST_BYTES).map_while(Result::ok).fold(0, |sum, _| sum + 1))
}

/// Sends events in batches, and keeps the tally.
struct Sender {
    client: Client,
    form: Form,
    output: Output,
    bar: ProgressBar,
    tally: Tally,
}

impl Sender {
    async fn send_all(&mut self, input: Box<dyn BufRead>, most: usize) -> Result<(), Failure> {
        let mut batch: Vec<InputLine> = Vec::new();
        let mut bytes = 0;
        for line in Lines::new(input, REQUEST_BYTES) {
            let line = line.map_err(Failure::blame)?;
            // Read here, since a broken line would break the whole batch around it.
            let event = json::read(line.text.as_bytes(), Limits::default())
                .map_err(|error| anyhow!(error).context(format!("in line {}", line.number)))
                .map_err(Failure::input)?;
            if let Some(mismatch) = self.form.mismatch(&event) {
                return Err(Failure::input(anyhow!("line {} {mismatch}", line.number)));
            }
            if batch.len() == most || bytes + line.text.len() > REQUEST_BYTES {
                self.send(&batch).await?;
                batch.clear();
                bytes = 0;
            }
            bytes += line.text.len() + 1;
            batch.push(line);
        }
        if batch.is_empty() { Ok(()) } else { self.send(&batch).await }
    }

    /// Sends a batch, and again while the gateway is busy: events that it took already are
    /// recognized by their ids.
    async fn send(&mut self, batch: &[InputLine]) -> Result<(), Failure> {
        let texts: Vec<&str> = batch.iter().map(|line| line.text.as_str()).collect();
        let body = format!("[{}]", texts.join(","));
        let mut wait = FIRST_WAIT;
        for _ in 0..REPEATS {
            let (status, answer) = self.post(body.clone()).await?;
            let is_busy =
                matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            if !is_busy {
                return self.record(batch, status, answer);
            }
            SystemClock.sleep(wait).await;
            wait *= 2;
        }
        Err(Failure::ours(anyhow!("the gateway is busy; the same input can be sent again later")))
    }

    async fn post(&self, body: String) -> Result<(StatusCode, Answer), Failure> {
        let request = self.client.request(Method::POST, "/events")?;
        let sent = request.header(CONTENT_TYPE, self.form.media_type()).body(body).send().await;
        let response = sent
            .map_err(reqwest::Error::without_url)
            .context("cannot reach the gateway; is it running?")
            .map_err(Failure::ours)?;
        let status = response.status();
        let text = response.text().await.map_err(Failure::ours)?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn record(
        &mut self,
        batch: &[InputLine],
        status: StatusCode,
        answer: Answer,
    ) -> Result<(), Failure> {
        if answer.events.len() != batch.len() {
            let numbers = (batch.first(), batch.last());
            let (first, last) =
                (numbers.0.map_or(0, |l| l.number), numbers.1.map_or(0, |l| l.number));
            let words = answer.detail.unwrap_or(answer.title);
            let error = anyhow!(
                "the gateway answered {} to lines {first} to {last}: {words}",
                status.as_u16(),
            );
            return Err(if status.is_client_error() {
                Failure::input(error)
            } else {
                Failure::ours(error)
            });
        }
        for (line, told) in batch.iter().zip(answer.events) {
            self.bar.inc(1);
            if let Some(complaint) = self.tally.count(told) {
                self.bar.suspend(|| {
                    self.output.complain(format_args!("line {}: {complaint}", line.number));
                });
            }
        }
        Ok(())
    }
}

impl Tally {
    /// Counts an event, and gives what a person should know of it.
    fn count(&mut self, told: Told) -> Option<String> {
        match told {
            Told::Taken { event_ids, repeated, quarantined } => {
                match (event_ids.is_empty(), repeated) {
                    (_, true) => self.repeated += 1,
                    (true, false) if quarantined == 0 => self.unwanted += 1,
                    (true, false) => {}
                    (false, false) => self.taken += 1,
                }
                self.quarantined += usize::from(quarantined > 0);
                None
            }
            Told::Refused { code, detail, violations } => {
                self.refused += 1;
                let mut words = vec![format!("{detail} ({code})")];
                words.extend(violations.into_iter().map(|violation| {
                    let Violation { pointer, message, code } = violation;
                    // The whole event has no place.
                    let place =
                        if pointer.is_empty() { pointer } else { format!("at `{pointer}`: ") };
                    format!("{place}{message} ({code})")
                }));
                Some(words.join("\n  "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_counted_once_and_a_refusal_is_told_with_its_violations() {
        let answer: Answer = serde_json::from_value(json!({"events": [
            {"outcome": "taken", "eventIds": ["a", "b"], "repeated": false, "quarantined": 1},
            {"outcome": "taken", "eventIds": ["a"], "repeated": true, "quarantined": 0},
            {"outcome": "taken", "eventIds": [], "repeated": false, "quarantined": 0},
            {"outcome": "refused", "code": "contract-violated", "detail": "because", "violations": [
                {"pointer": "/data/x", "code": "required", "message": "`x` is required"}]},
        ]}))
        .unwrap();
        let mut tally = Tally::default();

        let complaints: Vec<_> =
            answer.events.into_iter().filter_map(|told| tally.count(told)).collect();

        let expected = Tally { taken: 1, repeated: 1, unwanted: 1, quarantined: 1, refused: 1 };
        assert_eq!(tally, expected);
        assert_eq!(
            complaints,
            ["because (contract-violated)\n  at `/data/x`: `x` is required (required)"]
        );
    }

    #[test]
    fn events_in_the_other_form_are_known_before_they_are_sent() {
        let cloudevent = json!({ "specversion": "1.0", "id": "1" });
        let envelope = json!({ "id": "1", "detail-type": "OrderCreated" });
        assert_eq!(Form::Envelope.mismatch(&envelope), None);
        assert_eq!(Form::Cloudevents.mismatch(&cloudevent), None);
        assert!(Form::Envelope.mismatch(&cloudevent).unwrap().contains("--format cloudevents"));
        assert!(Form::Cloudevents.mismatch(&envelope).unwrap().contains("out"));
    }
}
