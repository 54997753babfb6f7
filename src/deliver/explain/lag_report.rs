//! Says whether a subscription has everything, and what keeps the rest from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deliver::dispatch::SubscriptionService;
use crate::deliver::explain::LagCause;
use crate::deliver::limits::{BreakerPhase, Flow};
use crate::deliver::outcome::Verdict;
use crate::deliver::worker::WorkerStanding;
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{
    ActionKind, ActionOutcome, ActionQuery, Attempt, DeadLetterQuery, LogError, Page,
};
use crate::subscriptions::{Ordering, Subscription, SubscriptionState, may_want};

/// Attempts that are looked through for the last that failed.
const ATTEMPTS: Page = Page { items: 50, bytes: 256 * 1024 };
/// Changes that are looked through for the last pause.
const CHANGES: Page = Page { items: 20, bytes: 64 * 1024 };
/// One of something.
const ONE: Page = Page { items: 1, bytes: 1 };

/// Whether a subscription has everything, and what keeps the rest from it.
pub struct LagReport {
    /// Where its worker stands; nothing if it is closed.
    pub standing: Option<WorkerStanding>,
    /// Entries of the log that it has not looked at.
    pub unread: u64,
    /// When the oldest event was accepted that it does not have.
    pub since: Option<Timestamp>,
    /// Dead letters that wait for a decision.
    pub dead_letters: u64,
    /// What keeps events from it, the first cause first.
    pub causes: Vec<LagCause>,
}

/// What is known of a subscription while its causes are gathered.
struct Facts<'a> {
    subscription: &'a Subscription,
    standing: WorkerStanding,
    flow: Option<Flow>,
    unread: u64,
    since: Option<Timestamp>,
    now: Timestamp,
}

impl SubscriptionService {
    /// Says whether a subscription has everything, and what keeps the rest from it.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn lag_report(&self, subscription: &Subscription) -> Result<LagReport, LogError> {
        let id = &subscription.id;
        let (standing, flow) = (self.standing(id), self.flow(id));
        let dead_letters = self.dead_letters_waiting().await?.get(id).copied().unwrap_or(0);
        let Some(standing) = standing else {
            let mut causes = vec![LagCause::Closed];
            causes.extend(self.given_up(subscription, dead_letters).await?);
            return Ok(LagReport { standing: None, unread: 0, since: None, dead_letters, causes });
        };
        let unread = self.store.log.head().0.saturating_sub(standing.scanned.0);
        let since = self.oldest_missing(&standing).await?;
        let now = self.clock.now();
        let facts = Facts { subscription, standing, flow, unread, since, now };
        let mut causes = match subscription.state {
            SubscriptionState::Pending => vec![pending(subscription)],
            SubscriptionState::Paused => vec![self.paused(&facts).await?],
            SubscriptionState::Active | SubscriptionState::Closed => self.served(&facts).await?,
        };
        causes.extend(self.unheard(&facts));
        causes.extend(self.given_up(subscription, dead_letters).await?);
        Ok(LagReport { standing: Some(standing), unread, since, dead_letters, causes })
    }

    /// How many dead letters wait for a decision, of the subscriptions that have some.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn dead_letters_waiting(&self) -> Result<BTreeMap<SubscriptionId, u64>, LogError> {
        let usage = self.store.dead_letters.dead_letter_usage().await?;
        let listed = usage.into_iter().filter(|one| one.listed() > 0);
        Ok(listed.map(|one| (one.subscription.clone(), one.listed())).collect())
    }

    /// Why one is behind to whose sink, or to whose consumer, events go.
    async fn served(&self, facts: &Facts<'_>) -> Result<Vec<LagCause>, LogError> {
        let standing = facts.standing;
        let mut causes: Vec<LagCause> = self.failing(facts).await?.into_iter().collect();
        causes.extend(self.out_of_turn(facts).await?);
        let in_order = causes
            .iter()
            .any(|one| matches!(one, LagCause::BehindEvent { .. } | LagCause::SinkFailing { .. }));
        if standing.retrying > 0 && causes.is_empty() && !facts.subscription.is_pulled() {
            causes.push(LagCause::Retrying {
                deliveries: standing.retrying,
                since: standing.oldest_retry.map(|retry| retry.since),
                due: standing.oldest_retry.map(|retry| retry.due),
            });
        }
        if facts.subscription.is_pulled() {
            let (events, since) = (standing.missing(), facts.since);
            causes.extend((events > 0).then_some(LagCause::NotFetched { events, since }));
        } else if let Some(flow) = facts.flow.filter(|_| facts.waits_for_a_turn() && !in_order) {
            causes.extend(flow.is_paced.then(|| {
                let rate = self.dispatch.rate_of(facts.subscription);
                LagCause::Rate { rate }
            }));
            let slow = flow.is_full && !flow.is_paced;
            causes.extend(slow.then_some(LagCause::SlowSink { allowed: flow.allowed }));
        }
        let on_its_way = facts.unread > 0 || standing.open > 0;
        if on_its_way && causes.is_empty() {
            causes.push(LagCause::CatchingUp { since: facts.since });
        }
        Ok(causes)
    }

    /// What is wrong with its sink.
    async fn failing(&self, facts: &Facts<'_>) -> Result<Option<LagCause>, LogError> {
        let Some(flow) = facts.flow else { return Ok(None) };
        let until = flow.held_until.max(flow.phase.until()).filter(|until| *until > facts.now);
        let is_left_alone = flow.phase != BreakerPhase::Closed || until.is_some();
        // Who was left alone, and gets nothing now, does not fail.
        if is_left_alone && (facts.unread > 0 || facts.standing.missing() > 0) {
            let last = self.last_failure(facts.subscription).await?;
            return Ok(Some(LagCause::SinkLeftAlone { since: flow.failing_since, until, last }));
        }
        let Some(since) = flow.failing_since else { return Ok(None) };
        let last = self.last_failure(facts.subscription).await?;
        Ok(Some(LagCause::SinkFailing { since, last }))
    }

    async fn last_failure(&self, of: &Subscription) -> Result<Option<Attempt>, LogError> {
        let attempts = self.store.attempts.attempts(Some(&of.id), None, ATTEMPTS).await?;
        let failed = |attempt: &Attempt| *attempt.verdict != *Verdict::Delivered.word();
        Ok(attempts.into_iter().find(failed))
    }

    /// What goes first where the events of a subject arrive in order.
    async fn out_of_turn(&self, facts: &Facts<'_>) -> Result<Option<LagCause>, LogError> {
        let Facts { subscription, standing, .. } = facts;
        if subscription.document.config.ordering != Ordering::Subject {
            return Ok(None);
        }
        if standing.blocked > 0 {
            let query = DeadLetterQuery::all(subscription.id.clone());
            let first = self.store.dead_letters.dead_letters(&query, ONE).await?.into_iter().next();
            return Ok(first.map(|letter| LagCause::BehindDeadLetter(Box::new(letter))));
        }
        let waits = standing.open > 0 && standing.retrying > 0;
        Ok(standing.oldest_retry.filter(|_| waits).map(|retry| LagCause::BehindEvent {
            event: retry.event,
            since: retry.since,
            due: retry.due,
        }))
    }

    /// Who paused it, and when: of a pause that a caller has made, from the changes of that caller.
    async fn paused(&self, facts: &Facts<'_>) -> Result<LagCause, LogError> {
        let words = facts.subscription.reason.as_deref().unwrap_or_default();
        let Some(caller) = words.strip_prefix("by caller ") else {
            let since = facts.flow.and_then(|flow| flow.failing_since);
            return Ok(LagCause::Paused { by: None, since });
        };
        let query = ActionQuery {
            caller: Some(Arc::from(caller)),
            target: Some(Arc::from(format!("subscriptions/{}", facts.subscription.id))),
            kind: Some(ActionKind::PauseSubscription),
            ..ActionQuery::default()
        };
        let actions = self.store.actions.actions(&query, CHANGES).await?;
        let done = actions.into_iter().find(|one| one.end.outcome == ActionOutcome::Done);
        let since = done.map(|one| one.begun.at);
        Ok(LagCause::Paused { by: Some(caller.to_owned()), since })
    }

    /// Why there may be nothing for it.
    fn unheard(&self, facts: &Facts<'_>) -> Option<LagCause> {
        let Facts { subscription, standing, .. } = facts;
        let (access, types) = (self.access(), &subscription.document.types);
        if access.hears_any(&subscription.consumer, |event| may_want(types, event)) {
            let is_idle = standing.sequence == 0 && facts.unread == 0;
            let is_served = subscription.state == SubscriptionState::Active;
            let since = subscription.created;
            return (is_idle && is_served).then_some(LagCause::NothingPublished { since });
        }
        let named = access.publications().into_iter().find(|one| may_want(types, &one.event_name));
        Some(match named {
            Some(one) => LagCause::NotEntitled { publication: one.name },
            None => LagCause::NoPublication,
        })
    }

    /// What was given up.
    async fn given_up(
        &self,
        subscription: &Subscription,
        letters: u64,
    ) -> Result<Option<LagCause>, LogError> {
        if letters == 0 {
            return Ok(None);
        }
        let query = DeadLetterQuery::all(subscription.id.clone());
        let first = self.store.dead_letters.dead_letters(&query, ONE).await?;
        let since = first.first().map(|letter| letter.at);
        Ok(Some(LagCause::GivenUp { letters, since }))
    }
}

impl Facts<'_> {
    /// Whether there is something to attempt that is not tried yet.
    const fn waits_for_a_turn(&self) -> bool {
        self.unread > 0 || self.standing.open > 0
    }
}

fn pending(subscription: &Subscription) -> LagCause {
    let handshake = subscription.handshake.as_ref();
    LagCause::Pending {
        since: handshake.map(|one| one.since),
        attempts: handshake.map_or(0, |one| one.attempts),
        due: handshake.and_then(|one| one.due),
    }
}
