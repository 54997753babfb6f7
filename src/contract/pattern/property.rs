//! Unicode properties by name: `\p{L}`, `\p{Script=Greek}`, `\p{Alphabetic}`.

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// The longest name of a property that is looked up.
const MAX_NAME: usize = 64;

/// The characters of a property; nothing if there is none of that name.
pub(super) fn characters(name: &str) -> Option<ClassUnicode> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        return None;
    }
    // No text holds half a surrogate pair.
    let value = name.rsplit('=').next().unwrap_or_default();
    if matches!(value, "Cs" | "Surrogate") {
        return Some(ClassUnicode::empty());
    }
    let parsed = regex_syntax::parse(&format!("\\p{{{name}}}")).ok()?;
    match parsed.kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set.clone()),
        _ => None,
    }
}
