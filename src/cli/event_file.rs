//! Reads events from a file in whatever form they are written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::{Timestamp, json};
use crate::source::aws::read_offline;
use crate::source::intake::UnreadableItem;
use crate::source::{Config, Received, intake};
use crate::telemetry::error_chain;

/// An event that was read, or why it cannot be.
pub type ReadEvent = Result<Received, String>;

/// What a person calls a file; `-` is standard input.
pub fn input_name(file: &Path) -> String {
    if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() }
}

/// Reads a file, or standard input for `-`: one byte more than `most` is enough to be refused.
///
/// # Errors
///
/// The caller's turn: the file cannot be read.
pub fn read_input(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = most as u64 + 1;
    if file.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Reads events as a gateway of these settings would: CloudEvents in their JSON form, EventBridge
/// envelopes, entries of `PutEvents` or its whole body; one, an array of them, or one to a line.
///
/// Each event that cannot be read is given as the words of why.
pub fn read_events(bytes: &[u8], config: &Config, now: Timestamp) -> Vec<ReadEvent> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let lines: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    let is_one = is_document(bytes);
    let has_a_document = |line: &&[u8]| is_document(line);
    if is_one || lines.len() < 2 || !lines.iter().any(has_a_document) {
        return read_document(bytes, config, now);
    }
    lines.into_iter().flat_map(|line| read_document(line, config, now)).collect()
}

/// The bounds within which a document is looked at.
const DOCUMENT: json::Limits = json::Limits::new(usize::MAX, 1002);

/// Whether this is one JSON text, for the library or for the gateway.
fn is_document(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok() || json::read_event(bytes, DOCUMENT).is_ok()
}

/// The members by which forms are told apart.
#[derive(Deserialize)]
struct Shape {
    specversion: Option<IgnoredAny>,
    #[serde(rename = "Entries")]
    entries: Option<IgnoredAny>,
    #[serde(rename = "Source")]
    source: Option<IgnoredAny>,
    #[serde(rename = "DetailType")]
    detail_type: Option<IgnoredAny>,
    #[serde(rename = "Detail")]
    detail: Option<IgnoredAny>,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    CloudEvent,
    CloudEvents,
    PutEvents,
    Entry,
    Entries,
    /// Also what nothing else is, so that the intake says what is wrong with it.
    Envelopes,
}

impl Form {
    fn of(document: &[u8]) -> Self {
        // What the library does not read, the gateway may.
        let tree = || json::read_event(document, DOCUMENT).ok();
        let alone = || serde_json::from_value::<Shape>(tree()?).ok();
        let first = || serde_json::from_value::<Vec<Shape>>(tree()?).ok()?.into_iter().next();
        let alone = serde_json::from_slice::<Shape>(document).ok().or_else(alone);
        let many = || {
            let many = serde_json::from_slice::<Vec<Shape>>(document).ok();
            many.and_then(|many| many.into_iter().next()).or_else(first)
        };
        match (alone, document.trim_ascii_start().starts_with(b"[")) {
            (Some(shape), false) if shape.entries.is_some() => Self::PutEvents,
            (Some(shape), false) if shape.is_entry() => Self::Entry,
            (Some(shape), false) if shape.specversion.is_some() => Self::CloudEvent,
            (_, true) => match many() {
                Some(shape) if shape.is_entry() => Self::Entries,
                Some(shape) if shape.specversion.is_some() => Self::CloudEvents,
                _ => Self::Envelopes,
            },
            _ => Self::Envelopes,
        }
    }
}

impl Shape {
    const fn is_entry(&self) -> bool {
        self.source.is_some() || self.detail_type.is_some() || self.detail.is_some()
    }
}

fn read_document(document: &[u8], config: &Config, now: Timestamp) -> Vec<ReadEvent> {
    let entries = |before: &[u8], after: &[u8]| {
        let body = [before, document, after].concat();
        read_offline(&body, config, now).unwrap_or_else(|refused| vec![Err(refused.message)])
    };
    let media_type = match Form::of(document) {
        Form::PutEvents => return entries(b"", b""),
        Form::Entry => return entries(br#"{"Entries":["#, b"]}"),
        Form::Entries => return entries(br#"{"Entries":"#, b"}"),
        Form::CloudEvent => "application/cloudevents+json",
        Form::CloudEvents => "application/cloudevents-batch+json",
        Form::Envelopes => "application/json",
    };
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(media_type));
    match intake::read(&HeaderMap::from_iter([media_type]), document, config, now) {
        Ok(posting) => {
            let words = |item: UnreadableItem| error_chain(&item.error).to_string();
            posting.events.into_iter().map(|event| event.map_err(words)).collect()
        }
        Err(unreadable) => vec![Err(error_chain(&unreadable).to_string())],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<ReadEvent> {
        read_events(text.as_bytes(), &Config::default(), Timestamp::EPOCH)
    }

    fn ids(text: &str) -> Vec<String> {
        let id = |event: ReadEvent| event.map_or_else(|words| words, |event| event.envelope.id);
        read(text).into_iter().map(id).collect()
    }

    #[test]
    fn every_form_is_known_by_its_members() {
        let cloudevent =
            |id| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "T", "data": {}});
        let envelope = |id| json!({"id": id, "source": "s", "detail-type": "T", "detail": {}});
        let entry = json!({"Source": "s", "DetailType": "T", "Detail": "{}"});

        assert_eq!(ids(&cloudevent("a").to_string()), ["a"]);
        assert_eq!(ids(&json!([cloudevent("a"), cloudevent("b")]).to_string()), ["a", "b"]);
        assert_eq!(ids(&format!("\u{feff}{:#}", envelope("a"))), ["a"]);
        assert_eq!(ids(&json!([envelope("a"), envelope("b")]).to_string()), ["a", "b"]);
        assert_eq!(ids(&entry.to_string()), ["entry-0"]);
        assert_eq!(ids(&json!([entry, entry]).to_string()), ["entry-0", "entry-1"]);
        assert_eq!(ids(&json!({"Entries": [entry]}).to_string()), ["entry-0"]);
        let lines = format!("{}\n\n{}\n", envelope("a"), cloudevent("b"));
        assert_eq!(ids(&lines), ["a", "b"]);
    }

    #[test]
    fn a_line_that_cannot_be_read_harms_no_other() {
        let lines =
            "{\"id\": \"a\", \"source\": \"s\", \"detail-type\": \"T\", \"detail\": {}}\n{\"id\": ";
        let read = ids(lines);
        assert_eq!((read.len(), &*read[0]), (2, "a"));
        assert!(read[1].contains("cannot be read"), "{read:?}");
        assert_eq!(ids("{}"), ["`id` is missing"]);
        assert_eq!(ids("").len(), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = read_events(&bytes, &Config::default(), Timestamp::EPOCH);
            prop_assert!(!read.is_empty());
        }
    }
}
