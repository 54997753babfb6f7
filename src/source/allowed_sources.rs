//! The sources that a producer is held to.

use crate::source::received::is_own_source;

/// Whether a producer that is held to these sources, or to none, may publish as one.
pub(super) fn is_allowed(sources: Option<&[String]>, source: &str) -> bool {
    sources.is_none_or(|own| names(own, source))
}

/// Says in words what is wrong with a list of sources; nothing if it can be used.
pub(super) fn problem(sources: &[String]) -> Option<String> {
    let wrong = |source: &String| {
        let beginning = source.strip_suffix('*').unwrap_or(source);
        if beginning.contains('*') {
            return Some(format!("`{source}` of `sources`: a `*` stands at the end only"));
        }
        let is_own = is_own_source(source);
        is_own.then(|| {
            format!("`{source}` of `sources` is the gateway's own: nobody publishes as it")
        })
    };
    sources.iter().find_map(wrong)
}

/// Whether a list of sources names one; a `*` at the end stands for any rest.
pub(super) fn names(sources: &[String], source: &str) -> bool {
    sources.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => source.starts_with(prefix),
        None => source == pattern,
    })
}
