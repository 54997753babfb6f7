//! What a subscription gets, and the most that it may ask for, by the operator's word.

use std::time::Duration;

use crate::deliver::limits::BacklogLimit;
use crate::subscriptions::{Invalid, Subscription, SubscriptionDocument, SubscriptionError};

/// What a subscription gets unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Attempts in flight at once, at the most.
    pub parallel: u16,
    /// Attempts per second; nothing: as fast as the sink takes them.
    pub rate: Option<u32>,
    /// The most that it may ask for itself.
    pub operator_limits: OperatorLimits,
}

/// The most that a subscription may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorLimits {
    /// Attempts in flight at once.
    pub parallel: u16,
    /// Attempts per second; nothing: as many as its sink takes.
    pub rate: Option<u32>,
    /// What may wait.
    pub backlog: BacklogLimit,
}

/// What a document asks for in one of its members.
type Asked = fn(&SubscriptionDocument) -> Option<u64>;

impl Default for OperatorLimits {
    /// As many at once as a document can ask for, at any rate, and any backlog.
    fn default() -> Self {
        Self { parallel: 256, rate: None, backlog: BacklogLimit::default() }
    }
}

impl OperatorLimits {
    /// Checks what a document asks for that the current one does not: what was allowed once may
    /// stay.
    ///
    /// # Errors
    ///
    /// The caller's turn: it asks for more than the operator lets it.
    pub fn check(
        &self,
        document: &SubscriptionDocument,
        current: Option<&SubscriptionDocument>,
    ) -> Result<(), SubscriptionError> {
        let (parallel, rate) = (Some(u64::from(self.parallel)), self.rate.map(u64::from));
        let (age, events) = (self.backlog.age.map(|age| age.as_secs()), self.backlog.events);
        let members: [(_, Asked, _, _); 4] = [
            ("parallel", |it| it.config.parallel.map(u64::from), parallel, "maximum-parallel"),
            ("rate", |it| it.config.rate.map(u64::from), rate, "maximum-rate"),
            (
                "backlog/maximumAge",
                |it| it.config.backlog?.maximum_age.map(u64::from),
                age,
                "backlog.longest-age",
            ),
            (
                "backlog/maximumEvents",
                |it| it.config.backlog?.maximum_events.map(u64::from),
                events,
                "backlog.most-events",
            ),
        ];
        for (member, of, most, setting) in members {
            let (asked, before) = (of(document), current.and_then(of));
            if let (Some(asked), Some(most)) = (asked, most)
                && asked > most
                && before != Some(asked)
            {
                let problem = format!(
                    "{asked} is more than this gateway allows: use {most} at the most, or ask its \
                     operator (`delivery.{setting}`)",
                );
                return Err(Invalid { pointer: format!("/config/{member}"), problem }.into());
            }
        }
        Ok(())
    }

    /// How many attempts a subscription may have at once and per second: what it was allowed to ask
    /// for once may be more than it may now.
    pub fn bound(self, subscription: &Subscription, general: Allowance) -> (u16, Option<u32>) {
        let parallel = subscription.parallel.unwrap_or(general.parallel).min(self.parallel);
        let rate = subscription.document.config.rate.or(general.rate);
        (parallel, rate.into_iter().chain(self.rate).min())
    }

    /// The bounds of a subscription's backlog: its own or the gateway's, within what it may ask for
    /// now.
    pub fn limit(self, subscription: &Subscription, general: BacklogLimit) -> BacklogLimit {
        let own = subscription.document.config.backlog.unwrap_or_default();
        let age = own.maximum_age.map(|age| Duration::from_secs(age.into())).or(general.age);
        let events = own.maximum_events.map(u64::from).or(general.events);
        let limit = BacklogLimit {
            age: age.into_iter().chain(self.backlog.age).min(),
            events: events.into_iter().chain(self.backlog.events).min(),
        };
        limit.with_age()
    }
}
