//! Everything that crosses, read from the files of all domains.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::enrich::Publication;
use crate::enrich::file;
use crate::event::Diagnostic;
use crate::route::{Filter, Table};
use crate::source::Received;

/// Everything that crosses.
#[derive(Debug, Default)]
pub struct Publications {
    all: Vec<Arc<Publication>>,
    /// Their patterns, by their index in `all`.
    patterns: Table<usize>,
    warnings: Vec<Diagnostic>,
}

impl Publications {
    /// Reads all files of publications, given as texts by the names that a person knows them by.
    ///
    /// # Errors
    ///
    /// The caller's turn: every mistake in every file, each at its place, and warnings after them.
    pub fn load(files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let (read, mut mistakes) = Self::read(files);
        if mistakes.is_empty() {
            return Ok(read);
        }
        mistakes.extend(read.warnings);
        Err(mistakes)
    }

    /// Reads all files of publications as [`load`](Self::load) does, and gives the
    /// publications without a mistake beside every mistake in the others.
    pub fn read(files: &BTreeMap<String, String>) -> (Self, Vec<Diagnostic>) {
        let mut all: Vec<Arc<Publication>> = Vec::new();
        let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
        let mut places: BTreeMap<Arc<str>, String> = BTreeMap::new();
        for (file, text) in files {
            let read = file::read(file, text);
            mistakes.extend(read.mistakes);
            warnings.extend(read.warnings);
            for (publication, at) in read.publications {
                let name = Arc::clone(&publication.name);
                if let Some(first) = places.get(&name) {
                    let problem = format!("`{name}` is published already, at {first}");
                    let help = "join the two patterns with `$or`, or name the domains apart";
                    mistakes.push(Diagnostic::at(file, text, at, problem).with_help(help));
                }
                places.entry(name).or_insert_with(|| format!("{file}:{}", at.0));
                all.push(Arc::new(publication));
            }
        }
        let filter = |one: &Arc<Publication>| Arc::new(Filter::from(one.when.clone()));
        let patterns = all.iter().map(filter).enumerate().collect();
        (Self { all, patterns, warnings }, mistakes)
    }

    /// The JSON Schema of a file of publications, made from the types that read it.
    pub fn file_schema() -> schemars::Schema {
        schemars::schema_for!(file::File)
    }

    /// What the files say that stops nothing and is better mended.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// All publications, in the order of their files.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Publication>> {
        self.all.iter()
    }

    /// Finds a publication by its name, `domain/event`.
    pub fn get(&self, name: &str) -> Option<&Arc<Publication>> {
        self.all.iter().find(|publication| &*publication.name == name)
    }

    /// Finds the publications that want an event, in the order of their files.
    pub fn wanted_by(&self, received: &Received) -> Vec<Arc<Publication>> {
        let found = self.patterns.matches(&received.envelope.to_tree());
        found.into_iter().filter_map(|index| self.all.get(index)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::Envelope;

    fn file(domain: &str, event: &str) -> String {
        format!(
            "domain: {domain}\ncontract: asyncapi/x.yaml\nsource: /x\npublications:\n  \
             - event: {event}\n    when: {{ source: [a] }}\n    patch: []\n"
        )
    }

    fn load(files: &[(&str, String)]) -> Result<Publications, Vec<Diagnostic>> {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
        Publications::load(&files.collect())
    }

    #[test]
    fn mistakes_of_all_files_are_found_at_once() {
        let found = load(&[("a.yaml", "x".into()), ("b.yaml", file("orders", "not/a/name"))]);

        let files: Vec<String> = found.unwrap_err().into_iter().map(|found| found.file).collect();
        assert_eq!(files, ["a.yaml", "b.yaml"]);
    }

    /// What is found in a file with these publications, by line and problem, and how it is with those
    /// that are sound.
    fn found(head: &str, items: &[&str]) -> (Vec<String>, Vec<String>) {
        let text = format!(
            "domain: x\ncontract: asyncapi/x.yaml\nsource: /x\n{head}publications:\n{}",
            items.concat()
        );
        let files = BTreeMap::from([("a.yaml".to_owned(), text)]);
        let (publications, mistakes) = Publications::read(&files);
        let shown = |one: &Diagnostic| one.to_string().lines().next().unwrap().to_owned();
        let noticed = publications.iter().flat_map(|one| one.noticed());
        (mistakes.iter().map(shown).collect(), noticed.map(|one| shown(&one)).collect())
    }

    const UNKNOWN_KEY: &str =
        "  - event: A.A\n    when: { detail-typ: [a] }\n    dedup: 5m\n    patch: []\n";
    const UNKNOWN_OPERATION: &str = "  - event: A.B\n    when: { detail-typ: [a] }\n    \
                                     patch: [{ op: cop, path: /data/a }]\n";
    const SOUND: &str = "  - event: A.C\n    when: { detail-typ: [c] }\n    patch: []\n";

    #[test]
    fn a_mistake_in_one_publication_hides_none_in_it_and_none_in_another() {
        let unfit = "an envelope has no `detail-typ`: this matches no event";

        let (mistakes, noticed) = found("", &[UNKNOWN_KEY, SOUND]);
        assert_eq!(
            mistakes,
            [format!("a.yaml:6:13: {unfit}"), "a.yaml:7:5: unknown key `dedup`".to_owned()]
        );
        assert_eq!(noticed, [format!("a.yaml:10:13: {unfit}")]);

        let (mistakes, noticed) = found("", &[UNKNOWN_OPERATION, SOUND]);
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(mistakes.contains(&format!("a.yaml:6:13: {unfit}")), "{mistakes:?}");
        assert_eq!(noticed, [format!("a.yaml:9:13: {unfit}")]);
    }

    #[test]
    fn publications_are_not_judged_by_constants_that_were_not_read() {
        let (mistakes, noticed) = found("contxt: { a: 1 }\n", &[SOUND]);

        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(noticed.is_empty(), "{noticed:?}");
    }

    #[test]
    fn a_member_below_the_detail_may_be_called_like_a_negative_number() {
        let item = SOUND.replace("detail-typ", "detail-type").replace(
            "patch: []",
            "metadata: /detail/-1\n    attributes: { a: /detail/-2/b }\n    \
             patch: [{ op: copy, from: /detail/lines/-5/a, path: /data/a }]",
        );

        let (mistakes, noticed) = found("", &[&item]);

        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(noticed.len(), 3, "{noticed:?}");
        for (noticed, token) in noticed.iter().zip(["-1", "-2", "-5"]) {
            let words = format!("warning: `{token}` is no index of an array");
            assert!(noticed.contains(&words), "{noticed}");
        }
        for path in ["/data/-5", "/data/a/-5/b"] {
            let (mistakes, _) =
                found("", &[&item.replace("path: /data/a", &format!("path: {path}"))]);
            assert!(mistakes.iter().any(|one| one.contains("no array has an item `-5`")));
        }
    }

    #[test]
    fn one_event_of_a_domain_is_published_once() {
        let found = load(&[("a.yaml", file("orders", "A.B")), ("b.yaml", file("orders", "A.B"))]);

        let found = found.unwrap_err().remove(0).to_string();
        assert!(found.starts_with("b.yaml:5:12: `orders/A.B` is published already, at a.yaml:5"));
        assert!(load(&[("a.yaml", file("x", "A.B")), ("b.yaml", file("y", "A.B"))]).is_ok());
    }

    #[test]
    fn a_pattern_is_asked_about_any_json_value() {
        let wanted = |when: &str, detail: serde_json::Value| {
            let text = file("x", "A.B").replace("source: [a]", when);
            let received = Received {
                envelope: Envelope::example(detail),
                repeatable: true,
                traceparent: None,
                producer: None,
            };
            load(&[("a.yaml", text)]).unwrap().wanted_by(&received).len() == 1
        };
        let below = "detail: { a: [1] }";
        assert!(wanted(below, json!({"a": 1})));
        assert!(wanted(below, json!([{"a": 2}, {"a": 1}])), "as in any array of objects");
        for detail in [json!([1]), json!("a"), json!(1), json!(null), json!(true)] {
            assert!(!wanted(below, detail));
        }
        assert!(wanted("detail: [1]", json!([2, 1])));
        assert!(wanted("detail: [text]", json!("text")));
        assert!(wanted("detail: [null]", json!(null)));
    }

    #[test]
    fn the_publications_of_the_demo_are_sound() {
        let orders = include_str!("../../config/publications/orders.yaml").to_owned();
        let payments = include_str!("../../config/publications/payments.yaml").to_owned();

        let loaded = load(&[("orders.yaml", orders), ("payments.yaml", payments)]).unwrap();

        let names: Vec<&str> = loaded.iter().map(|publication| &**publication.name()).collect();
        assert_eq!(
            names,
            [
                "orders/Order.Created",
                "orders/Order.Completed",
                "orders/Order.Cancelled",
                "payments/Payment.Succeeded",
                "payments/Payment.Failed",
            ]
        );
        assert!(loaded.get("orders/Order.Created").is_some());
        let received = Received {
            envelope: Envelope {
                source: "payment-service".into(),
                detail_type: "PaymentFailed".into(),
                ..Envelope::example(json!({"id": 102}))
            },
            repeatable: false,
            traceparent: None,
            producer: None,
        };
        let wanted = loaded.wanted_by(&received);
        assert_eq!(wanted.len(), 1);
        let made = wanted[0].enrich(&Arc::new(received)).unwrap();
        assert_eq!(made.data(), &json!({"orderId": 102}));
    }
}
