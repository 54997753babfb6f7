//! How long files and functions may grow.

use std::fmt::Write as _;

use crate::architecture::sources::{Source, assert_none, sources};

/// The most lines of a file before its tests, and what nearly all files keep.
const FILE_LINES: Bounds = Bounds { most: 400, nearly_all: 350 };
/// The most lines of a function, and what nearly all functions keep.
const FUNCTION_LINES: Bounds = Bounds { most: 80, nearly_all: 30 };

/// What all keep, and what 19 of 20 keep.
struct Bounds {
    most: usize,
    nearly_all: usize,
}

impl Bounds {
    /// Tells which are too long, the longest first.
    fn breaches(&self, mut lengths: Vec<(usize, String)>) -> String {
        lengths.sort_by(|a, b| b.cmp(a));
        let beyond_nearly_all = lengths.len() / 20;
        let nearly_all_are_short =
            lengths.get(beyond_nearly_all).is_none_or(|(length, _)| *length <= self.nearly_all);
        let bound = if nearly_all_are_short { self.most } else { self.nearly_all };
        let mut found = String::new();
        for (length, place) in lengths.into_iter().take_while(|(length, _)| *length > bound) {
            writeln!(found, "{place}: {length} lines; look for its second duty").unwrap();
        }
        if !nearly_all_are_short {
            writeln!(found, "at most one in 20 may have more than {bound} lines").unwrap();
        }
        found
    }
}

/// The functions of a file with their lengths. The text is as `rustfmt` leaves it, so a function ends
/// with the brace below its first letter.
fn functions(source: &Source) -> Vec<(usize, String)> {
    let lines: Vec<&str> = source.code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_begun(line) else { continue };
        let (margin, _) = line.split_at(line.len() - line.trim_start().len());
        let at_margin = |line: &&str| {
            line.strip_prefix(margin).is_some_and(|rest| rest.starts_with(['}', ')']))
        };
        let ends = |line: &&str| line.ends_with(['}', ';']);
        let end = if ends(line) {
            Some(0)
        } else {
            lines[start..].iter().position(|line| at_margin(line) && ends(line))
        };
        let length = end.unwrap_or_default() + 1;
        found.push((length, format!("src/{}:{}: {name}", source.path, start + 1)));
    }
    found
}

/// The name of the function that begins on a line.
fn function_begun(line: &str) -> Option<&str> {
    let (before, name) = line.split_once("fn ")?;
    let is_modifier = |word: &str| {
        word.starts_with("pub")
            || word.ends_with(')')
            || ["const", "async", "unsafe"].contains(&word)
    };
    let begins = before.split_whitespace().all(is_modifier);
    name.split(['(', '<']).next().filter(|name| begins && !name.is_empty())
}

#[test]
fn a_file_has_one_duty() {
    let lines = |source: &Source| (source.code.lines().count(), format!("src/{}", source.path));

    assert_none(&FILE_LINES.breaches(sources().iter().map(lines).collect()));
}

#[test]
fn a_function_is_read_at_a_glance() {
    assert_none(&FUNCTION_LINES.breaches(sources().iter().flat_map(functions).collect()));
}

#[test]
fn lines_of_functions_are_counted_from_the_name_to_the_brace() {
    let code = "\
fn one() {}

impl A {
    pub(super) async fn five(
        self,
    ) -> B {
        b()
    }

    fn promised(&self) -> B;

    fn promised_at_length(
        &self,
    ) -> B;

    fn six<T>(&self) -> B
    where
        T: C,
    {
        b()
    }

    const fn three(&self) -> fn() {
        || {}
    }
}
";
    let found: Vec<_> = functions(&Source::new("room/file.rs", code))
        .into_iter()
        .map(|(length, place)| (length, place.rsplit(' ').next().unwrap().to_owned()))
        .collect();

    let expected = [
        (1, "one"),
        (5, "five"),
        (1, "promised"),
        (3, "promised_at_length"),
        (6, "six"),
        (3, "three"),
    ];
    assert_eq!(found, expected.map(|(length, name)| (length, name.to_owned())));
}

#[test]
fn one_in_twenty_may_be_longer_and_none_much_longer() {
    let bounds = Bounds { most: 8, nearly_all: 3 };
    let lengths = |long: &[usize]| {
        let short = std::iter::repeat_n(3, 40 - long.len());
        let all = long.iter().copied().chain(short);
        all.enumerate().map(|(number, length)| (length, format!("file {number}"))).collect()
    };

    assert_eq!(bounds.breaches(lengths(&[8, 4])), "");
    assert!(bounds.breaches(lengths(&[9])).starts_with("file 0: 9 lines"));
    assert!(bounds.breaches(lengths(&[4, 4, 4])).contains("one in 20"));
}
