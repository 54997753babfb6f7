//! `sealway events put`: publishes events from a file or a pipe, one to a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use indicatif::ProgressBar;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ambient::{Clock, SystemClock};
use crate::cli::put_tally::{FailedLines, Tally, Told};
use crate::cli::receipt_file::ReceiptFile;
use crate::cli::{Client, CommandResult, Context, Exit, Failure, Output};
use crate::event::{Blame, Fault, json, number_of};
use crate::source::{InputLine, Lines, RECEIPT};

/// The header that asks for a signed answer (RFC 7240).
const PREFER: &str = "Prefer";

/// The bounds within which a line is read where the library cannot.
const LINE: json::Limits = json::Limits::new(REQUEST_BYTES, 1000);
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
    /// Ask for signed answers and add each to this file, one to a line, once it is verified; what was accepted
    /// is held against a bundle by `sealway evidence verify --accepted`
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// The gateway's public keys from a source that you trust, a JWK or a JWK Set; those that it publishes, if
    /// not given
    #[arg(long, value_name = "FILE", requires = "receipts")]
    jwks: Option<PathBuf>,
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

    /// Why a line cannot be sent, if it cannot: it would break the batch around it, or is written
    /// in the other way. What an event must be is the gateway's to say.
    fn problem(self, line: &str) -> Option<String> {
        // What the library does not read, the gateway may; it is asked for the reason, too.
        if serde_json::from_str::<IgnoredAny>(line).is_err()
            && let Err(error) = json::read_event(line.as_bytes(), LINE)
        {
            let text = error.to_string();
            return Some(format!("not JSON: {}", text.replace(" at line 1, column", " at column")));
        }
        let peek: Peek = serde_json::from_str(line).unwrap_or_default();
        match (self, peek.specversion.is_some()) {
            (Self::Envelope, true) => Some("a CloudEvent; say `--format cloudevents`".to_owned()),
            (Self::Cloudevents, false) if peek.detail_type.is_some() => {
                Some("an envelope; leave `--format cloudevents` out".to_owned())
            }
            _ => None,
        }
    }
}

/// The members by which the two forms are told apart.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Peek {
    specversion: Option<IgnoredAny>,
    detail_type: Option<IgnoredAny>,
}

/// The parts of an answer that matter here, be it an acceptance or a problem.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    events: Vec<Told>,
    receipt: Option<IgnoredAny>,
    #[serde(default)]
    title: String,
    detail: Option<String>,
}

/// Runs the command; the answer is no if a line failed.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let output = context.output();
    let total = if is_stdin(&args.file) { None } else { Some(count(&args.file)?) };
    let client = context.client()?;
    let receipts = match &args.receipts {
        Some(file) => Some(ReceiptFile::open(file, args.jwks.as_deref(), &client).await?),
        None => None,
    };
    let mut sender = Sender {
        client,
        receipts,
        form: args.format,
        output,
        bar: output.progress(total, "publishing"),
        tally: Tally::default(),
        failed: FailedLines::default(),
    };
    let sent = sender.send_all(open(&args.file)?, usize::from(args.batch)).await;
    sender.bar.finish_and_clear();
    sender.tell();
    let tally = sender.tally;
    let kept = sender.receipts.map(ReceiptFile::finish).transpose();
    output.item(&tally, Tally::in_words);
    sent?;
    if let Some((count, place)) = kept? {
        output.note(format_args!("{} in {}", number_of(count, "signed answer"), place.display()));
    }
    Ok(if tally.is_good() { Exit::Done } else { Exit::No })
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
    Ok(Lines::new(open(file)?, REQUEST_BYTES).fold(0, |sum, _| sum + 1))
}

/// Sends events in batches, and keeps the tally.
struct Sender {
    client: Client,
    receipts: Option<ReceiptFile>,
    form: Form,
    output: Output,
    bar: ProgressBar,
    tally: Tally,
    failed: FailedLines,
}

impl Sender {
    /// Sends every line that can be sent, and goes on over those that cannot.
    async fn send_all(&mut self, input: Box<dyn BufRead>, most: usize) -> Result<(), Failure> {
        let mut batch: Vec<InputLine> = Vec::new();
        let mut bytes = 0;
        let mut broken_off = None;
        for line in Lines::new(input, REQUEST_BYTES) {
            let line = match line {
                Ok(line) => line,
                Err(error) if error.fault() == Fault::Caller => {
                    self.unreadable(error.number(), error.reason());
                    continue;
                }
                Err(error) => {
                    broken_off = Some(Failure::blame(error));
                    break;
                }
            };
            if let Some(problem) = self.form.problem(&line.text) {
                self.unreadable(line.number, problem);
                continue;
            }
            if batch.len() == most || bytes + line.text.len() > REQUEST_BYTES {
                self.send(&batch).await?;
                batch.clear();
                bytes = 0;
            }
            bytes += line.text.len() + 1;
            batch.push(line);
        }
        if !batch.is_empty() {
            self.send(&batch).await?;
        }
        broken_off.map_or(Ok(()), Err)
    }

    /// Sends a batch; where the gateway refuses the body as a whole, its halves, down to single
    /// lines.
    async fn send(&mut self, batch: &[InputLine]) -> Result<(), Failure> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let (status, answer) = self.post_until_heard(part).await?;
            let is_refused =
                matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
            match part {
                _ if answer.events.len() == part.len() => self.record(part, answer.events),
                [line] if is_refused => {
                    self.tally.refused += 1;
                    self.fail(line.number, answer.words());
                }
                [_, _, ..] if is_refused => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                _ => return Err(unheard(part, status, answer)),
            }
        }
        Ok(())
    }

    /// Sends lines, and again while the gateway is busy: events that it took already are recognized
    /// by their ids.
    async fn post_until_heard(
        &mut self,
        part: &[InputLine],
    ) -> Result<(StatusCode, Answer), Failure> {
        let texts: Vec<&str> = part.iter().map(|line| line.text.as_str()).collect();
        let body = format!("[{}]", texts.join(","));
        let mut wait = FIRST_WAIT;
        for _ in 0..REPEATS {
            let (status, text) = self.post(body.clone()).await?;
            let answer: Answer = serde_json::from_str(&text).unwrap_or_default();
            let is_answered =
                status.is_success() || !answer.events.is_empty() || answer.receipt.is_some();
            if let (Some(receipts), true) = (&mut self.receipts, is_answered) {
                receipts.keep(&text, (&texts, &body), &self.client).await?;
            }
            let is_busy =
                matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            if !is_busy {
                return Ok((status, answer));
            }
            SystemClock.sleep(wait).await;
            wait *= 2;
        }
        Err(Failure::ours(anyhow!("the gateway is busy; the same input can be sent again later")))
    }

    async fn post(&self, body: String) -> Result<(StatusCode, String), Failure> {
        let mut request = self.client.request(Method::POST, "/events")?;
        if self.receipts.is_some() {
            request = request.header(PREFER, RECEIPT);
        }
        let request = request.header(CONTENT_TYPE, self.form.media_type()).body(body);
        let response = self.client.exchange(request).await?;
        let status = response.status();
        Ok((status, response.text().await.map_err(Failure::ours)?))
    }

    fn record(&mut self, part: &[InputLine], told: Vec<Told>) {
        for (line, told) in part.iter().zip(told) {
            match self.tally.count(told) {
                Some(complaint) => self.fail(line.number, complaint),
                None => self.bar.inc(1),
            }
        }
    }

    fn unreadable(&mut self, number: usize, problem: String) {
        self.tally.unreadable += 1;
        self.fail(number, problem);
    }

    fn fail(&mut self, number: usize, why: String) {
        self.bar.inc(1);
        if self.failed.note(number, why) {
            self.tell();
        }
    }

    /// Says which lines failed since the last time, and why.
    fn tell(&mut self) {
        let Self { output, bar, failed, .. } = self;
        bar.suspend(|| failed.tell().iter().for_each(|line| output.complain(line)));
    }
}

impl Answer {
    /// What the gateway says of the whole request.
    fn words(self) -> String {
        self.detail.unwrap_or(self.title)
    }
}

/// Says that the gateway answered nothing which tells what became of these lines.
fn unheard(part: &[InputLine], status: StatusCode, answer: Answer) -> Failure {
    let number = |line: Option<&InputLine>| line.map_or(0, |line| line.number);
    let error = anyhow!(
        "the gateway answered {} to lines {} to {}: {}",
        status.as_u16(),
        number(part.first()),
        number(part.last()),
        answer.words(),
    );
    if status.is_client_error() { Failure::input(error) } else { Failure::ours(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_in_the_other_form_are_known_before_they_are_sent() {
        let cloudevent = r#"{"specversion":"1.0","id":"1"}"#;
        let envelope = r#"{"id":"1","detail-type":"OrderCreated"}"#;
        assert_eq!(Form::Envelope.problem(envelope), None);
        assert_eq!(Form::Cloudevents.problem(cloudevent), None);
        assert!(Form::Envelope.problem(cloudevent).unwrap().contains("--format cloudevents"));
        assert!(Form::Cloudevents.problem(envelope).unwrap().contains("out"));
    }

    #[test]
    fn only_a_line_that_is_no_json_is_held_back_and_its_text_is_not_repeated() {
        for line in [r#"{"a":private}"#, "{", "{} {}", r#"{"a":NaN}"#, "private"] {
            let problem = Form::Envelope.problem(line).unwrap();
            assert!(problem.starts_with("not JSON: ") && !problem.contains("private"), "{problem}");
            assert!(problem.contains("at column") && !problem.contains("at line"), "{problem}");
        }
        for line in ["7", "[]", r#"{"a":1,"a":2}"#, r#"{"a":"\ud83d"}"#, r#"{"n":1e999}"#] {
            assert_eq!(Form::Envelope.problem(line), None, "{line}");
        }
    }
}
