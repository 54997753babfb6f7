//! Keeps secrets out of what is told of mistakes in the settings: that is logged, and `GET /settings` says why
//! a reload was refused.

use crate::config::written::may_have_credentials;
use crate::event::Diagnostic;

/// Does not show the line of a mistake that may have a secret in it, nor an address that may.
pub(super) fn hide_secret(text: &str, mistake: &mut Diagnostic) {
    let told = [&mistake.excerpt, &mistake.problem, &mistake.help].map(|it| it.to_lowercase());
    let place = mistake.place.map_or_else(Vec::new, |(line, _)| lines_above(text, line));
    let place: Vec<String> = place.into_iter().map(str::to_lowercase).collect();
    let is_named = told
        .iter()
        .chain(&place)
        .any(|line| ["secret", "pass", "access-key"].iter().any(|word| line.contains(word)));
    // What stands at `keys` itself is no setting of it.
    let names = place.iter().take(2).map(|line| names_on(line)).find(|names| !names.is_empty());
    let is_at_keys = names.is_some_and(|names| names.contains(&"keys"));
    if is_named || is_at_keys || told.iter().any(|it| may_have_credentials(it)) {
        mistake.excerpt.clear();
    }
    if may_have_credentials(&mistake.problem)
        && let Some((told, _)) = mistake.problem.split_once('"')
    {
        mistake.problem = told.trim_end_matches([':', ' ']).to_owned();
    }
}

/// The names of the settings on a line, also where the settings are JSON.
fn names_on<'line>(line: &'line str) -> Vec<&'line str> {
    let quotes = ['"', '\''];
    let name_of = |part: &'line str| {
        let (name, value) = part.split_once(':')?;
        let name = name.trim_start_matches(['-', ' ', '\t']).trim_end();
        let ends = value.is_empty() || value.starts_with(char::is_whitespace);
        (ends || name.ends_with(quotes)).then(|| name.trim_matches(quotes).trim())
    };
    line.split(['{', '[', ',']).filter_map(name_of).collect()
}

/// A line, counted from 1, and those that it stands below, nearest first, by its indentation or by brackets
/// that are open, also in a text that is not YAML.
fn lines_above(text: &str, line: usize) -> Vec<&str> {
    // The items of a list may stand as far to the left as its key.
    let depth = |line: &str| {
        let rest = line.trim_start();
        2 * (line.len() - rest.len()) + usize::from(rest.starts_with('-'))
    };
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let mut least = usize::MAX;
    let mut closed = 0_usize;
    let before = text.lines().take(line).filter(is_said).collect::<Vec<_>>().into_iter().rev();
    before
        .enumerate()
        .filter_map(|(distance, line)| {
            let opens = distance > 0 && opens(line, &mut closed);
            let is_above = opens || depth(line) < least;
            least = least.min(depth(line));
            is_above.then_some(line)
        })
        .collect()
}

/// Whether a bracket opens on a line that is not closed on it or on the lines behind it, where so many are
/// closed that are not opened there.
fn opens(line: &str, closed: &mut usize) -> bool {
    let mut is_open = false;
    for letter in line.chars().rev() {
        match letter {
            ']' | '}' => *closed += 1,
            '[' | '{' if *closed > 0 => *closed -= 1,
            '[' | '{' => is_open = true,
            _ => {}
        }
    }
    is_open
}
