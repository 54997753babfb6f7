//! Reads one file of publications, and finds every mistake in it at its place.

use std::sync::Arc;

use json_patch::jsonptr::PointerBuf;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ambient::HumanDuration;
use crate::enrich::attributes::AttributeOrigin;
use crate::enrich::noticed;
use crate::enrich::patch_schema::PatchEntry;
use crate::enrich::publication::PublicationFile;
use crate::enrich::publication_reader::PublicationReader;
use crate::enrich::{Mode, Numbers, Publication, PublicationPlaces};
use crate::event::{
    Diagnostic, EventSource, EventType, Placed, YamlNode, YamlPieces, is_published_name,
    read_pieces, yaml,
};

/// Bytes of a reference to a message; a place in a document is the longest.
const LONGEST_MESSAGE: usize = 1_024;

/// What one domain lets cross the border.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    /// The domain's name: letters, digits, `-`, `_` and `.`.
    #[schemars(with = "String")]
    domain: Placed<String>,
    /// The AsyncAPI document that describes the events, `asyncapi/payments.yaml`.
    #[schemars(with = "String")]
    contract: Placed<String>,
    /// The CloudEvents `source` of the events, a URI reference such as `/payments`. May be left out
    /// where the contract fixes it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    source: Option<Placed<String>>,
    /// What stands before the event name in the CloudEvents `type`, unless the contract fixes that,
    /// with its dot: `com.example.`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    type_prefix: Option<Placed<String>>,
    /// Constants that patches find below `/context`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    context: Option<Placed<YamlNode>>,
    /// What crosses.
    #[schemars(with = "Vec<Item>")]
    publications: Vec<Placed<Item>>,
}

/// One kind of event that crosses.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Item {
    /// The name under which the event crosses, by custom `Entity.Event`, and what `types` of
    /// subscriptions match; without `message`, also the name of its message in the contract.
    #[schemars(with = "String")]
    event: Placed<String>,
    /// The message in the contract: its key, its `messageId` or its `name`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    message: Option<Placed<String>>,
    /// An EventBridge pattern over the envelope: which internal events become this one.
    #[schemars(with = "serde_json::Map<String, Value>")]
    when: Placed<YamlNode>,
    /// Pointer to the text that makes the third level of the name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    metadata: Option<Placed<String>>,
    /// Pointer to the CloudEvents `subject`; without it, the subject is the event's name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    subject: Option<Placed<String>>,
    /// JSON Patch (RFC 6902) that moves public data from the envelope to `/data`; its operations may
    /// stand in groups.
    #[schemars(with = "Vec<PatchEntry>")]
    patch: Vec<Placed<YamlNode>>,
    /// Pointers below `/data` that make the idempotency key; without them, all content does.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    key: Vec<Placed<String>>,
    /// CloudEvents extension attributes of the event, by name: pointers to their values.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, AttributeOrigin>")]
    attributes: Option<Placed<YamlNode>>,
    /// Which of them stand outside of tokens too; `subject` is one where it has a pointer.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    clear: Vec<Placed<String>>,
    /// For how long an event with equal content is taken for a repeat; without it, never.
    #[serde(default)]
    deduplicate: Option<HumanDuration>,
    /// What happens to an event that breaks its contract.
    #[serde(default)]
    mode: Mode,
    /// What happens to a number that not every JSON library reads alike: `keep` lets it cross with
    /// all its digits, `refuse` refuses the event.
    #[serde(default)]
    numbers: Numbers,
}

/// A publication, and the line and column of its name in the file.
type PublicationAndPlace = (Publication, (usize, usize));

/// What a file of publications says, and what is told about it.
#[derive(Debug, Default)]
pub(super) struct ReadFile {
    /// Its publications that are sound, each with its place.
    pub publications: Vec<PublicationAndPlace>,
    /// What has to be mended.
    pub mistakes: Vec<Diagnostic>,
    /// What stops nothing.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the file called `name`: a mistake in one publication hides none in another.
pub(super) fn read(name: &str, text: &str) -> ReadFile {
    let file = |places| PublicationFile { name: name.to_owned(), text: text.to_owned(), places };
    let first = match yaml::read::<File>(name, text) {
        Ok(read) => return PublicationReader::of(text, file(None)).whole(read, |_| true),
        Err(first) => *first,
    };
    let YamlPieces { mistakes, rest, text: left, places, torn } =
        read_pieces::<File>(name, text, first);
    let mut found = match rest {
        Some(rest) => {
            let items = item_places(name, text, &torn);
            PublicationReader::of(&left, file(Some(places))).whole(rest, |at| !items.is_torn(at))
        }
        None => ReadFile::default(),
    };
    found.mistakes.extend(mistakes);
    found.mistakes.sort_by_key(|mistake| mistake.place);
    found
}

/// Where the publications of a file begin from which something was taken out.
struct ItemPlaces<'t> {
    starts: Vec<(usize, usize)>,
    root: (usize, usize),
    torn: &'t [(usize, usize)],
}

fn item_places<'t>(name: &str, text: &str, torn: &'t [(usize, usize)]) -> ItemPlaces<'t> {
    let mut places = ItemPlaces { starts: Vec::new(), root: (1, 1), torn };
    if let Ok(tree) = yaml::read_tree(name, text) {
        places.root = tree.place;
        if let YamlNode::Object(members) = &tree.value
            && let Some((_, list)) = members.iter().find(|(name, _)| name.value == "publications")
            && let YamlNode::Array(items) = &list.value
        {
            places.starts = items.iter().map(|item| item.place).collect();
        }
    }
    places
}

impl ItemPlaces<'_> {
    /// Whether something is missing from the publication with this place, or from what all share.
    fn is_torn(&self, at: (usize, usize)) -> bool {
        let next = self.starts.partition_point(|start| *start <= at);
        let first = next.checked_sub(1).and_then(|index| self.starts.get(index));
        let is_within = |torn: &(usize, usize)| {
            first.is_none_or(|first| first <= torn)
                && self.starts.get(next).is_none_or(|next| torn < next)
        };
        self.torn.iter().any(|torn| *torn == self.root || is_within(torn))
    }
}

impl PublicationReader<'_> {
    /// Reads a file, and keeps those publications without a mistake that are whole, by their places.
    fn whole(mut self, file: File, is_whole: impl Fn((usize, usize)) -> bool) -> ReadFile {
        let (publications, dropped): (Vec<_>, Vec<_>) =
            self.publications(file).into_iter().partition(|(_, at)| is_whole(*at));
        for (publication, _) in dropped {
            self.tell(publication.noticed());
        }
        ReadFile { publications, mistakes: self.mistakes, warnings: self.warnings }
    }

    fn publications(&mut self, file: File) -> Vec<PublicationAndPlace> {
        if !is_published_name(&file.domain.value) {
            let problem = "a domain's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(file.domain.place, problem, "");
        }
        let contract = self.contract(&file.contract);
        let written = file.source.as_ref();
        let source = written.map(|source| self.checked(source, EventSource::new, ""));
        let type_prefix = file.type_prefix.as_ref().map(|prefix| {
            self.checked(prefix, EventType::new, "leave `type-prefix` out if there is none");
            prefix.value.as_str()
        });
        let context = file.context.as_ref().map_or_else(
            || Value::Object(serde_json::Map::new()),
            |context| self.exact(context, Numbers::Keep),
        );
        if let Some(marked) = file.context.as_ref().filter(|_| !context.is_object()) {
            self.mistake(marked.place, "`context` names constants: a mapping", "");
        }
        let (Some(contract), Some(source)) = (contract, source.map_or(Some(None), |s| s.map(Some)))
        else {
            return Vec::new();
        };
        let domain = Domain {
            name: Arc::from(file.domain.value),
            contract,
            source,
            type_prefix: Arc::from(type_prefix.unwrap_or_default()),
            context: Arc::new(context),
        };
        let unfit = file.type_prefix.as_ref().and_then(noticed::prefix_without_dot);
        self.noticed.extend(unfit.map(|notice| notice.shown(&self.origin)));
        let items = file.publications.into_iter().enumerate();
        items
            .filter_map(|(index, item)| {
                let places = self.places(index, &item.value);
                let mistakes = self.mistakes.len();
                let publication = self.publication(&domain, item.value, places);
                let rest = std::mem::take(&mut self.noticed);
                self.tell(rest);
                let publication = publication?;
                if self.mistakes.len() > mistakes {
                    self.tell(publication.noticed());
                    return None;
                }
                let at = self.origin.place(publication.places.event);
                Some((publication, at))
            })
            .collect()
    }

    fn places(&self, index: usize, item: &Item) -> PublicationPlaces {
        let event = item.event.place;
        let at = |pointer: &Option<Placed<String>>| pointer.as_ref().map_or(event, |one| one.place);
        let patch = self.tree.place_of(["publications", &index.to_string(), "patch"]);
        PublicationPlaces {
            event,
            contract: self.tree.place_of(["contract"]).unwrap_or(event),
            message: at(&item.message),
            patch: patch.unwrap_or(event),
            metadata: at(&item.metadata),
            subject: at(&item.subject),
            key: item.key.iter().map(|pointer| pointer.place).collect(),
        }
    }

    /// The contract's file, relative to the folder of contracts.
    fn contract(&mut self, written: &Placed<String>) -> Option<Arc<str>> {
        let path = written.value.trim_start_matches("./");
        let path = path.strip_prefix("asyncapi/").unwrap_or(path);
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if inside && !path.contains('\\') {
            return Some(Arc::from(path));
        }
        let problem = "a contract is a file below the folder of contracts";
        self.mistake(written.place, problem, "write `asyncapi/<file>.yaml`");
        None
    }

    fn publication(
        &mut self,
        domain: &Domain,
        item: Item,
        places: PublicationPlaces,
    ) -> Option<Publication> {
        if !is_published_name(&item.event.value) {
            let problem = "an event's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(item.event.place, problem, "by custom it is `Entity.Event`");
        }
        let message = item.message.as_ref().and_then(|message| self.message(message));
        let when = self.pattern(&item.when);
        let metadata = item.metadata.as_ref().and_then(|pointer| self.pointer(pointer));
        let subject = item.subject.as_ref().and_then(|pointer| self.pointer(pointer));
        self.numbers = item.numbers;
        let patch = self.patch(&item.patch);
        let key = item.key.iter().filter_map(|pointer| self.key(pointer)).collect();
        let attributes = self.attributes(item.attributes.as_ref(), &domain.context);
        let clear = self.clear(&item.clear, &attributes);
        Some(Publication {
            name: Arc::from(format!("{}/{}", domain.name, item.event.value)),
            domain: Arc::clone(&domain.name),
            event: Arc::from(item.event.value),
            message,
            contract: Arc::clone(&domain.contract),
            source: domain.source.clone(),
            type_prefix: Arc::clone(&domain.type_prefix),
            when: when?,
            metadata,
            subject,
            patch,
            key,
            deduplicate: item.deduplicate.map(|span| span.0),
            mode: item.mode,
            numbers: item.numbers,
            context: Arc::clone(&domain.context),
            attributes,
            clear,
            origin: Arc::clone(&self.origin),
            places,
            noticed: std::mem::take(&mut self.noticed),
        })
    }

    fn message(&mut self, written: &Placed<String>) -> Option<Arc<str>> {
        let text = written.value.as_str();
        if text.trim().is_empty() || text.len() > LONGEST_MESSAGE {
            let problem = format!("`message` names a message in 1 to {LONGEST_MESSAGE} bytes");
            self.mistake(written.place, problem, "write its key, its `messageId` or its `name`");
            return None;
        }
        Some(Arc::from(text))
    }

    fn key(&mut self, text: &Placed<String>) -> Option<PointerBuf> {
        let pointer = self.pointer(text)?;
        if pointer.first().is_none_or(|first| first.encoded() != "data") {
            let problem = "a key is made of public data, so that a consumer can compute it";
            self.mistake(text.place, problem, "name something below `/data`");
            return None;
        }
        Some(pointer)
    }
}

struct Domain {
    name: Arc<str>,
    contract: Arc<str>,
    source: Option<EventSource>,
    type_prefix: Arc<str>,
    context: Arc<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "domain: payments\ncontract: asyncapi/payments.yaml\nsource: /payments\n";

    fn mistakes(text: &str) -> Vec<String> {
        let ReadFile { mistakes, warnings, .. } = read("payments.yaml", text);
        mistakes.iter().chain(&warnings).map(ToString::to_string).collect()
    }

    fn with_item(item: &str) -> String {
        format!(
            "{HEAD}publications:\n  - event: Payment.Failed\n    when: {{ source: [a] }}\n{item}"
        )
    }

    #[test]
    fn a_publication_has_everything_that_its_file_says() {
        let text = "\
domain: payments
contract: ./asyncapi/eu/payments.yaml
source: /payments
type-prefix: com.example.
context: { currency: EUR }
publications:
  - event: Payment.Authorised
    when: { source: [payment-service] }
    metadata: /detail/channel
    subject: /data/orderId
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: add, path: /data/note, value: null }
      - { op: add, path: /data/switch, value: on }
    key: [/data/orderId]
    deduplicate: 5m
    mode: observe
";
        let (publication, place) = read("payments.yaml", text).publications.remove(0);

        assert_eq!(place, (7, 12));
        assert_eq!(&**publication.name(), "payments/Payment.Authorised");
        assert_eq!(publication.contract(), "eu/payments.yaml");
        assert_eq!(publication.type_prefix(), "com.example.");
        assert_eq!(publication.context()["currency"], "EUR");
        assert_eq!(publication.metadata().unwrap().as_str(), "/detail/channel");
        assert_eq!(publication.subject().unwrap().as_str(), "/data/orderId");
        assert_eq!(publication.key().len(), 1);
        assert_eq!(publication.deduplicate(), Some(std::time::Duration::from_mins(5)));
        assert_eq!(publication.mode(), Mode::Observe);
    }

    #[test]
    fn a_misspelt_key_is_shown_with_a_caret() {
        let text = with_item("    patchs: []\n");

        let shown = mistakes(&text);

        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("payments.yaml:7:5: unknown key `patchs`"), "{}", shown[0]);
        assert!(shown[0].contains("\n 7 |     patchs: []\n   |     ^"), "{}", shown[0]);
        assert!(shown[0].contains("did you mean `patch`?"), "{}", shown[0]);
    }

    #[test]
    fn a_publication_that_refuses_numbers_brings_none_of_them_itself() {
        let literal = |numbers: &str, op: &str, number: &str| {
            let text = format!(
                "domain: d\ncontract: asyncapi/x.yaml\nsource: /x\npublications:\n  - event: A.B\n    \
                 when: {{ source: [a] }}\n    numbers: {numbers}\n    patch:\n      \
                 - {{ op: {op}, path: /data/a, value: {number} }}\n"
            );
            let found = read("x.yaml", &text).mistakes;
            found.first().map_or(Ok(()), |first| Err(first.to_string()))
        };

        for number in ["1152921506151679042", "789.34000000000003"] {
            assert!(literal("refuse", "add", number).unwrap_err().contains("x.yaml:9:"));
            assert_eq!(literal("keep", "add", number), Ok(()));
            assert_eq!(literal("refuse", "test", number), Ok(()));
        }
        assert_eq!(literal("refuse", "add", "789.34"), Ok(()));
    }

    #[test]
    fn attributes_and_what_is_clear_of_them_are_read_in_both_forms() {
        let text = with_item(
            "    patch: []
    subject: /detail/customer
    attributes:
      correlationid: /detail/correlationId
      tenant: { from: /context/tenant, optional: true }
    clear: [correlationid, subject]
",
        );
        let (publication, _) = read("payments.yaml", &text).publications.remove(0);

        let set: Vec<_> = publication
            .attributes()
            .iter()
            .map(|set| (set.name().as_str(), set.from().as_str(), set.is_optional()))
            .collect();
        assert_eq!(
            set,
            [
                ("correlationid", "/detail/correlationId", false),
                ("tenant", "/context/tenant", true)
            ]
        );
        assert!(publication.clear().subject);
        assert_eq!(publication.clear().extensions.len(), 1);
        assert_eq!(publication.attributes()[1].place(), (11, 7));
        assert_eq!(publication.mistake(publication.places().event, "x").place, Some((5, 12)));
    }

    #[test]
    fn every_mistake_of_attributes_is_found_at_its_place() {
        let text = with_item(
            "    patch: []
    attributes:
      correlationId: /detail/a
      type: /detail/a
      idempotencykey: /detail/a
      a: detail
      b: 5
      c: { optional: true }
      d: { from: /detail/a, optional: 1, else: 2 }
      e: ''
    clear: [a, data, orderId, time, f]
",
        );

        let places: Vec<String> = mistakes(&text)
            .iter()
            .map(|shown| shown.lines().next().unwrap_or_default().replace("payments.yaml:", ""))
            .collect();

        assert_eq!(
            places,
            [
                "9:7: `correlationId`: an attribute's name has 1 to 64 characters of a-z and 0-9",
                "10:7: `type`: CloudEvents itself defines this attribute",
                "11:7: `idempotencykey`: the gateway gives this attribute its value",
                "12:10: `detail` is not a pointer",
                "13:10: an attribute has its value from a pointer",
                "14:10: an attribute needs a `from`",
                "15:39: `optional` is `true` or `false`",
                "15:42: unknown key `else`",
                "16:10: the event as a whole is no value of an attribute",
                "17:13: `a` is neither `subject` nor one of `attributes`",
                "17:16: `data` is neither `subject` nor one of `attributes`",
                "17:22: `orderId` is neither `subject` nor one of `attributes`",
                "17:31: `time` is neither `subject` nor one of `attributes`",
                "17:37: `f` is neither `subject` nor one of `attributes`",
            ]
        );
    }

    #[test]
    fn a_bad_pattern_is_shown_at_its_place() {
        let text = format!(
            "{HEAD}publications:\n  - event: A.B\n    when:\n      source: [a]\n      \
             detail: {{ amount: [{{ numeric: [\">\", lots] }}] }}\n    patch: []\n"
        );

        let shown = mistakes(&text);

        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("payments.yaml:8:"), "{}", shown[0]);
        let caret = shown[0].lines().find(|line| line.ends_with('^')).unwrap();
        let line = shown[0].lines().nth(1).unwrap();
        assert!(line.get(caret.len() - 1..).unwrap().starts_with("lots"), "{}", shown[0]);
    }

    #[test]
    fn names_and_files_that_lead_elsewhere_are_refused() {
        for (text, start) in [
            (HEAD.replace("payments\nc", "pay/ments\nc"), "payments.yaml:1:9: a domain's name"),
            (HEAD.replace("asyncapi/", "../"), "payments.yaml:2:11: a contract is a file below"),
            (HEAD.replace("asyncapi/", "/etc/"), "payments.yaml:2:11: a contract is a file below"),
            (
                HEAD.replace("/payments\n", "\"\"\n"),
                "payments.yaml:3:9: `source` must not be empty",
            ),
        ] {
            let shown = mistakes(&format!("{text}publications: []\n"));
            assert!(shown[0].starts_with(start), "{shown:?}");
        }
        let shown = mistakes(&with_item("    patch: []\n    key: [/detail/id]\n"));
        assert!(shown[0].starts_with("payments.yaml:8:11: a key is made of public data"));
    }

    #[test]
    fn broken_yaml_is_one_mistake() {
        for text in ["", "domain: [", "domain: a\ndomain: b\n", "- 1\n", "\u{0}"] {
            assert_eq!(mistakes(text).len(), 1, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z:{}\\[\\] \n/~\"0-9,&*!-]{0,80}") {
            let _ = read("x.yaml", &format!("{HEAD}publications:\n  - {text}"));
        }
    }
}
