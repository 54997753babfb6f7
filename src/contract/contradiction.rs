//! What a contract says of the CloudEvent itself, held against what the gateway and a publication
//! make of it.

use json_patch::jsonptr::Pointer;
use serde_json::Value;

use crate::contract::Message;
use crate::contract::attribute_rules::EnvelopeRules;
use crate::enrich::{Mode, Publication, PublishedAttribute};
use crate::event::{Diagnostic, SPEC_VERSION, is_attribute_name};

/// Ids as the gateway makes them, the least and the greatest among them.
const IDS: [&str; 3] =
    ["01M80161XDFMCHG7JG9T1VM8Z1", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"];

/// Times as producers send them.
const TIMES: [&str; 3] =
    ["2026-11-21T20:17:00Z", "2026-11-21T20:17:00.123456789Z", "2026-11-21T21:17:00+01:00"];

const KEY: &str = "a1417c8dac46c8810032dd4322c17e02";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What every event of the gateway has, `data` among it.
const ALWAYS: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "idempotencykey",
    "data",
];

/// Every contradiction between a message and a publication of it, at its place in the contract. Of a
/// publication that observes, each is a warning: its events cross all the same.
pub(super) fn contradictions(message: &Message, publication: &Publication) -> Vec<Diagnostic> {
    let Some(envelope) = message.envelope() else { return Vec::new() };
    let mut search = Search { envelope, publication, found: Vec::new() };
    search.core(message);
    search.demands();
    search.closed();
    for set in publication.attributes() {
        search.constant(set);
    }
    if publication.mode() == Mode::Observe {
        return search.found.into_iter().map(Diagnostic::into_warning).collect();
    }
    search.found
}

struct Search<'a> {
    envelope: &'a EnvelopeRules,
    publication: &'a Publication,
    found: Vec<Diagnostic>,
}

impl Search<'_> {
    fn problem(&self, problem: &str) -> String {
        format!("publication `{}`: {problem}", self.publication.name())
    }

    fn error(&mut self, name: &str, problem: &str, help: &str) {
        let mistake = self.envelope.mistake(name, self.problem(problem));
        self.found.extend(mistake.map(|mistake| mistake.with_help(help)));
    }

    fn warning(&mut self, name: &str, problem: &str, help: &str) {
        let mistake = self.envelope.mistake(name, self.problem(problem));
        self.found.extend(mistake.map(|mistake| mistake.with_help(help).into_warning()));
    }

    /// How every one of some values breaks the rules of an attribute; nothing if one keeps them.
    fn breach(&self, name: &str, values: &[&str]) -> Option<String> {
        let breaches = values.iter().map(|value| self.envelope.breach(name, &Value::from(*value)));
        breaches.collect::<Option<Vec<_>>>()?.into_iter().next()
    }

    /// What the gateway gives every event, and what the publication gives each of its own.
    fn core(&mut self, message: &Message) {
        let constants = [
            ("specversion", SPEC_VERSION, "a text in quotes: `const: '1.0'`"),
            ("datacontenttype", "application/json", "data crosses as JSON"),
        ];
        for (name, value, help) in constants {
            if let Some(rule) = self.breach(name, &[value]) {
                let problem = format!("`{name}` is `{value}`, and by the contract it {rule}");
                self.error(name, &problem, help);
            }
        }
        if let Some(rule) = self.breach("time", &TIMES) {
            let problem = format!("`time` is a moment in RFC 3339, and by the contract it {rule}");
            self.error("time", &problem, "describe it as `{ type: string, format: date-time }`");
        }
        self.naming(message);
        self.unasked();
    }

    /// What the gateway gives every event whether the contract wants it or not.
    fn unasked(&mut self) {
        let schema = format!("https://gateway.example/schemas/{}/1.0.0", self.publication.event());
        let ours = [
            ("id", &IDS[..], "a ULID, such as `01M80161XDFMCHG7JG9T1VM8Z1`"),
            ("dataschema", &[&*schema], "where the gateway serves the schema of the data"),
            ("idempotencykey", &[KEY], "the MD5 of the content in lower-case hex"),
            ("traceparent", &[TRACE], "the producer's trace"),
        ];
        for (name, values, is) in ours {
            if let Some(rule) = self.breach(name, values) {
                let problem = format!("`{name}` is {is}, and by the contract it {rule}");
                let help = "events cross all the same; consumers that check this refuse them";
                self.warning(name, &problem, help);
            }
        }
    }

    /// The attributes that say what happened, where, and to what.
    fn naming(&mut self, message: &Message) {
        let publication = self.publication;
        let name = format!("{}{}", publication.type_prefix(), publication.event());
        if self.envelope.event_type().is_none()
            && publication.metadata().is_none()
            && let Some(rule) = self.breach("type", &[&name])
        {
            let problem = format!("its `type` is `{name}`, and by the contract it {rule}");
            let help = "let the contract fix one text (`const`), which is then the `type`; `types` \
                        of subscriptions match `event` all the same";
            self.error("type", &problem, help);
        }
        let source = message.source_of(publication);
        if let Some(source) = source
            && let Some(rule) = self.breach("source", &[source.as_str()])
        {
            let problem = format!("its `source` is `{source}`, and by the contract it {rule}");
            let help = "leave `source` out of the file where the contract fixes it, or change one";
            self.error("source", &problem, help);
        }
        self.subject();
    }

    /// The subject, where it is the same for every event.
    fn subject(&mut self) {
        let publication = self.publication;
        let subject = match publication.subject() {
            None if publication.metadata().is_some() => None,
            None => Some(publication.event().to_owned()),
            Some(pointer) => self.constant_at(pointer).and_then(Value::as_str).map(str::to_owned),
        };
        if let Some(subject) = subject
            && let Some(rule) = self.breach("subject", &[&subject])
        {
            let problem = format!("its `subject` is `{subject}`, and by the contract it {rule}");
            let help = "name what the event is about: `subject: /data/…`";
            self.error("subject", &problem, help);
        }
    }

    /// What has to be there.
    fn demands(&mut self) {
        let names: Vec<String> = self.envelope.required().map(str::to_owned).collect();
        for name in names.iter().filter(|name| !ALWAYS.contains(&name.as_str())) {
            let set = self.publication.attributes().iter().find(|set| set.name().as_str() == name);
            let (is_error, problem, help) = match (set, name.as_str()) {
                (Some(set), _) if !set.is_optional() => continue,
                (Some(_), _) => (
                    false,
                    format!("`{name}` is optional in it and required by the contract"),
                    "an event without it is refused",
                ),
                (None, "traceparent") => (
                    false,
                    "`traceparent` is required by the contract, and only events whose producer \
                     sent a trace have one"
                        .to_owned(),
                    "let it be optional in the contract",
                ),
                (None, "sequence" | "sealwayreplay") => (
                    false,
                    format!("`{name}` is required by the contract, and stands beside the event"),
                    "let it be optional in the contract",
                ),
                (None, "data_base64") => (
                    true,
                    "`data_base64` is required by the contract, and data crosses as JSON"
                        .to_owned(),
                    "describe what crosses under `properties.data`",
                ),
                (None, name) if !is_attribute_name(name) => (
                    true,
                    format!("`{name}` is required by the contract, and cannot be an attribute"),
                    "names of attributes have a-z and 0-9 only",
                ),
                (None, name) => (
                    true,
                    format!("it sets no attribute `{name}`, which the contract requires"),
                    "add it to `attributes` of the publication, with a pointer to its value",
                ),
            };
            let mistake = self.envelope.demand(name, self.problem(&problem));
            let mistake = mistake.map(|mistake| mistake.with_help(help));
            let told =
                |mistake: Diagnostic| if is_error { mistake } else { mistake.into_warning() };
            self.found.extend(mistake.map(told));
        }
    }

    /// Attributes that a closed description of the event does not have.
    fn closed(&mut self) {
        for set in self.publication.attributes() {
            let name = set.name().as_str();
            let problem = self.problem(&format!("the contract does not describe `{name}`"));
            let help = "describe it, or do not close the CloudEvent";
            let at = self.envelope.closed_to(name).next();
            self.found.extend(at.map(|at| Diagnostic { problem, ..at.clone() }.with_help(help)));
        }
        let ours = ALWAYS.iter().chain(&["traceparent"]);
        let lacking = |name: &&&str| self.envelope.closed_to(name).next().is_some();
        let lacking: Vec<&str> = ours.filter(lacking).copied().collect();
        if let Some(at) = lacking.first().and_then(|name| self.envelope.closed_to(name).next()) {
            let problem = self.problem(&format!(
                "the contract closes the CloudEvent without `{}`, which events of the gateway have",
                lacking.join("`, `")
            ));
            let help = "events cross all the same; consumers that check this refuse them";
            let told = Diagnostic { problem, ..at.clone() }.with_help(help);
            self.found.push(told.into_warning());
        }
    }

    /// A value that is the same for every event.
    fn constant(&mut self, set: &PublishedAttribute) {
        let name = set.name().as_str();
        let Some(value) = self.constant_at(set.from()) else { return };
        if let Err(rule) = self.envelope.value_of(name, value) {
            let problem =
                format!("by the contract `{name}` {rule}, unlike the constant of `context`");
            self.error(name, &problem, "change the constant or the contract");
        }
    }

    fn constant_at(&self, pointer: &Pointer) -> Option<&Value> {
        let inside = pointer.strip_prefix(Pointer::from_static("/context"))?;
        inside.resolve(self.publication.context()).ok()
    }
}
