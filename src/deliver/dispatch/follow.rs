//! Follows the log, from where it stood.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock;
use crate::deliver::dispatch::Dispatch;
use crate::deliver::worker::{Followed, Inbox};
use crate::eventlog::{Log, Page};
use crate::telemetry::error_chain;

/// How often a worker that rests hears that the log has moved, at the most.
const MOVED_TICK: Duration = Duration::from_secs(5);
/// Into how many groups those who rest are parted at the most.
const GROUPS: usize = 64;

/// Hands every new entry of the log to the workers of those it is for, in order, and tells the others now
/// and then, until the log fails or the future is dropped.
pub async fn follow(log: &dyn Log, dispatch: &Dispatch, clock: &dyn Clock) {
    let inboxes = || dispatch.workers().values().map(|worker| Arc::clone(&worker.inbox)).collect();
    tokio::select! {
        () = hand_over(log, dispatch, clock) => {}
        () = tell_moved(dispatch.followed(), inboxes, clock) => {}
    }
}

/// Tells workers that rest, now and then, that the log has moved: their cursors are to move past what is not
/// for them. One after another, so that thousands do not wake together; where the log stands still they cost
/// nothing.
pub async fn tell_moved(
    followed: &Followed,
    inboxes: impl Fn() -> Vec<Arc<Inbox>>,
    clock: &dyn Clock,
) {
    loop {
        let inboxes = inboxes();
        let groups = inboxes.chunks(inboxes.len().div_ceil(GROUPS).max(1));
        let pause = MOVED_TICK / u32::try_from(groups.len()).unwrap_or(1).max(1);
        for group in groups {
            clock.sleep(pause).await;
            for inbox in group {
                inbox.look();
            }
        }
        drop(inboxes);
        // The first round is for what was not told before this began anew.
        followed.advanced().await;
    }
}

async fn hand_over(log: &dyn Log, dispatch: &Dispatch, clock: &dyn Clock) {
    let mut head = log.watch();
    let mut position = dispatch.followed().position();
    loop {
        match log.read(position, Page::default()).await {
            Ok(entries) if entries.is_empty() => {
                if head.changed().await.is_err() {
                    return;
                }
            }
            Ok(entries) => {
                position = dispatch.hand(&entries).unwrap_or(position);
                // Entries from memory are there at once, and others need their turn.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "The follower cannot read the log");
                clock.sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
