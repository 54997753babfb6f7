//! What `sealway export` writes and `sealway import` reads: who receives, who may hear and who may call, in
//! one text without secrets.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::access::GrantDocument;
use crate::ambient::SecretReference;
use crate::api::Scope;
use crate::cli::Failure;
use crate::event::{CallerId, Timestamp, yaml};
use crate::subscriptions::{SecretText, SubscriptionDocument};

/// The form of the text; another number is another form.
pub const FORM: u32 = 1;
/// The largest text.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The most of each kind.
const MOST: usize = 100_000;

/// Everything that one gateway gives another.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Carried {
    /// The number of this form.
    pub sealway_export: u32,
    /// The gateway that it is from; for people.
    pub issuer: String,
    /// When it was written; for people.
    pub exported: Timestamp,
    /// Who receives what.
    #[serde(default)]
    pub subscriptions: Vec<CarriedSubscription>,
    /// Who may hear what.
    #[serde(default)]
    pub grants: Vec<GrantDocument>,
    /// Who may call.
    #[serde(default)]
    pub callers: Vec<CarriedCaller>,
}

/// A subscription.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CarriedSubscription {
    /// Whether it is to be paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Its document: with its name, without its id, with places in place of secrets.
    pub document: SubscriptionDocument,
}

/// A caller.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CarriedCaller {
    /// Its name.
    pub name: CallerId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When its credentials end; never by themselves if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Reads a text from a file, or from standard input for `-`.
///
/// # Errors
///
/// The caller's turn: it cannot be read, has another form, or is too large.
pub fn read(file: &Path) -> Result<Carried, Failure> {
    let mut text = String::new();
    let taken = if file.as_os_str() == "-" {
        std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
    };
    let name = file.display().to_string();
    let taken = taken.with_context(|| format!("cannot read {name}")).map_err(Failure::input)?;
    if taken as u64 > MAX_BYTES {
        return Err(Failure::input(anyhow!("{name} is larger than {MAX_BYTES} bytes")));
    }
    parse(&name, &text).map_err(|problem| Failure::input(anyhow!(problem)))
}

/// Reads a text, and says what is wrong with it.
fn parse(name: &str, text: &str) -> Result<Carried, String> {
    let carried: Carried = yaml::read(name, text).map_err(|mistake| mistake.to_string())?;
    if carried.sealway_export != FORM {
        return Err(format!(
            "{name} has form {}, and this program reads form {FORM}; export it with the same version",
            carried.sealway_export
        ));
    }
    let counts = [carried.subscriptions.len(), carried.grants.len(), carried.callers.len()];
    if counts.iter().any(|count| *count > MOST) {
        return Err(format!("{name} has more than {MOST} of a kind"));
    }
    Ok(carried)
}

impl CarriedSubscription {
    /// Of a document as the gateway shows it: without its id and where it began, and with the variables that
    /// an import reads its secrets from.
    pub fn of(shown: &SubscriptionDocument, paused: bool) -> Self {
        let mut document = shown.without_secrets();
        document.name = shown.given_name();
        document.id = None;
        "latest".clone_into(&mut document.config.start);
        let stem = variable_stem(&document);
        if let Some(credential) = &mut document.sinkcredential {
            for slot in credential.slots() {
                if slot.value.is_none() {
                    let last = slot.pointer.trim_start_matches("/sinkcredential/");
                    let name = format!("{stem}_{}", in_capitals(last));
                    *slot.value = Some(SecretText::Reference(SecretReference::Env(name)));
                }
            }
        }
        Self { paused, document }
    }
}

/// How the variables of a subscription's secrets begin.
fn variable_stem(document: &SubscriptionDocument) -> String {
    let name = document.name.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("SEALWAY_SECRET_{}_{}", in_capitals(document.consumer.as_str()), in_capitals(&name))
}

/// A text as a part of a variable's name.
fn in_capitals(text: &str) -> String {
    let part = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn shown() -> SubscriptionDocument {
        let shown = json!({
            "id": "01k", "name": "orders", "consumer": "shop", "sink": "https://shop.example/events",
            "sinkcredential": {
                "credentialtype": "BASIC", "basic": {"username": "gateway"},
                "headers": [
                    {"name": "x-tenant", "value": "7"}, {"name": "x-token", "secret": true},
                ],
            },
            "config": {"keys": {"jwksUri": "https://shop.example/jwks.json"}, "start": "latest"},
        });
        serde_json::from_value(shown).unwrap()
    }

    #[test]
    fn a_subscription_leaves_its_id_and_its_secrets_behind() {
        let text = serde_saphyr::to_string(&CarriedSubscription::of(&shown(), true)).unwrap();

        assert!(text.contains("SEALWAY_SECRET_SHOP_ORDERS_BASIC_PASSWORD"), "{text}");
        assert!(text.contains("SEALWAY_SECRET_SHOP_ORDERS_HEADERS_1_VALUE"), "{text}");
        assert!(text.contains("paused: true") && text.contains("gateway"), "{text}");
        assert!(!text.contains("01k"), "{text}");
    }

    #[test]
    fn a_text_is_read_as_it_was_written_and_another_form_is_refused() {
        let carried = Carried {
            sealway_export: FORM,
            issuer: "https://gateway.example".to_owned(),
            exported: Timestamp::EPOCH,
            subscriptions: vec![CarriedSubscription::of(&shown(), false)],
            grants: vec![
                serde_json::from_value(
                    json!({"id": "a", "consumer": "shop", "publication": "x/Y"}),
                )
                .unwrap(),
            ],
            callers: vec![CarriedCaller {
                name: "admin".parse().unwrap(),
                scopes: vec!["admin".parse().unwrap()],
                until: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            }],
        };
        let text = serde_saphyr::to_string(&carried).unwrap();

        assert_eq!(parse("a", &text), Ok(carried));
        let other = text.replace("sealwayExport: 1", "sealwayExport: 2");
        assert!(parse("a", &other).unwrap_err().contains("form 2"));
        assert!(parse("a", &(text + "more: 1\n")).unwrap_err().contains("unknown key"));
    }

    proptest! {
        #[test]
        fn whatever_a_text_is_it_is_read_or_refused(text in "(?s).{0,200}", form in any::<u32>()) {
            let _ = parse("a", &text);
            let head = format!("sealwayExport: {form}\nissuer: a\nexported: 2026-01-01T00:00:00Z\n");
            let read = parse("a", &(head + &text));
            prop_assert!(form == FORM || read.is_err());
        }
    }
}
