//! The targets: each feeds one parser of outside bytes and panics where what is promised of it fails.

mod answers;
mod contracts;
mod documents;
mod events;
mod http;
mod keys;
mod names;
mod parties;
mod patterns;
mod text;
mod tokens;

use std::fmt::Display;

/// A parser, and how to feed it.
pub struct Target {
    /// The name of the folder below `corpus/`.
    pub name: &'static str,
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All of them. `docs/fuzzing.md` has a row for each.
pub const ALL: &[Target] = &[
    Target { name: "json", run: text::json },
    Target { name: "lines", run: text::lines },
    Target { name: "yaml", run: text::yaml },
    Target { name: "settings", run: text::settings },
    Target { name: "names", run: names::names },
    Target { name: "event", run: events::event },
    Target { name: "put-events", run: events::put_events },
    Target { name: "queue", run: events::queue },
    Target { name: "crossing", run: events::crossing },
    Target { name: "contract", run: contracts::contract },
    Target { name: "schema", run: contracts::schema },
    Target { name: "publications", run: contracts::publications },
    Target { name: "patch", run: contracts::patch },
    Target { name: "pattern", run: patterns::pattern },
    Target { name: "filter", run: patterns::filter },
    Target { name: "subscription", run: documents::subscription },
    Target { name: "sink-credential", run: documents::sink_credential },
    Target { name: "keys", run: keys::keys },
    Target { name: "token", run: tokens::token },
    Target { name: "claims", run: tokens::claims },
    Target { name: "receipt", run: tokens::receipt },
    Target { name: "evidence", run: tokens::evidence },
    Target { name: "challenge", run: answers::challenge },
    Target { name: "bus", run: http::bus },
    Target { name: "api", run: http::api },
];

/// What stands for a secret in the corpus.
const SECRET: &str = "hunter2";

/// Makes sure that what is said of an input repeats no secret of it.
fn tells_no_secret(said: &impl Display) {
    let said = said.to_string();
    assert!(!said.contains(SECRET), "a secret is repeated: {said}");
}

/// Splits an input at the first line that is empty.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    match input.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[]),
    }
}
