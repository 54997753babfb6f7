//! Says which steps an older log's tables are about to be brought forward by, and to have a backup.

use std::path::Path;

/// Says it before the first step; nothing of tables that are made anew.
pub(super) fn tell_steps(place: &Path, found: usize, steps: &[&str]) {
    if found == 0 || found >= steps.len() {
        return;
    }
    let (place, newest) = (place.display(), steps.len());
    tracing::warn!(
        tables.from = found,
        tables.to = newest,
        "The tables in {place} go from version {found} to {newest}, and an older sealway does not open \
         them afterwards. A backup of before is the only way back: docs/storage.md, Upgrading"
    );
    for (number, step) in (1..).zip(steps).skip(found) {
        tracing::info!("Step {number} of the tables: {}", purpose(step));
    }
}

/// Says that it is done.
pub(super) fn tell_done(place: &Path, found: usize, newest: i64) {
    if found > 0 {
        tracing::info!("The tables in {} are of version {newest}", place.display());
    }
}

/// What a step is for: the first sentence of the comment that it begins with.
fn purpose(step: &str) -> String {
    let comment = step.lines().map_while(|line| line.strip_prefix("--"));
    let text = comment.map(str::trim).collect::<Vec<_>>().join(" ");
    let sentence = text.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_of_a_step_says_what_it_is_for() {
        assert_eq!(purpose("-- A table of\n-- things. It ends.\nCREATE"), "A table of things");
        assert_eq!(purpose("CREATE TABLE a (b)"), "");
    }
}
