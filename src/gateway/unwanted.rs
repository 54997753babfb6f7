//! Notes events that no publication wants: counts them by source and detail-type, and says so in the
//! log. Both names are a producer's, so their number, length and characters are bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Clock;
use crate::event::Timestamp;
use crate::telemetry::{Counter, Metric, Metrics};

/// How many pairs have a series of their own.
const MOST: usize = 256;
/// The longest name that is shown whole, in bytes.
const LONGEST: usize = 128;
/// What stands for the names of all further pairs.
const OTHER: &str = "other";
/// How often a pair is told of at the most.
const BETWEEN_LINES: Duration = Duration::from_mins(1);

/// Notes events that no publication wants.
pub struct Unwanted {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    pairs: Mutex<Pairs>,
}

/// The pairs that are told apart, and one for all others.
#[derive(Default)]
struct Pairs {
    /// By source and detail-type, both cut.
    known: HashMap<Box<str>, HashMap<Box<str>, Pair>>,
    count: usize,
    other: Option<Pair>,
}

/// A source and a detail-type.
struct Pair {
    counter: Counter,
    told: Option<Timestamp>,
    /// Events since it was told of.
    since: u64,
}

/// What a line of the log says of a pair.
struct Line {
    events: u64,
    is_first: bool,
    is_other: bool,
}

impl Unwanted {
    /// Notes nothing yet.
    pub fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self { metrics, clock, pairs: Mutex::default() }
    }

    /// Counts one event, and says so if its pair is new or was not told of for a minute.
    pub fn note(&self, source: &str, detail_type: &str) {
        let (source, detail_type) = (cut(source), cut(detail_type));
        if let Some(line) = self.count(source, detail_type) {
            line.write(&shown(source), &shown(detail_type));
        }
    }

    fn count(&self, source: &str, detail_type: &str) -> Option<Line> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let (pair, is_other) = pairs.of(source, detail_type, &self.metrics);
        let (events, is_first) = pair.count(self.clock.now())?;
        Some(Line { events, is_first, is_other })
    }
}

impl Pairs {
    /// Finds the pair under which an event counts, and whether it is that of all others.
    fn of(&mut self, source: &str, detail_type: &str, metrics: &Metrics) -> (&mut Pair, bool) {
        let is_known = self.known.get(source).is_some_and(|types| types.contains_key(detail_type));
        if !is_known && self.count >= MOST {
            return (self.other.get_or_insert_with(|| Pair::new(metrics, OTHER, OTHER)), true);
        }
        if !is_known {
            self.count += 1;
        }
        let new = || Pair::new(metrics, &shown(source), &shown(detail_type));
        let types = self.known.entry(source.into()).or_default();
        (types.entry(detail_type.into()).or_insert_with(new), false)
    }
}

impl Pair {
    fn new(metrics: &Metrics, source: &str, detail_type: &str) -> Self {
        let counter = metrics.counter(Metric::EventsUnwanted, &[source, detail_type]);
        Self { counter, told: None, since: 0 }
    }

    /// Counts one event; if it is time to tell, gives how many came since the last time, and
    /// whether this is the first.
    fn count(&mut self, now: Timestamp) -> Option<(u64, bool)> {
        self.counter.increment();
        self.since += 1;
        let is_first = self.told.is_none();
        // A clock that was set back must not silence a pair.
        let is_due = |told: Timestamp| now < told || now.since(told) >= BETWEEN_LINES;
        if self.told.is_some_and(|told| !is_due(told)) {
            return None;
        }
        self.told = Some(now);
        Some((std::mem::take(&mut self.since), is_first))
    }
}

impl Line {
    fn write(&self, source: &str, detail_type: &str) {
        let events = self.events;
        match (self.is_other, self.is_first) {
            (true, _) => tracing::info!(
                event.source = %source, event.type = %detail_type, events,
                "No publication wants events of more than {MOST} pairs of source and detail-type; \
                 further ones count as `{OTHER}`, for example source `{source}` with detail-type \
                 `{detail_type}`",
            ),
            (false, true) => tracing::info!(
                event.source = %source, event.type = %detail_type,
                "No publication wants events of source `{source}` and detail-type `{detail_type}`",
            ),
            // That a pair is still unwanted is no news, and the metric has it.
            (false, false) => tracing::debug!(
                event.source = %source, event.type = %detail_type, events,
                "No publication wanted {events} events of source `{source}` and detail-type \
                 `{detail_type}` since the last line",
            ),
        }
    }
}

/// The beginning of a name.
fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(LONGEST)).unwrap_or(name)
}

/// A name without characters that could forge a line or hide another one.
fn shown(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ambient::ManualClock;

    use super::*;

    fn unwanted() -> (Unwanted, ManualClock, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        let clock = ManualClock::at(Timestamp::EPOCH.after(Duration::from_hours(9)));
        let unwanted = Unwanted::new(Arc::clone(&metrics), Arc::new(clock.clone()));
        (unwanted, clock, metrics)
    }

    #[test]
    fn events_are_counted_by_source_and_detail_type() {
        let (unwanted, _, metrics) = unwanted();

        for detail_type in ["LevelChagned", "LevelChagned", "a\"b\\c\n\u{202e}"] {
            unwanted.note("tank", detail_type);
        }

        let text = metrics.render();
        let series = "sealway_events_unwanted_total{source=\"tank\",detail_type=";
        assert!(text.contains(&format!("{series}\"LevelChagned\"}} 2\n")), "{text}");
        let escaped = r#""a\"b\\c\\n\\u{202e}"} 1"#;
        assert!(text.contains(&format!("{series}{escaped}\n")), "{text}");
    }

    #[test]
    fn a_producer_of_many_names_makes_a_bounded_number_of_bounded_series() {
        let (unwanted, _, metrics) = unwanted();

        for number in 0..MOST * 4 {
            unwanted.note("s", &format!("{number}{}", "\u{e9}".repeat(4000)));
        }
        unwanted.note(&"s".repeat(9999), "t");

        let text = metrics.render();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), MOST + 1);
        assert!(lines.iter().all(|line| line.len() < 400), "{lines:?}");
        let rest = MOST * 3 + 1;
        let other = format!("{{source=\"other\",detail_type=\"other\"}} {rest}\n");
        assert!(text.contains(&other), "{text}");
        assert!(unwanted.pairs.lock().unwrap().count <= MOST);
    }

    #[test]
    fn each_pair_is_told_of_when_it_is_new_and_then_once_a_minute_at_the_most() {
        let (unwanted, clock, _) = unwanted();
        let told = |detail_type| {
            let line = unwanted.count("s", detail_type);
            line.map(|line| (line.events, line.is_first))
        };

        assert_eq!(told("a"), Some((1, true)));
        assert_eq!(told("b"), Some((1, true)));
        assert_eq!((told("a"), told("a")), (None, None));
        clock.advance(Duration::from_secs(59));
        assert_eq!(told("a"), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(told("a"), Some((4, false)));
        assert_eq!(told("a"), None);
    }

    #[test]
    fn further_pairs_share_one_line_a_minute() {
        let (unwanted, clock, _) = unwanted();
        let lines = |from: usize| {
            let noted =
                (from..from + MOST).filter_map(|number| unwanted.count("s", &number.to_string()));
            noted.filter(|line| line.is_other).count()
        };

        assert_eq!(lines(0), 0);
        assert_eq!((lines(MOST), lines(MOST * 2)), (1, 0));
        clock.advance(BETWEEN_LINES);
        assert_eq!(lines(MOST * 3), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_names_are_shown_in_one_line(name in any::<String>(), long in 0_usize..200) {
            let name = name.repeat(long);
            let shown = shown(cut(&name));
            prop_assert!(cut(&name).len() <= LONGEST);
            prop_assert!(!shown.contains(char::is_control));
        }
    }
}
