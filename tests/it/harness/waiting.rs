//! Waits for a condition instead of for a time.

use std::time::Duration;

/// How long a condition may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `found` finds something, and fails the test with `what` if it never does.
#[track_caller]
pub fn eventually<T>(
    what: impl std::fmt::Display,
    mut found: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let looking = async {
            loop {
                if let Some(found) = found().await {
                    return found;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|late| panic!("{place}: {what}: {late}"))
    }
}

/// Looks for a while and fails the test if `found` finds something.
pub async fn never_within<T>(
    span: Duration,
    what: &str,
    mut found: impl AsyncFnMut() -> Option<T>,
) {
    let end = tokio::time::Instant::now() + span;
    while tokio::time::Instant::now() < end {
        assert!(found().await.is_none(), "{what}");
        tokio::time::sleep(LOOK).await;
    }
}
