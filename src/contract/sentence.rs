//! Sentences about alternatives: names and constants of the contract, never a value of the data.

use serde_json::Value;

use crate::contract::alternatives::{Meant, Sign};
use crate::contract::shape::Branch;

/// Names or values that one sentence lists.
const MAX_LISTED: usize = 16;

/// Characters of a value that is shown.
const MAX_SHOWN: usize = 64;

/// A rule that no alternative keeps, with the one that the value is meant to be.
pub(super) fn meant(rule: &str, meant: &Meant<'_>, branches: &[Branch], value: &Value) -> String {
    match meant {
        Meant::Branch { index, by } => {
            let sign = match by {
                Sign::Values(names) => format!("its {} {} that of", quoted(names), is(names)),
                Sign::Presence(names) => format!("it has the {} of", quoted(names)),
                Sign::Type => "its type is that of".to_owned(),
            };
            format!("{rule}: {sign} {}", branch(branches, *index))
        }
        Meant::Undecided { member, allowed } => {
            let fault = if value.get(member).is_none() { " is missing," } else { "" };
            format!("{rule}: `{member}` decides which,{fault} and may be {}", values(allowed))
        }
        Meant::Values(allowed) => format!("{rule}: it may be {}", values(allowed)),
        Meant::Unknown => rule.to_owned(),
    }
}

/// Several alternatives by name.
pub(super) fn branches(branches: &[Branch], indexes: &[usize]) -> String {
    let names = indexes.iter().map(|index| branch(branches, *index)).collect::<Vec<_>>();
    listed(&names)
}

fn branch(branches: &[Branch], index: usize) -> String {
    let place = format!("alternative {} of {}", index + 1, branches.len());
    match branches.get(index).and_then(|branch| branch.label.as_deref()) {
        Some(label) => format!("`{}` ({place})", cut(label)),
        None => place,
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", cut(name))).collect();
    listed(&names)
}

const fn is(names: &[&str]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}

fn values(values: &[&Value]) -> String {
    let shown: Vec<String> = values.iter().map(|value| cut(&value.to_string())).collect();
    listed(&shown)
}

fn listed(texts: &[String]) -> String {
    let shown = texts.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
