//! `sealway pattern test`: whether events match a pattern, offline.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use serde_json::Value;

use crate::cli::{CommandResult, Context, Exit, Failure, Output};
use crate::event::json::{self, Limits};
use crate::route::{Mismatch, Pattern, PatternConfig};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell whether an event matches a pattern, or which events of a stream do
    Test(TestArgs),
}

/// Which pattern, and which events.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// The pattern, in the event-pattern language of Amazon EventBridge; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pattern: PathBuf,
    /// One event as JSON; `-` for standard input. Prints `true` or `false`
    #[arg(long, value_name = "FILE", required_unless_present = "events")]
    event: Option<PathBuf>,
    /// Events as JSON, one on each line; `-` for standard input. Prints the lines that match
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    events: Option<PathBuf>,
    /// Also tell, on standard error, which fields keep an event from matching
    #[arg(long)]
    explain: bool,
}

/// Runs the command.
pub fn run(command: &Command, context: &Context) -> CommandResult {
    let Command::Test(args) = command;
    test(args, context.output()).map(|()| Exit::Done).map_err(Failure::input)
}

fn test(args: &TestArgs, output: Output) -> anyhow::Result<()> {
    let events = args.event.as_deref().or(args.events.as_deref());
    if is_standard_input(&args.pattern) && events.is_some_and(is_standard_input) {
        return Err(anyhow!("standard input can be the pattern or the events, not both"));
    }
    let pattern = read_pattern(&args.pattern)?;
    if let Some(file) = &args.event {
        let mismatches = judge(&pattern, &read_whole(file)?).with_context(|| name(file))?;
        output.line(mismatches.is_empty());
        explain(args, output, "", &mismatches);
    }
    if let Some(file) = &args.events {
        let mut lines = BufReader::new(open(file)?);
        for number in 1_u64.. {
            let Some(line) = next_line(&mut lines).with_context(|| name(file))? else { break };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = || format!("{}, event {number}", name(file));
            let mismatches = judge(&pattern, &line).with_context(place)?;
            if mismatches.is_empty() {
                output.line(String::from_utf8_lossy(&line));
            }
            explain(args, output, &format!("event {number}: "), &mismatches);
        }
    }
    Ok(())
}

/// Why an event does not match; nothing if it does.
fn judge(pattern: &Pattern, event: &[u8]) -> anyhow::Result<Vec<Mismatch>> {
    let event: Value = json::read_event(event, Limits::default())?;
    if !event.is_object() {
        return Err(anyhow!("the event is not a JSON object"));
    }
    Ok(pattern.explain(&event, PatternConfig::default().steps)?)
}

fn explain(args: &TestArgs, output: Output, which: &str, mismatches: &[Mismatch]) {
    if args.explain {
        for Mismatch { path, reason } in mismatches {
            output.complain(format_args!("{which}{path}: {reason}"));
        }
    }
}

fn read_pattern(file: &Path) -> anyhow::Result<Pattern> {
    let text = String::from_utf8(read_whole(file)?).map_err(|error| {
        anyhow!("{}: not UTF-8 at byte {}", name(file), error.utf8_error().valid_up_to())
    })?;
    Pattern::priced(&text).map_err(|error| anyhow!("{}", error.diagnostic(&name(file), &text)))
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn name(file: &Path) -> String {
    if is_standard_input(file) { "standard input".to_owned() } else { file.display().to_string() }
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    if is_standard_input(file) {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", name(file)))?;
    Ok(Box::new(opened))
}

/// One byte more than an event may have is enough to be refused.
fn limit() -> u64 {
    Limits::default().bytes as u64 + 1
}

fn read_whole(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(file)?.take(limit()).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {}", name(file)))?;
    Ok(bytes)
}

/// The next line without its end; nothing after the last one.
fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if lines.take(limit()).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn an_event_is_read_strictly() {
        let any = pattern(r#"{"a":[{"exists":true}]}"#);

        assert!(judge(&any, br#"{"a":1}"#).unwrap().is_empty());
        assert_eq!(judge(&any, br#"{"b":1}"#).unwrap()[0].path, "a");
        for event in [br#"{"a":1,"a":2}"#.as_slice(), b"[1]", b"{"] {
            assert!(judge(&any, event).is_err());
        }
    }

    #[test]
    fn a_mistake_in_the_pattern_shows_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p.json");
        std::fs::write(&file, "{\n \"a\": 1}").unwrap();

        let error = read_pattern(&file).unwrap_err().to_string();

        assert!(error.contains("p.json:2:7: \"a\" must be an object or an array"), "{error}");
    }

    #[test]
    fn lines_keep_their_text_and_too_long_ones_are_cut_where_they_are_refused() {
        let mut lines = io::Cursor::new(b"{\"a\": 1} \r\n\n{}".to_vec());

        assert_eq!(next_line(&mut lines).unwrap().unwrap(), b"{\"a\": 1} \r");
        assert_eq!(next_line(&mut lines).unwrap().unwrap(), b"");
        assert_eq!(next_line(&mut lines).unwrap().unwrap(), b"{}");
        assert_eq!(next_line(&mut lines).unwrap(), None);

        let mut endless = BufReader::new(io::repeat(b'x'));
        let line = next_line(&mut endless).unwrap().unwrap();
        assert!(judge(&pattern(r#"{"a":[1]}"#), &line).is_err());
    }
}
