//! Tests of which message a publication publishes, and of what stops a gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::{Catalog, Gate};
use crate::enrich::Publications;

/// A contract in which much is wrong, and some is right.
const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Orders, version: 1.2.0, description: null }
chanels: {}
channels:
  orders:
    address: orders
    messages:
      created: { name: Order Created, payload: { type: object } }
      avro:
        payload: { schemaFormat: 'application/vnd.apache.avro;version=1.9.0', schema: { type: record } }
      empty: {}
      remote: { payload: { $ref: 'https://example.com/a.json' } }
      gone: { $ref: '#/components/messages/Gone' }
      number: { payload: 7 }
      example:
        payload: { type: object, properties: { n: { type: integer } } }
        examples: [{ payload: { n: x } }, { payload: { n: \"\\a\" } }]
      xml: { contentType: application/xml, payload: { type: object } }
      trait: { payload: true, traits: [{ payload: {} }] }
      own: { name: Order.Owned, x-version: 7.0.0, payload: { type: object } }
      asked: { payload: { type: object } }
  returns:
    address: returns
    messages:
      created: { name: Return Created, payload: { type: object } }
      V1: { name: Same, payload: { type: object } }
      V2: { name: Same, payload: { type: object } }
operations:
  ask:
    action: receive
    channel: { $ref: '#/channels/orders' }
    messages: [{ $ref: '#/channels/orders/messages/asked' }]
";

fn publications(items: &[(&str, &str)]) -> Publications {
    let mut text = "domain: orders\ncontract: asyncapi/orders.yaml\nsource: /orders\n\
                    publications:\n"
        .to_owned();
    for (event, message) in items {
        text += &["  - event: ", event, "\n    when: { source: [a] }\n    patch: []\n"].concat();
        if !message.is_empty() {
            text += &["    message: '", message, "'\n"].concat();
        }
    }
    Publications::load(&BTreeMap::from([("orders.yaml".to_owned(), text)])).unwrap()
}

fn gate(files: &[(&str, &str)], items: &[(&str, &str)]) -> Result<Gate, Vec<String>> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let catalog = Arc::new(Catalog::load(&files.collect()));
    Gate::new(catalog, &publications(items)).map_err(|found| {
        let errors = found.iter().filter(|one| one.is_error());
        errors.map(ToString::to_string).collect()
    })
}

/// The errors of a gate for one publication of the contract above.
fn errors(event: &str, message: &str) -> Vec<String> {
    gate(&[("orders.yaml", CONTRACT)], &[(event, message)]).err().unwrap_or_default()
}

#[test]
fn mistakes_of_messages_that_nobody_publishes_are_warnings() {
    let gate = gate(&[("orders.yaml", CONTRACT)], &[("Order.Created", "Order Created")]).unwrap();

    let told: Vec<String> = gate.diagnostics().iter().map(ToString::to_string).collect();
    for words in [
        ":2:40: warning: `description` is null",
        ":3:1: warning: AsyncAPI knows no `chanels` here",
        ":10:20: warning: a payload in Avro cannot be checked",
        ":11:7: warning: a message without a `payload`",
        ":12:28: warning: remote references are never fetched",
        ":13:15: warning: `#/components/messages/Gone` leads nowhere",
        ":14:17: warning: a schema is an object, `true` or `false`",
        ":17:33: warning: an example that breaks its message",
        ":17:56: warning: an example that cannot cross",
        ":18:14: warning: `application/xml` cannot cross",
        ":19:42: warning: a trait cannot hold a payload",
    ] {
        assert!(told.iter().any(|one| one.contains(words)), "{words}: {}", told.join("\n"));
    }
}

#[test]
fn a_publication_of_a_message_with_a_mistake_is_an_error_and_only_its_own() {
    for (message, words) in [
        ("avro", "cannot be checked"),
        ("empty", "a message without a `payload`"),
        ("remote", "never fetched"),
        ("gone", "leads nowhere"),
        ("number", "a schema is an object"),
        ("xml", "cannot cross"),
        ("trait", "a trait cannot hold a payload"),
    ] {
        let found = errors("Order.Created", message);
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        assert!(found[0].contains(words), "{message}: {found:?}");
    }
    assert_eq!(errors("Order.Created", "example").len(), 2);
    assert_eq!(errors("avro", "").len(), 1);
}

#[test]
fn a_message_is_found_by_key_name_id_channel_and_place() {
    for message in [
        "Order Created",
        "orders/created",
        "#/channels/orders/messages/created",
        "own",
        "Order.Owned",
        "V1",
        "V2",
        "Return Created",
    ] {
        assert_eq!(errors("Order.Created", message), Vec::<String>::new(), "{message}");
    }
    assert_eq!(errors("Order.Owned", ""), Vec::<String>::new());
}

#[test]
fn an_ambiguous_reference_lists_what_would_be_unambiguous() {
    let found = errors("Order.Created", "created").concat();
    assert!(found.contains("publication `orders/Order.Created`: `orders.yaml` has 2"), "{found}");
    assert!(found.contains("`Order Created`, `Return Created`"), "{found}");
    let found = errors("Same", "").concat();
    assert!(found.contains("tell which with `message:`, `V1`, `V2`"), "{found}");
    assert!(errors("Order.Created", "asked").concat().contains("is received, not sent"));
    let found = errors("Order.Created", "creatd").concat();
    assert!(found.contains("has no message `creatd`"), "{found}");
    assert!(found.contains("it has: "), "{found}");
}

#[test]
fn one_message_is_published_by_several_publications_under_their_events() {
    let items = [("Order.Created", "V1"), ("Order.Opened", "V1"), ("Order.Again", "own")];
    let gate = gate(&[("orders.yaml", CONTRACT)], &items).unwrap();

    let publications = publications(&items);
    let found: Vec<_> = publications
        .iter()
        .map(|one| gate.catalog().message_of(one).map(|message| message.version().to_owned()))
        .collect();
    let version = |text: &str| Some(text.to_owned());
    assert_eq!(found, [version("1.2.0"), version("1.2.0"), version("7.0.0")]);
}

#[test]
fn a_file_that_cannot_be_read_stops_only_the_publications_that_name_it() {
    let good = "asyncapi: 2.0.0\ninfo: { title: t, version: '1' }\nchannels:\n  c:\n    \
                subscribe: { message: { name: A, payload: true } }\n";
    for (bad, words) in [
        ("a: [\n", "orders"),
        ("asyncapi: 1.0.0\n", "is not a version that is read"),
        ("asyncapi: 3.0.0\ninfo: { title: t }\n", "`info.version` is missing"),
        ("asyncapi: [3]\n", "`asyncapi` is not a text"),
    ] {
        let found = gate(&[("orders.yaml", bad), ("good.yaml", good)], &[("A", "")]).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{found:?}");
        let gate = gate(&[("bad.yaml", bad), ("orders.yaml", good)], &[("A", "")]).unwrap();
        assert_eq!(gate.diagnostics().len(), 1, "{bad}");
        assert_eq!(gate.catalog().documents().count(), 1);
    }
    let found = gate(&[("orders.yaml", "a: 1\n")], &[("A", "")]).unwrap_err().concat();
    assert!(found.contains("`orders.yaml` is no contract: it has no member `asyncapi`"), "{found}");
    assert!(gate(&[], &[("A", "")]).unwrap_err().concat().contains("there is no contract"));
}

#[test]
fn a_name_that_is_another_messages_key_is_found_as_before_by_an_event() {
    let contract = "asyncapi: 3.0.0\ninfo: { title: t, version: '1' }\nchannels:\n  c:\n    messages:\n      \
                    A: { name: B, payload: true }\n      C: { name: A, x-version: '2', payload: true }\n";
    let files = [("orders.yaml", contract)];
    let version = |items: &[(&str, &str)]| {
        let gate = gate(&files, items).unwrap();
        let publications = publications(items);
        let publication = publications.iter().next().unwrap();
        gate.catalog().message_of(publication).unwrap().version().to_owned()
    };

    assert_eq!(version(&[("A", "")]), "2");
    assert_eq!(version(&[("X", "A")]), "1");
}

#[test]
fn a_lookup_that_fails_says_what_is_wrong_and_what_to_do() {
    let files = [("orders.yaml".to_owned(), CONTRACT.to_owned())];
    let catalog = Catalog::load(&files.into());

    let error = catalog.described("other.yaml", "Same").unwrap_err();

    assert_eq!(error.to_string(), "there is no contract `other.yaml`");
    assert_eq!(error.help(), "there are: orders.yaml");
    let catalog = catalog.in_folder("config/asyncapi");
    let error = catalog.described("other.yaml", "Same").unwrap_err().to_string();
    assert_eq!(error, "there is no contract `other.yaml` in the folder `config/asyncapi`");
    let empty = Catalog::default().described("other.yaml", "Same").unwrap_err();
    assert!(empty.help().contains("the setting `contracts` names the folder"), "{}", empty.help());
    assert!(catalog.described("orders.yaml", "Same").unwrap_err().help().contains("`message:`"));
}

#[test]
fn words_that_nobody_knows_are_told_in_schemas_that_nobody_uses_too() {
    let text = "asyncapi: 3.0.0
info: { title: T, version: 1.0.0 }
channels: {}
components:
  schemas:
    Money: { type: string, minlength: 3 }
    Line:
      $id: https://example.com/line
      properties: { a: { description: null }, minlength: { type: string } }
      $defs: { b: { requird: [a], default: { minlength: 1 }, x-mine: { minlength: 1 } } }
";
    let catalog = Catalog::load(&BTreeMap::from([("t.yaml".to_owned(), text.to_owned())]));
    let told: Vec<String> = catalog.diagnostics().iter().map(ToString::to_string).collect();

    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].starts_with("t.yaml:6:28: ") && told[0].contains("did you mean `minLength`?"));
    assert!(told[1].starts_with("t.yaml:9:26: ") && told[1].contains("is null"), "{told:#?}");
    assert!(told[2].starts_with("t.yaml:10:21: ") && told[2].contains("`required`"), "{told:#?}");
}
