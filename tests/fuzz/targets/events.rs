//! Events as producers send them: over HTTP, by `PutEvents`, on queues; and what crosses of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use sealway::contract::{Catalog, Gate};
use sealway::enrich::Publications;
use sealway::event::Timestamp;
use sealway::route::PatternConfig;
use sealway::source::aws::read_offline;
use sealway::source::intake::{self, told_id};
use sealway::source::queue::read_again;
use sealway::source::{Config, KeptHeaders, Received};

use super::parties::NOW;
use super::{halves, tells_no_secret};

const QUEUE: &str = "arn:aws:sqs:eu-central-1:111122223333:orders";
const RAW: &str = "arn:aws:sqs:eu-central-1:111122223333:raw";

fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let queues = json!([
            { "arn": QUEUE },
            { "arn": RAW, "raw": { "source": "legacy", "detail-type": "Message" } },
        ]);
        Config { queues: serde_json::from_value(queues).unwrap(), ..Config::default() }
    })
}

/// The headers that stand in lines before an empty one, and the body after it. A body whose headers say
/// `x-compress` is compressed here, so that mutations reach what is within.
fn posted(input: &[u8]) -> (HeaderMap, Vec<u8>) {
    let (head, body) = halves(input);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if headers.remove("x-compress").is_none() {
        return (headers, body.to_vec());
    }
    headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    (headers, encoder.finish().unwrap())
}

/// What is taken of a request is kept and read back as itself; what is not is named without its data.
pub fn event(input: &[u8]) {
    let (headers, body) = posted(input);
    let _ = told_id(&headers, &body);
    let kept = KeptHeaders::of(&headers);
    let again = KeptHeaders::from_json(&kept.to_json().unwrap()).unwrap();
    assert_eq!(again.to_map(), kept.to_map());
    match intake::read(&headers, &body, config(), NOW) {
        Ok(posting) => {
            assert!(posting.events.len() <= config().max_batch.max(1));
            for event in posting.events {
                match event {
                    Ok(received) => comes_back(received),
                    Err(unread) => tells_no_secret(&unread.error),
                }
            }
        }
        Err(error) => tells_no_secret(&error),
    }
}

fn comes_back(received: Received) {
    let text = received.to_json().expect("an event can be kept");
    let again = Received::from_json(&text).expect("what is kept is read");
    assert!(again == received, "{text} is another event");
    assert!(!received.envelope.source.trim().eq_ignore_ascii_case("sealway"));
    crosses(received);
}

/// Entries of `PutEvents`: each is taken or told why not.
pub fn put_events(input: &[u8]) {
    match read_offline(input, config(), NOW) {
        Ok(entries) => {
            assert!((1..=10).contains(&entries.len()), "{} entries", entries.len());
            for entry in entries {
                match entry {
                    Ok(received) => comes_back(received),
                    // As AWS does, it tells whoever names a bus that there is none of that name.
                    Err(why) if why.starts_with("ResourceNotFound") => {}
                    Err(why) => tells_no_secret(&why),
                }
            }
        }
        Err(refused) => tells_no_secret(&format!("{refused:?}")),
    }
}

/// Messages of a queue that is filled by rules, and of one that others fill.
pub fn queue(input: &[u8]) {
    let (headers, body) = posted(input);
    for queue in [QUEUE, RAW] {
        match read_again(config(), queue, (&headers, &body), NOW) {
            Ok(received) => comes_back(received),
            Err(why) => tells_no_secret(&why),
        }
    }
}

/// The contracts and publications of this repository.
struct Border {
    publications: Publications,
    gate: Gate,
}

fn border() -> &'static Border {
    static BORDER: OnceLock<Border> = OnceLock::new();
    BORDER.get_or_init(|| {
        let publications = Publications::load(&texts("config/publications")).unwrap();
        let catalog = Arc::new(Catalog::load(&texts("asyncapi")));
        let gate = Gate::new(catalog, &publications).unwrap();
        Border { publications, gate }
    })
}

fn texts(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path());
    let named = files.map(|path| {
        let name = path.strip_prefix(root.join(folder)).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    named.collect()
}

/// Whatever crosses keeps its contract; whatever does not is named without its data.
fn crosses(received: Received) {
    let (border, received) = (border(), Arc::new(received));
    let allowance = PatternConfig::default().at_once();
    for publication in border.publications.wanted_by(&received, allowance).wanting {
        let enriched = match publication.enrich(&received) {
            Ok(enriched) => enriched,
            Err(error) => {
                tells_no_secret(&error);
                continue;
            }
        };
        match border.gate.check(enriched) {
            Ok(valid) => assert!(valid.message().check(valid.enriched().data()).is_empty()),
            Err(refused) => {
                assert!(!refused.violations.is_empty());
                refused.violations.iter().for_each(|one| tells_no_secret(&one.message));
            }
        }
    }
}

/// The detail of an order, of which all that the publication copies crosses.
pub fn crossing(input: &[u8]) {
    let limits = config().json_limits();
    let Ok(detail) = sealway::event::json::read_event(input, limits) else { return };
    let envelope = json!({
        "id": "1", "source": "order-service", "detail-type": "OrderCreated",
        "time": Timestamp::to_string(&NOW), "resources": [], "detail": Value::Null,
    });
    let kept = json!({ "envelope": envelope, "repeatable": true }).to_string();
    let mut received = Received::from_json(&kept).unwrap();
    received.envelope.detail = detail;
    crosses(received);
}
