//! Settings as their file says them: what of them is in force, their digest, and where two differ.

use serde_json::{Map, Value};
use url::Url;

use crate::config::{Config, Texts};
use crate::event::canonical;
use crate::eventlog::TextDigest;

/// Settings that a running gateway takes from the file anew, as JSON pointers; the others need a restart.
const RELOADED: &[&str] = &["/publications", "/contracts", "/grants", "/subscriptions"];
/// The same within the settings of the ways in.
const ACCESS_KEYS: &str = "/source/access-keys";

/// A setting that two gateways, or a gateway and its file, say differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// The setting, as `log.retention.age`.
    pub setting: String,
    /// What the first says; nothing if it does not know the setting.
    pub first: Option<Value>,
    /// What the second says.
    pub second: Option<Value>,
}

impl Config {
    /// The settings as their file says them, with the defaults of what it leaves out: paths are as they
    /// are written, and nothing of a command line is in them. Secrets are not in them, only where each is
    /// kept; credentials and the query of an address are left out.
    pub fn as_written(&self) -> Value {
        let mut written = if self.written.is_null() {
            // Of a structure of strings, numbers and lists this cannot fail.
            serde_json::to_value(self).unwrap_or_default()
        } else {
            self.written.clone()
        };
        mask(&mut written);
        written
    }

    /// These settings, which are in force, with what a running gateway can take from others.
    #[must_use]
    pub fn reloaded_from(&self, new: &Self) -> Self {
        let (mut written, said) = (self.as_written(), new.as_written());
        for pointer in RELOADED.iter().chain(&[ACCESS_KEYS]) {
            if let (Some(old), Some(new)) = (written.pointer_mut(pointer), said.pointer(pointer)) {
                new.clone_into(old);
            }
        }
        let mut reloaded = self.clone();
        reloaded.written = written;
        new.publications.clone_into(&mut reloaded.publications);
        new.contracts.clone_into(&mut reloaded.contracts);
        new.grants.clone_into(&mut reloaded.grants);
        new.subscriptions.clone_into(&mut reloaded.subscriptions);
        new.source.access_keys.clone_into(&mut reloaded.source.access_keys);
        reloaded
    }
}

/// SHA-256 of a value in its canonical form (RFC 8785), as hexadecimal digits.
pub fn digest_of(value: &Value) -> String {
    // Settings hold no number that has no canonical form.
    let text = canonical(value).unwrap_or_else(|_| value.to_string());
    TextDigest::of(&text).to_string()
}

/// The digest of the files of a folder: of an object that names each with the SHA-256 of its text.
pub fn digest_of_texts(texts: &Texts) -> String {
    let of_file = |(name, text): (&String, &String)| {
        (name.clone(), Value::String(TextDigest::of(text).to_string()))
    };
    digest_of(&Value::Object(texts.iter().map(of_file).collect::<Map<_, _>>()))
}

/// The settings that two say differently, in the order of their names; lists are compared as a whole.
pub fn differing(first: &Value, second: &Value) -> Vec<SettingDifference> {
    let mut differences = Vec::new();
    compare(String::new(), (Some(first), Some(second)), &mut differences);
    differences.sort_by(|a, b| a.setting.cmp(&b.setting));
    differences
}

fn compare(
    setting: String,
    (first, second): (Option<&Value>, Option<&Value>),
    differences: &mut Vec<SettingDifference>,
) {
    match (first, second) {
        (first, second) if first == second => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let only_second = b.keys().filter(|name| !a.contains_key(*name));
            for name in a.keys().chain(only_second) {
                let below =
                    if setting.is_empty() { name.clone() } else { format!("{setting}.{name}") };
                compare(below, (a.get(name), b.get(name)), differences);
            }
        }
        (first, second) => {
            let (first, second) = (first.cloned(), second.cloned());
            differences.push(SettingDifference { setting, first, second });
        }
    }
}

/// What stands in an address in place of what may be a secret.
const MASKED: &str = "masked";

/// Whether an address may stand in a text with a user name and a password, or with a query.
pub(super) fn may_have_credentials(text: &str) -> bool {
    text.contains('@') || (text.contains("://") && text.contains('?'))
}

/// Leaves out of addresses what may be a secret: user name, password and query.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("://") && may_have_credentials(text) => {
            let Ok(mut url) = Url::parse(text) else { return };
            // An address without a host has neither.
            if !url.username().is_empty() {
                let _ = url.set_username(MASKED);
            }
            if url.password().is_some() {
                let _ = url.set_password(Some(MASKED));
            }
            if url.query().is_some() {
                url.set_query(Some(MASKED));
            }
            *text = url.to_string();
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_is_of_what_the_file_means_and_not_of_how_it_is_written_or_where() {
        let folder = tempfile::tempdir().unwrap();
        let load = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            digest_of(&crate::config::load(&path).unwrap().as_written())
        };
        let default = load("a.yaml", "");

        assert_eq!(default, load("elsewhere/b.yaml", "listen: 127.0.0.1:8080 # as it is\n"));
        assert_eq!(default, digest_of(&Config::default().as_written()));
        assert_ne!(default, load("c.yaml", "listen: 127.0.0.1:8081\n"));
        assert_eq!(default.len(), 64);
    }

    #[test]
    fn a_reload_takes_folders_and_access_keys_and_leaves_the_rest() {
        let running = Config::default();
        let mut new = Config { contracts: "other".into(), ..Config::default() };
        new.listen.set_port(9);

        let reloaded = running.reloaded_from(&new);

        assert_eq!(reloaded.contracts, new.contracts);
        assert_eq!(reloaded.listen, running.listen);
        let waiting = differing(&reloaded.as_written(), &new.as_written());
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        assert_eq!(waiting[0].setting, "listen");
    }

    #[test]
    fn credentials_and_the_query_of_an_address_are_not_shown() {
        let mut value = json!({"a": [
            "https://me:hidden@sink.example/x", "https://hidden@sink.example/x",
            "https://sink.example/x?sig=hidden&a=1", "no@address?", "https://sink.example/x",
        ]});
        mask(&mut value);
        assert_eq!(
            value,
            json!({"a": [
                "https://masked:masked@sink.example/x", "https://masked@sink.example/x",
                "https://sink.example/x?masked", "no@address?", "https://sink.example/x",
            ]})
        );
    }

    #[test]
    fn a_set_of_files_has_another_digest_when_a_name_or_a_text_differs() {
        let texts = |name: &str, text: &str| Texts::from([(name.to_owned(), text.to_owned())]);
        let one = digest_of_texts(&texts("a", "x"));

        assert_eq!(one, digest_of_texts(&texts("a", "x")));
        assert_ne!(one, digest_of_texts(&texts("b", "x")));
        assert_ne!(one, digest_of_texts(&texts("a", "y")));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn two_differ_somewhere_exactly_if_they_are_not_equal(a in any_json(), b in any_json()) {
            prop_assert_eq!(differing(&a, &b).is_empty(), a == b);
            prop_assert_eq!(digest_of(&a) == digest_of(&b), a == b);
        }
    }
}
