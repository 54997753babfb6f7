//! Which sources a rule lets through to the gateway.

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::config::{Config, folder};
use crate::enrich::Publications;
use crate::event::{Diagnostic, OWN_SOURCE};
use crate::source::SourceRule;

/// The most bytes of an event pattern, unless AWS has raised the account's quota.
pub const LONGEST_PATTERN: usize = 2048;

/// What a rule asks of `source` for these sources, of which a `*` at the end stands for any rest.
pub fn rule_sources(sources: &[SourceRule]) -> Vec<Value> {
    let condition = |source: &SourceRule| match (source.beginning(), source.is_open()) {
        ("", true) => anything_but_own(),
        (beginning, true) => json!({ "prefix": beginning }),
        (source, false) => json!(source),
    };
    sources.iter().map(condition).collect()
}

/// What a rule asks of `source` so that what the publications want comes through.
///
/// # Errors
///
/// The caller's turn: the publications cannot be read.
pub fn wanted_sources(config: &Config) -> Result<Vec<Value>, Failure> {
    let told = |mistakes: Vec<Diagnostic>| {
        let words: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::input(anyhow::anyhow!(words.join("\n")))
    };
    let texts = folder(&config.publications).map_err(told)?;
    let publications = Publications::load(&texts).map_err(told)?;
    Ok(of_publications(&publications).unwrap_or_else(|| vec![anything_but_own()]))
}

/// The conditions of all publications, if each has some and a rule can hold them.
fn of_publications(publications: &Publications) -> Option<Vec<Value>> {
    let mut wanted: Vec<Value> = Vec::new();
    for publication in publications.iter() {
        let pattern: Value = serde_json::from_str(publication.pattern().text()).ok()?;
        for condition in pattern.get("source")?.as_array()? {
            if !wanted.contains(condition) {
                wanted.push(condition.clone());
            }
        }
    }
    let fits = json!({ "source": wanted }).to_string().len() <= LONGEST_PATTERN;
    (!wanted.is_empty() && fits).then_some(wanted)
}

/// Everything but what gateways put on buses themselves.
fn anything_but_own() -> Value {
    json!({ "anything-but": [OWN_SOURCE] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publications(patterns: &[&str]) -> Publications {
        let items: Vec<String> = (1..)
            .zip(patterns)
            .map(|(number, when)| format!("{{ event: A.B{number}, when: {when}, patch: [] }}"))
            .collect();
        let head = "domain: x\ncontract: asyncapi/x.yaml\nsource: /x";
        let text = format!("{head}\npublications: [{}]\n", items.join(", "));
        Publications::load(&[("x.yaml".to_owned(), text)].into()).unwrap()
    }

    #[test]
    fn a_star_at_the_end_is_a_prefix() {
        let sources = ["order-service", "payment-*", "*"].map(|text| text.parse().unwrap());

        assert_eq!(
            rule_sources(&sources),
            [
                json!("order-service"),
                json!({"prefix": "payment-"}),
                json!({"anything-but": ["sealway"]})
            ]
        );
    }

    #[test]
    fn a_rule_lets_through_what_any_publication_wants() {
        let both = ["{ source: [a, { prefix: b }] }", "{ source: [a], detail-type: [c] }"];
        assert_eq!(
            of_publications(&publications(&both)),
            Some(vec![json!("a"), json!({"prefix": "b"})])
        );

        let one_of_any_source = ["{ source: [a] }", "{ detail-type: [c] }"];
        assert_eq!(of_publications(&publications(&one_of_any_source)), None);
        assert_eq!(of_publications(&publications(&[])), None);
    }
}
