//! `sealway events key`: the name that an event's content has, the bytes that it is made of, and the
//! event's digest.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use json_patch::jsonptr::PointerBuf;
use serde::Serialize;
use serde_json::Value;

use crate::cli::event_file::{input_name, read_input};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::json::{self, Limits};
use crate::event::{Content, EventDigest, EventSource, EventType, Salt, Subject};
use crate::identify::BusinessKey;

/// Which event.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A CloudEvent in its JSON form; `-` for standard input
    file: PathBuf,
    /// A pointer of the publication's business key, such as `/data/paymentId`; may be repeated
    #[arg(long = "key", value_name = "POINTER")]
    pointers: Vec<PointerBuf>,
    /// The salt of the event, the `slt` of its token: says the digest of form 2, too
    #[arg(long, value_name = "SLT", allow_hyphen_values = true)]
    salt: Option<Salt>,
    /// The version of its publication, the `pub_ver` of its token
    #[arg(long, value_name = "VERSION", requires = "salt")]
    publication_version: Option<String>,
}

/// What the command says.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Names {
    idempotency_key: String,
    content_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_digest: Option<String>,
    canonical: String,
}

/// Runs the command; the answer is no if the event carries another key than its content has.
pub fn run(args: &Args, context: &Context) -> CommandResult {
    let file = input_name(&args.file);
    let bytes = read_input(&args.file, Limits::default().bytes)
        .with_context(|| format!("cannot read {file}"))
        .map_err(Failure::input)?;
    let event = json::read(&bytes, Limits::default())
        .map_err(|error| anyhow!(error).context(format!("in {file}")))
        .map_err(Failure::input)?;
    let mut names = names(&event, &args.pointers).map_err(Failure::input)?;
    if let Some(salt) = args.salt {
        let salted = Some((salt, args.publication_version.as_deref()));
        names.event_digest = EventDigest::of_token(&event, salted).map(|one| one.to_string());
    }
    let output = context.output();
    output.item(&names, text);
    match event.get("idempotencykey").and_then(Value::as_str) {
        Some(carried) if carried != names.idempotency_key => {
            output.complain(format_args!("the event carries another key: {carried}"));
            Ok(Exit::No)
        }
        _ => Ok(Exit::Done),
    }
}

fn text(names: &Names) -> String {
    let salted = names.event_digest.as_ref();
    format!(
        "key     {}\nform 1  {}\n{}bytes   {}",
        names.idempotency_key,
        names.content_digest,
        salted.map_or_else(String::new, |digest| format!("form 2  {digest}\n")),
        names.canonical
    )
}

fn names(event: &Value, pointers: &[PointerBuf]) -> anyhow::Result<Names> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let needed = |name: &str| {
        text(name).with_context(|| format!("the event has no `{name}`; expected a CloudEvent"))
    };
    let source = EventSource::new(needed("source")?)?;
    let event_type = EventType::new(needed("type")?)?;
    let subject = text("subject").map(Subject::new).transpose()?;
    let data = event.get("data").context("the event has no `data` in JSON")?;
    let content = Content::of(&source, &event_type, subject.as_ref(), data)?;
    let (key, canonical) = if pointers.is_empty() {
        (content.idempotency_key(), content.text().to_owned())
    } else {
        let business = BusinessKey::of(&source, &event_type, pointers, data)?;
        (business.idempotency_key(), business.text().to_owned())
    };
    Ok(Names {
        idempotency_key: key.to_string(),
        content_digest: content.digest().to_string(),
        event_digest: None,
        canonical,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn id_and_time_do_not_change_the_key() {
        let event = |id, time| {
            json!({
                "specversion": "1.0", "id": id, "time": time, "source": "/orders",
                "type": "Order.Created", "subject": "Order.Created", "data": {"orderId": 101},
            })
        };

        let one = names(&event("a", "2026-11-21T20:17:00Z"), &[]).unwrap();

        assert_eq!(one, names(&event("b", "2026-11-22T00:00:00Z"), &[]).unwrap());
        assert_eq!(
            one.canonical,
            r#"{"data":{"orderId":101},"source":"/orders","subject":"Order.Created","type":"Order.Created"}"#
        );
    }

    #[test]
    fn numbers_have_the_text_with_which_they_cross() {
        let event = br#"{"source":"/s","type":"T","data":{"a":1.0,"b":789.34000000000003,"c":1152921504606846976}}"#;
        let event = json::read(event, Limits::default()).unwrap();

        let names = names(&event, &[]).unwrap();

        assert!(
            names
                .canonical
                .starts_with(r#"{"data":{"a":1,"b":789.34,"c":1152921504606846976},"source""#)
        );
    }

    #[test]
    fn a_business_key_is_made_of_its_pointers() {
        let event = json!({"source": "/orders", "type": "T", "data": {"orderId": 101, "x": 1}});
        let pointers = [PointerBuf::parse("/data/orderId").unwrap()];

        let names = names(&event, &pointers).unwrap();

        assert!(names.canonical.starts_with(r#"{"key":{"/data/orderId":101},"#));
    }

    #[test]
    fn the_keys_in_the_documentation_are_true() {
        let page = include_str!("../../docs/publications.md");
        let event = json!({
            "source": "/orders", "type": "Order.Created", "subject": "Order.Created",
            "data": {"orderId": 101, "amount": 100},
        });

        for pointers in [vec![], vec![PointerBuf::parse("/data/orderId").unwrap()]] {
            let names = names(&event, &pointers).unwrap();
            assert!(page.contains(&format!("{}\n", text(&names))), "{}", text(&names));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = names(&json!({"source": "/orders", "type": "T"}), &[]).unwrap_err();

        assert_eq!(error.to_string(), "the event has no `data` in JSON");
    }
}
