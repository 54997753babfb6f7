//! The sources that a producer is held to.

/// Whether a producer that is held to these sources, or to none, may publish as one.
pub(super) fn is_allowed(sources: Option<&[String]>, source: &str) -> bool {
    sources.is_none_or(|own| names(own, source))
}

/// Whether a list of sources names one; a `*` at the end stands for any rest.
pub(super) fn names(sources: &[String], source: &str) -> bool {
    sources.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => source.starts_with(prefix),
        None => source == pattern,
    })
}
