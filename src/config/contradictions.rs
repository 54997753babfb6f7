//! Settings that work one by one and not together: a limit that another one keeps from being met.

use std::fs;
use std::path::Path;

use crate::ambient::Size;
use crate::config::Config;
use crate::config::address::misfit;
use crate::config::settings::Mistake;
use crate::event::{Diagnostic, yaml};
use crate::eventlog;
use crate::source::queue;

/// What one patch writes at the most.
const PATCH_WRITES: Size = Size(256 * 1024);

impl Config {
    /// Pairs of settings that contradict each other: the path of the one to change, and why.
    pub fn contradictions(&self) -> Vec<Mistake> {
        let pairs = [
            self.of_events(),
            self.of_intake(),
            self.of_log(),
            self.of_concurrency(),
            self.of_bodies(),
            self.of_shares(),
            self.of_sizes(),
            self.of_address(),
        ];
        pairs.into_iter().flatten().flatten().collect()
    }

    /// A proxy may lead anywhere, so only what no proxy could mend is told.
    fn of_address(&self) -> [Option<Mistake>; 2] {
        [misfit(&self.issuer, self.listen).map(|problem| (vec!["issuer"], problem)), None]
    }

    fn of_events(&self) -> [Option<Mistake>; 2] {
        let (largest, source) = (self.largest_event, &self.source);
        [
            pair(
                &["largest-event"],
                largest > PATCH_WRITES,
                format!(
                    "largest-event is {largest}, and a patch writes {PATCH_WRITES} at the most"
                ),
            ),
            pair(
                &["source", "max-body"],
                source.max_body < largest,
                format!(
                    "source.max-body is {}, so no event comes in that is as large as \
                     largest-event, {largest}",
                    source.max_body
                ),
            ),
        ]
    }

    fn of_intake(&self) -> [Option<Mistake>; 2] {
        let source = &self.source;
        [
            pair(
                &["source", "max-entries"],
                source.max_entries > source.max_body,
                format!(
                    "source.max-entries is {}, and the body around the entries is {} at the most \
                     (source.max-body)",
                    source.max_entries, source.max_body
                ),
            ),
            pair(
                &["source", "unreadable", "max-bytes"],
                source.unreadable.max_bytes < on_disk(source.max_body),
                format!(
                    "source.unreadable.max-bytes is {}, so an unreadable body of {} \
                     (source.max-body) can never be kept with the reason",
                    source.unreadable.max_bytes, source.max_body
                ),
            ),
        ]
    }

    fn of_log(&self) -> [Option<Mistake>; 2] {
        let (largest, log) = (self.largest_event, &self.log);
        [
            pair(
                &["log", "max-waiting"],
                log.max_waiting < largest,
                format!(
                    "log.max-waiting is {}, so an event of {largest} (largest-event) gets in only \
                     while nothing else waits",
                    log.max_waiting
                ),
            ),
            pair(
                &["log", "disk-warn"],
                log.disk_warn > log.disk_refuse,
                format!(
                    "log.disk-warn is {}, and events are refused from {} on (log.disk-refuse)",
                    log.disk_warn, log.disk_refuse
                ),
            ),
        ]
    }

    fn of_bodies(&self) -> [Option<Mistake>; 2] {
        let (api, body) = (&self.api, self.source.max_body.max(self.api.max_body));
        let too_large = pair(
            &["api", "body-memory"],
            api.body_memory.bytes() / 8 < body.bytes(),
            format!(
                "api.body-memory is {}, so a body of {body} (the larger max-body) is over the \
                 eighth that its sender has until it is verified",
                api.body_memory
            ),
        );
        [too_large, None]
    }

    /// What producers may have of the quarantine.
    fn of_shares(&self) -> [Option<Mistake>; 2] {
        let (source, most) = (&self.source, self.log.retention.quarantine_size);
        let share = source.quarantined.max_bytes.max(source.unreadable.max_bytes);
        [
            pair(
                &["source", "quarantined", "max-bytes"],
                source.quarantined.max_bytes < on_disk(source.max_body),
                format!(
                    "source.quarantined.max-bytes is {}, so an event of {} (source.max-body) that \
                     breaks its contract can never be kept with what is wrong with it",
                    source.quarantined.max_bytes, source.max_body
                ),
            ),
            most.and_then(|most| {
                pair(
                    &["log", "retention", "quarantine-size"],
                    most < share,
                    format!(
                        "log.retention.quarantine-size is {most}, and one producer may fill {share} \
                         of it (source.quarantined.max-bytes, source.unreadable.max-bytes)"
                    ),
                )
            }),
        ]
    }

    /// What one event may be, and what is kept of events.
    fn of_sizes(&self) -> [Option<Mistake>; 2] {
        let (largest, retention) = (self.largest_event, &self.log.retention);
        [
            retention.dead_letters_size.and_then(|most| {
                pair(
                    &["log", "retention", "dead-letters-size"],
                    most < on_disk(largest),
                    format!(
                        "log.retention.dead-letters-size is {most}, so a dead letter of an event of \
                         {largest} (largest-event) goes as soon as it comes"
                    ),
                )
            }),
            retention.size.and_then(|most| {
                pair(
                    &["log", "retention", "size"],
                    most < on_disk(largest),
                    format!(
                        "log.retention.size is {most}, so an event of {largest} (largest-event) goes \
                         as soon as it is delivered"
                    ),
                )
            }),
        ]
    }

    fn of_concurrency(&self) -> [Option<Mistake>; 2] {
        [
            pair(
                &["replay", "parallel"],
                self.replay.parallel > self.delivery.maximum_parallel,
                format!(
                    "replay.parallel is {}, and a subscription has {} attempts at once at the most \
                     (delivery.maximum-parallel)",
                    self.replay.parallel, self.delivery.maximum_parallel
                ),
            ),
            pair(
                &["api", "caller-readers"],
                self.api.caller_readers > self.api.max_connections,
                format!(
                    "api.caller-readers is {}, and there are {} connections at the most \
                     (api.max-connections)",
                    self.api.caller_readers, self.api.max_connections
                ),
            ),
        ]
    }
}

/// What is kept of so many bytes at the most, with the names and reasons beside them.
const fn on_disk(bytes: Size) -> Size {
    Size(bytes.0.saturating_add(eventlog::MOST_BESIDE))
}

/// The setting to change and why, if the pair is wrong.
fn pair(path: &[&'static str], is_wrong: bool, problem: String) -> Option<Mistake> {
    is_wrong.then(|| (path.to_vec(), problem))
}

/// The contradictions of a gateway file, what is missing from it that it works without, and what is seldom
/// meant, as warnings at their places.
pub fn contradictions(path: &Path, config: &Config) -> Vec<Diagnostic> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).unwrap_or_default();
    let tree = yaml::read_tree(&name, &text).ok().map(|tree| tree.value);
    let shown = |(path, problem): Mistake, help: &str| {
        let place = tree.as_ref().and_then(|tree| tree.place_of(path));
        let shown = match place {
            Some(place) => Diagnostic::at(&name, &text, place, problem),
            None => Diagnostic::of_file(&name, problem),
        };
        shown.with_help(help).into_warning()
    };
    let pairs = config.contradictions().into_iter().map(|one| shown(one, "change one of the two"));
    let missing = queue::warnings(&config.source.queues).map(|problem| {
        shown((vec!["source", "queues"], problem), "name the event buses as `buses: [arn:…]`")
    });
    let foreign = config.event_bus_permissions().warnings().into_iter().map(|problem| {
        shown((vec!["delivery", "event-buses"], problem), "name a role of the bus's account")
    });
    pairs.chain(missing).chain(foreign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_agree_with_each_other() {
        assert!(Config::default().contradictions().is_empty());
    }

    #[test]
    fn a_queue_whose_buses_are_not_known_is_warned_of_at_its_place() {
        let arn = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
        let text = format!("source:\n  queues: [{{ arn: '{arn}' }}]\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, &text).unwrap();
        let config: Config = yaml::read("gateway.yaml", &text).unwrap();

        let found = contradictions(&path, &config);

        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|one| !one.is_error() && one.place == Some((2, 3))), "{found:?}");
        assert!(found.iter().all(|one| one.help.contains("buses")), "{found:?}");
    }

    #[test]
    fn a_role_of_another_account_than_its_bus_is_warned_of_at_its_place() {
        let text = "delivery:\n  event-buses:\n    - consumer: ledger\n      \
                    bus: arn:aws:events:eu-west-1:444455556666:event-bus/partner\n      \
                    role: arn:aws:iam::111122223333:role/sealway-deliver\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, text).unwrap();
        let config: Config = yaml::read("gateway.yaml", text).unwrap();

        let [found] = contradictions(&path, &config).try_into().unwrap();

        assert!(!found.is_error() && found.place == Some((2, 3)), "{found:?}");
        assert!(found.problem.contains("in another account than the bus"), "{found:?}");
    }

    #[test]
    fn limits_that_contradict_each_other_are_told_with_both_at_the_line_of_one() {
        for (text, place, both) in [
            ("largest-event: 1 MiB\n", (1, 1), "256.0 KiB"),
            ("source:\n  max-body: 1 KiB\n  max-entries: 1 KiB\n", (2, 3), "largest-event"),
            ("source:\n  max-entries: 9 MiB\n", (2, 3), "source.max-body"),
            ("source:\n  unreadable: { max-bytes: 1 MiB }\n", (2, 17), "source.max-body"),
            ("log:\n  max-waiting: 1 KiB\n", (2, 3), "largest-event"),
            ("log:\n  disk-warn: 95\n", (2, 3), "log.disk-refuse"),
            ("replay:\n  parallel: 20\ndelivery: { maximum-parallel: 16 }\n", (2, 3), "maximum"),
            ("api:\n  caller-readers: 9\n  max-connections: 8\n", (2, 3), "max-connections"),
            ("api:\n  body-memory: 60 MiB\n", (2, 3), "eighth"),
            ("source:\n  unreadable: { max-bytes: 8 MiB }\n", (2, 17), "with the reason"),
            ("source:\n  quarantined: { max-bytes: 8 MiB }\n", (2, 18), "source.max-body"),
            ("log:\n  retention:\n    quarantine-size: 100 MiB\n", (3, 5), "128.0 MiB"),
            ("log:\n  retention:\n    dead-letters-size: 32 KiB\n", (3, 5), "largest-event"),
            ("log:\n  retention:\n    size: 1 KiB\n", (3, 5), "largest-event"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("gateway.yaml");
            fs::write(&path, text).unwrap();
            let config: Config = yaml::read("gateway.yaml", text).unwrap();

            let found = contradictions(&path, &config);

            let first = found.first().expect(text);
            assert_eq!(first.place, Some(place), "{text}");
            assert!(first.problem.contains(both), "{first}");
            assert!(first.to_string().contains('^') && first.to_string().contains("warning: "));
        }
    }
}
