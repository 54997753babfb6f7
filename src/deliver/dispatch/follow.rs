//! Follows the log, from where it stood.

use std::time::Duration;

use crate::ambient::Clock;
use crate::deliver::dispatch::Dispatch;
use crate::eventlog::{Log, Page};
use crate::telemetry::error_chain;

/// Hands every new entry of the log to the workers of those it is for, in order, and tells the others now
/// and then, until the log fails or the future is dropped.
pub async fn follow(log: &dyn Log, dispatch: &Dispatch, clock: &dyn Clock) {
    tokio::select! {
        () = hand_over(log, dispatch, clock) => {}
        () = dispatch.followed().tell(clock) => {}
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
