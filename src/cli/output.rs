//! The only place that prints: text and tables for people, JSON for programs.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::harmless::{harmless, harmless_line};
use crate::event::Timestamp;

/// For whom a command writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: text, and tables on a terminal.
    #[default]
    Human,
    /// For programs: one JSON document on standard output.
    Json,
}

/// Whether a line of the result found nobody who reads it: there is one standard output.
static READER_IS_GONE: AtomicBool = AtomicBool::new(false);

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// A column of a table: its heading, and how to read its cell from an item.
pub type Column<T> = (&'static str, fn(&T) -> String);

/// Writes results to standard output and remarks to standard error.
///
/// A reader that goes away (`sealway … | head`) is no failure that is spoken of: what cannot be written is
/// dropped, and the exit code is as of a program that `SIGPIPE` has ended.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Writes in a format.
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether programs read the result.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of the result as it is, in either format.
    pub fn line(self, text: impl Display) {
        if writeln!(io::stdout().lock(), "{text}").is_err_and(|error| is_closed(&error)) {
            READER_IS_GONE.store(true, Relaxed);
        }
    }

    /// Whether something of the result was not written because nobody reads it any more.
    pub fn reader_is_gone(self) -> bool {
        READER_IS_GONE.load(Relaxed)
    }

    /// Writes a line of the result as it is, now, where the command must know that it is written.
    ///
    /// # Errors
    ///
    /// Ours: standard output does not take it.
    pub fn must_line(self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Writes a part of the result as it is, now, where the command must know that it is written.
    ///
    /// # Errors
    ///
    /// Ours: standard output does not take it.
    pub fn must_write(self, part: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(part)?;
        out.flush()
    }

    /// Writes one result beside what stands on standard output: to standard error.
    pub fn aside<T: Serialize>(self, item: &T, human: impl FnOnce(&T) -> String) {
        match serde_json::to_string_pretty(item) {
            Ok(text) if self.is_json() => self.complain(text),
            Ok(_) | Err(_) => self.complain(human(item)),
        }
    }

    /// Writes one result: as JSON, or as the text that `human` makes.
    pub fn item<T: Serialize>(self, item: &T, human: impl FnOnce(&T) -> String) {
        if self.is_json() {
            self.document(item);
        } else {
            self.line(harmless(&human(item)));
        }
    }

    /// Writes a list: as a JSON array, or as a table with these columns.
    pub fn list<T: Serialize>(self, items: &[T], columns: &[Column<T>]) {
        let row = |item: &T| columns.iter().map(|(_, cell)| cell(item)).collect();
        self.rows(items, columns.iter().map(|(heading, _)| *heading), row);
    }

    /// Writes a list: as a JSON array, or as a table with these headings and the cells of each row.
    pub fn rows<T: Serialize>(
        self,
        items: &[T],
        headings: impl Iterator<Item = &'static str>,
        row: impl Fn(&T) -> Vec<String>,
    ) {
        if self.is_json() {
            self.document(items);
            return;
        }
        let mut table = Table::new();
        let style = if io::stdout().is_terminal() {
            presets::UTF8_HORIZONTAL_ONLY
        } else {
            presets::NOTHING
        };
        table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(headings);
        for item in items {
            table.add_row(row(item).iter().map(|cell| to_the_second(&harmless_line(cell))));
        }
        self.line(table.trim_fmt());
    }

    /// Writes a remark to a person; programs are not told.
    pub fn note(self, text: impl Display) {
        if !self.is_json() {
            self.complain(text);
        }
    }

    /// Writes what went wrong, to standard error in either format.
    pub fn complain(self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{}", harmless(&text.to_string()));
    }

    /// Shows how far long work has come, on a terminal only.
    ///
    /// With a total it is a bar with an estimate of the rest, without one a counter.
    pub fn progress(self, total: Option<u64>, verb: &'static str) -> ProgressBar {
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if self.is_json() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = match total {
            Some(_) => "{msg} {bar:30} {human_pos}/{human_len} ({per_sec}, {eta} left)",
            None => "{msg} {spinner} {human_pos} ({per_sec})",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(verb);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Writes a JSON document, in either format.
    pub fn document<T: Serialize + ?Sized>(self, value: &T) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => {
                self.complain(format_args!("the result cannot be written as JSON: {error}"));
            }
        }
    }
}

/// A moment as people read it in a table: without the part of its second.
fn to_the_second(cell: &str) -> String {
    let cut = cell.split_once('.').and_then(|(second, rest)| {
        let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let whole = format!("{second}{zone}");
        (zone.len() < rest.len() && whole.parse::<Timestamp>().is_ok()).then_some(whole)
    });
    cut.unwrap_or_else(|| cell.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_to_the_second_and_nothing_else_is_cut() {
        for (cell, shown) in [
            ("2026-11-29T10:00:00.123456789Z", "2026-11-29T10:00:00Z"),
            ("2026-11-29T10:00:00.5+02:00", "2026-11-29T10:00:00+02:00"),
            ("2026-11-29T10:00:00Z", "2026-11-29T10:00:00Z"),
            ("Order.Created", "Order.Created"),
            ("1.5", "1.5"),
            ("2026-11-29T10:00:00.Z", "2026-11-29T10:00:00.Z"),
        ] {
            assert_eq!(to_the_second(cell), shown);
        }
    }
}
