//! The figures of one load, and whether they keep the bounds that were stated.

use std::fmt::Display;
use std::time::Duration;

use crate::watch::Watched;

/// What came of a load.
#[derive(Default)]
pub struct Report {
    lines: Vec<String>,
    broken: Vec<String>,
}

/// Bounds of what everybody else notices of a load.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The worst answer of `/health/live`.
    pub health: Duration,
    /// The 99th percentile of an honest publisher's answers.
    pub publish: Duration,
    /// The most memory of the gateway, in MiB.
    pub memory: u64,
}

impl Bounds {
    /// 500 ms, 1 s and so many MiB.
    pub const fn memory(memory: u64) -> Self {
        Self { health: Duration::from_millis(500), publish: Duration::from_secs(1), memory }
    }
}

impl Report {
    /// A figure without a bound.
    pub fn note(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// A figure with a bound: `name` is at most `bound`.
    pub fn at_most<T: Copy + Display + PartialOrd>(
        &mut self,
        name: &str,
        found: T,
        bound: T,
        unit: &str,
    ) {
        let is_kept = found <= bound;
        let line = format!("{name} {found} {unit}, at most {bound}");
        self.must(is_kept, line);
    }

    /// A statement that has to hold.
    pub fn must(&mut self, holds: bool, line: String) {
        if holds {
            self.lines.push(format!("{line}: yes"));
        } else {
            self.lines.push(format!("{line}: NO"));
            self.broken.push(line);
        }
    }

    /// What everybody else noticed.
    pub fn watched(&mut self, watched: &Watched, bounds: Bounds) {
        let ms = |time: Duration| time.as_millis();
        self.note(format!("processor {} ms in {} ms", ms(watched.cpu), ms(watched.took)));
        self.note(format!(
            "publisher: {} taken, {} refused, p50 {} ms; memory {} MiB before, {} MiB after",
            watched.published,
            watched.refused,
            ms(watched.p50),
            watched.before,
            watched.after
        ));
        self.at_most("memory at its peak", watched.peak, bounds.memory, "MiB");
        self.at_most("worst /health/live", ms(watched.health), ms(bounds.health), "ms");
        self.at_most("publisher's p99", ms(watched.p99), ms(bounds.publish), "ms");
        self.must(watched.published > 0, "an honest publisher is served".to_owned());
    }

    /// Prints it; says whether all bounds are kept.
    pub fn print(&self, name: &str) -> bool {
        let is_kept = self.broken.is_empty();
        let verdict = if is_kept { "held" } else { "BROKEN" };
        crate::say(&format!("{name}: {verdict}\n  {}\n", self.lines.join("\n  ")));
        is_kept
    }
}
