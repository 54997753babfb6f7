//! Finds out what waits in which queue, while its worker goes on with everything else.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::outcome::{Reason, rank};
use crate::deliver::worker::subject_queues::{QueueKey, SubjectQueues};
use crate::deliver::worker::{DeliveryContext, recall};
use crate::eventlog::{DeadLetterQuery, LogError, Page, Retry};
use crate::subscriptions::{OnDeadLetter, Subscription};

/// How long it waits before it reads again what could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Reads the queues of a subscription, with what waits for another attempt, as often as it takes. What is found
/// is stale once a retry or a dead letter comes or goes: then it is begun anew.
pub(super) async fn lay_queues(
    context: Arc<DeliveryContext>,
    subscription: Arc<Subscription>,
    waiting: Vec<Retry>,
) -> SubjectQueues {
    loop {
        match queues_kept(&context, &subscription, &waiting).await {
            Ok(queues) => return queues,
            Err(error) => tracing::error!(
                subscription.id = %subscription.id,
                error = &error as &dyn std::error::Error,
                "Cannot read what waits for subscription {}; trying again", subscription.shown(),
            ),
        }
        context.clock.sleep(AFTER_FAILURE).await;
    }
}

async fn queue_key_of(
    context: &DeliveryContext,
    retry: &Retry,
) -> Result<Option<QueueKey>, LogError> {
    let entry = recall(&context.store, retry).await?;
    Ok(entry.map(|entry| QueueKey::of(retry.key.replay.as_ref(), &entry.event)))
}

/// Reads the queues of retries and, where they hold queues up, of dead letters.
async fn queues_kept(
    context: &DeliveryContext,
    subscription: &Subscription,
    retries: &[Retry],
) -> Result<SubjectQueues, LogError> {
    let blocks = subscription.on_dead_letter() == OnDeadLetter::Block;
    let mut queues = SubjectQueues::new(blocks);
    for retry in retries {
        // An event that is nowhere any more holds nobody up.
        if let Some(queue_key) = queue_key_of(context, retry).await? {
            queues.wait(queue_key, rank(retry.link, retry.position), retry.key.clone());
        }
    }
    if !blocks {
        return Ok(queues);
    }
    // What was given up a moment ago must be there to be found.
    context.ledger.try_flush().await?;
    let mut query = DeadLetterQuery::all(subscription.id.clone());
    loop {
        let page = context.store.dead_letters.dead_letters(&query, Page::default()).await?;
        let Some(last) = page.last() else { return Ok(queues) };
        query.after = last.id;
        for letter in &page {
            // What was never offered holds nobody up: it is no failure that someone has to look
            // into. Nor does what may not be heard, which nobody can bring back.
            // Of what was dropped someone has decided already.
            let holds_nobody =
                [Reason::Expired, Reason::Undecided, Reason::NotEntitled, Reason::Dropped]
                    .map(Reason::word)
                    .contains(&&*letter.reason);
            if let (Some((sequence, _)), None, false) =
                (letter.link, &letter.key.replay, holds_nobody)
            {
                queues.die(QueueKey::of(None, &letter.event), sequence, letter.event.id);
            }
        }
    }
}
