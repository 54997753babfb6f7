//! Reads the gateway file.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::config::Config;
use crate::config::hiding::hide_secret;
use crate::config::ranges::{Ranges, parts_on};
use crate::event::{Blame, Diagnostic, Fault, Placed, YamlNode, read_pieces, yaml};

/// A gateway file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the gateway file {path}; `--config` names another")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file has mistakes, at least one.
    #[error("the gateway file cannot be used\n{}", listed(.0))]
    Mistakes(Vec<Diagnostic>),
}

impl Blame for LoadError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Reads the gateway file, checks its values, and makes its paths relative to it.
///
/// # Errors
///
/// The operator's turn: the file cannot be read, or has mistakes.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| LoadError::Unreadable { path: name.clone(), source })?;
    let config = read(&name, &text).map_err(LoadError::Mistakes)?;
    let (written, file) = (config.as_written(), path.to_owned());
    let config = Config { file, written, ..config };
    Ok(config.relative_to(path.parent().unwrap_or(Path::new("."))))
}

/// Reads the text of a gateway file; a text without a key means all defaults.
fn read(name: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    let tree = yaml::read_tree(name, text).ok();
    let ranges = tree.as_ref().map(Ranges::of);
    // What fits is held against its ranges all the same.
    let (mut mistakes, rest, mut torn) = match yaml::read::<Option<Config>>(name, text) {
        Ok(config) => (Vec::new(), Some(config), Vec::new()),
        Err(first) => {
            let pieces = read_pieces::<Option<Config>>(name, text, *first);
            (pieces.mistakes, pieces.rest, pieces.torn)
        }
    };
    if let Some(ranges) = ranges {
        mistakes = ranges.say(mistakes);
        mistakes.extend(ranges.out((name, text), &mistakes));
        torn.extend(ranges.torn());
    }
    let is_whole = rest.is_some();
    let config = rest.flatten().unwrap_or_default();
    if is_whole {
        mistakes.extend(unfit(&config, (name, text), tree.as_ref(), &torn));
    }
    mistakes.sort_by_key(|mistake| mistake.place);
    for mistake in &mut mistakes {
        hide_secret(text, mistake);
    }
    if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
}

/// What neither the types nor the ranges of the settings can check, each at its place. Of a part that
/// something else is wrong with nothing is said: it would follow from that.
fn unfit(
    config: &Config,
    (name, text): (&str, &str),
    tree: Option<&Placed<YamlNode>>,
    torn: &[(usize, usize)],
) -> Vec<Diagnostic> {
    let follows = |path: &[&str]| {
        tree.is_some_and(|tree| parts_on(tree, path).iter().any(|part| torn.contains(part)))
    };
    let unfit = config.mistakes().into_iter().filter(|(path, _)| !follows(path));
    let described =
        unfit.map(|(path, problem)| match tree.and_then(|tree| tree.value.place_of(path)) {
            Some(place) => Diagnostic::at(name, text, place, problem),
            None => Diagnostic::of_file(name, problem),
        });
    described.collect()
}

fn listed(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().fold(String::new(), |mut text, mistake| {
        let separator = if text.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{mistake}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        listed(&read("gateway.yaml", text).unwrap_err())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        for text in ["", "# nothing\n", "{}\n"] {
            assert_eq!(read("gateway.yaml", text).unwrap(), Config::default(), "{text}");
        }
    }

    #[test]
    fn a_value_that_cannot_work_is_shown_at_its_place() {
        let shown = mistakes("issuer: ftp://example.com\nkeys:\n  publish-ahead: 1m\n");

        assert!(shown.contains("gateway.yaml:1:1: the issuer is an http"), "{shown}");
        assert!(shown.contains("gateway.yaml:3:3: "), "{shown}");
        assert!(shown.contains(" 3 |   publish-ahead: 1m\n   |   ^"), "{shown}");
    }

    #[test]
    fn a_secret_in_place_of_its_place_is_not_repeated() {
        for text in [
            "keys:\n  passphrase: hunter2\n",
            "keys:\n  passphrase: { hunter2: x }\n",
            "keys:\n  passphrase:\n    hunter2\n",
            "keys:\n  passphrase: hunter2\n  publish-ahead: soon\n",
            "keys: { passphrase: hunter2, publish-ahead: soon }\n",
            "keys: { passphrase: hunter2\n",
            "keys:\n  passphrse: hunter2\n",
            "keys: hunter2\n",
            "keys:\n  hunter2\n",
            "source:\n  access-keys:\n    - AKID:hunter2\n",
            "source:\n  access-keys:\n  - AKID:hunter2\n",
            "source:\n  access-keys: [ hunter2\n",
            "source:\n  access-keys: [\n  AKID:hunter2\n",
            "source:\n  access-keys:\n  # one per team\n    - AKID:hunter2\n",
            "\"keys\": \"hunter2\"\n",
            "{ \"keys\":\"hunter2\" }\n",
            "keys:\n  hunter2:x\n",
            "keys : hunter2\n",
            "{ \"listen\": \"127.0.0.1:8080\", \"keys\": \"hunter2\" }\n",
            "issuer: https://gw:hunter2@events.example.com\n",
            "issuer: https://events.example.com?token=hunter2\n",
            "issuer: \"https://gw:hunter2@events.example.com:99999\"\n",
            "issuer: https://gw:hunter2@events example.com\n",
            "issuer: gw:hunter2@events.example.com\n",
            "issuer: [https://gw:hunter2@events.example.com]\n",
            "keys:\n# the newest\n  hunter2\n",
            "source:\n  access-keys: [{ id: AKID, secret: hunter2, souces: [] }]\n",
            "source:\n  access-keys:\n    - id: AKID\n      secrt: hunter2\n",
        ] {
            let shown = mistakes(text);

            assert!(shown.starts_with("gateway.yaml:"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let shown = mistakes("keys:\n  passphrase: hunter2\n");
        assert!(shown.starts_with("gateway.yaml:2:15: the place of a secret belongs"), "{shown}");
    }

    #[test]
    fn retention_neither_spins_nor_sleeps_for_days() {
        for every in ["0s", "99ms", "2days"] {
            let shown = mistakes(&format!("log:\n  retention:\n    every: {every}\n"));

            assert!(shown.contains("gateway.yaml:3:5: use 100ms to 1day"), "{shown}");
        }
    }

    #[test]
    #[cfg(feature = "aws")]
    fn a_bus_that_is_read_is_no_sink() {
        let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/eda-demo";
        let shown = mistakes(&format!(
            "source:\n  queues:\n    - arn: arn:aws:sqs:eu-west-1:111122223333:gateway-in\n      \
             buses: ['{bus}']\ndelivery:\n  event-buses: [{{ consumer: ledger, bus: '{bus}' }}]\n"
        ));

        assert!(shown.contains("gateway.yaml:6:3: "), "{shown}");
        assert!(shown.contains("would come back to it"), "{shown}");
    }

    #[test]
    fn every_setting_that_is_wrong_is_told_and_those_deep_in_a_room_have_their_own_line() {
        let shown = mistakes(
            "api:\n  max-bodi: 1 MiB\n  max-body: big\nreplay:\n  redrive-rate: 0\n\
             delivery:\n  breaker:\n    failures: 0\n",
        );

        for start in ["2:3: unknown key", "3:13: ", "5:3: ", "8:5: "] {
            assert!(shown.contains(&format!("gateway.yaml:{start}")), "{start} in {shown}");
        }
    }

    #[test]
    fn a_number_that_cannot_work_is_answered_with_what_can() {
        for (text, told) in [
            ("source:\n  max-batch: 0\n", "gateway.yaml:2:3: use 1 to 10,000"),
            ("source:\n  max-batch: -1\n", "gateway.yaml:2:14: use 1 to 10,000"),
            ("source:\n  max-batch: many\n", "gateway.yaml:2:14: use 1 to 10,000"),
            ("api:\n  max-body: 8\n", "gateway.yaml:2:3: use 1.0 KiB to 64.0 MiB"),
            ("log:\n  disk-warn: 800\n", "gateway.yaml:2:14: use 1 to 100"),
            ("log:\n  disk-warn: 1.5\n", "gateway.yaml:2:14: use 1 to 100"),
            ("log:\n  retention:\n    age: 0s\n", "gateway.yaml:3:5: use 1ms to 36500days"),
            ("delivery:\n  rate: 4294967296\n", "gateway.yaml:2:9: use 1 to 100,000"),
        ] {
            let shown = mistakes(text);

            assert!(shown.starts_with(told), "{shown}");
            assert_eq!(shown.matches("gateway.yaml").count(), 1, "{shown}");
        }
        assert!(read("gateway.yaml", "source: { max-batch: 1_000 }\n").is_ok());
        assert!(read("gateway.yaml", "delivery: { rate: null }\n").is_ok());
    }

    #[test]
    fn nothing_is_told_that_follows_from_what_is_told() {
        for text in [
            "keys:\n  algorithms: [ES257]\n",
            "delivery:\n  parallel: 300\n",
            "delivery:\n  parallel: 8x\n  maximum-parallel: 8\n",
            "keys:\n  publish-ahead: 60days\n  rotate-every: never\n",
            "delivery:\n  breaker:\n    pause: 1\n    longest-pause: 1ms\n",
        ] {
            let shown = mistakes(text);

            assert_eq!(shown.matches("gateway.yaml").count(), 1, "{shown}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_shown_at_its_place() {
        let shown = mistakes("api:\n  max-body: big\n");

        assert!(shown.starts_with("gateway.yaml:2:13: "), "{shown}");
        assert!(shown.contains("expected a size such as"), "{shown}");
    }

    #[test]
    fn a_misspelled_key_is_answered_with_the_right_one() {
        let shown = mistakes("api:\n  max-bodi: 1 MiB\n");

        assert!(shown.contains("help: did you mean `max-body`?"), "{shown}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = Config::default().relative_to(Path::new("/etc/sealway"));

        assert_eq!(config.publications, Path::new("/etc/sealway/publications"));
        assert_eq!(config.keys.directory, Path::new("/etc/sealway/../keys"));
    }
}
