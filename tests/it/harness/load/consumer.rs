//! Consumers of a load, and what they have seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use sealway::event::{ChainValue, EventId};
use sealway::seal::{ChainCheck, Link, Opened, PlaceClaims};

use crate::harness::load::Caller;
use crate::harness::load::caller::number_of;
use crate::harness::{Arrival, Receiver};

/// One arrival, without its content.
#[derive(Clone)]
pub struct Seen {
    /// The event.
    pub id: EventId,
    /// The number of the order.
    pub number: Option<u64>,
    /// What it is about.
    pub subject: Arc<str>,
    /// Its place in the chain; nothing in a replay.
    pub link: Option<Link>,
    /// When it arrived.
    pub at: Instant,
    /// When it was answered with yes.
    pub taken: Option<Instant>,
}

impl Seen {
    fn of(arrival: &Arrival) -> Self {
        let yes = arrival.status.is_some_and(|status| status < 300);
        Self::at(arrival.at, arrival.answered.filter(|_| yes), &arrival.opened)
    }

    fn at(at: Instant, taken: Option<Instant>, opened: &Opened) -> Self {
        let (id, event) = (opened.id().parse().unwrap(), opened.event());
        let subject = Arc::from(event["subject"].as_str().unwrap_or_default());
        Self { id, number: number_of(event), subject, link: link_of(opened), at, taken }
    }
}

fn link_of(opened: &Opened) -> Option<Link> {
    Some(Link { id: opened.id().parse().ok()?, place: opened.place()?, digest: opened.digest()? })
}

/// Fetches what a consumer without a sink is to have, page by page.
pub(super) struct Fetcher {
    receiver: Arc<Receiver>,
    fetched: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    /// The last event that was fetched.
    last: Option<EventId>,
    /// What was fetched since it was last asked for.
    seen: Vec<Seen>,
}

impl Fetcher {
    /// Fetches a page, which acknowledges the one before; says whether there may be more.
    pub(super) async fn fetch(&self, caller: &Caller) -> bool {
        let mut fetched = self.fetched.lock().await;
        let after = fetched.last.map_or_else(String::new, |last| format!("&after={last}"));
        let path = format!("/subscriptions/{}/events?limit=100{after}", self.receiver.name());
        let Some(page) = caller.get(&path).await else { return false };
        for event in page["events"].as_array().unwrap() {
            let opened = self.receiver.open(event["token"].as_str().unwrap()).await.unwrap();
            let now = Instant::now();
            let seen = Seen::at(now, Some(now), &opened);
            fetched.last = Some(seen.id);
            fetched.seen.push(seen);
        }
        page["events"] != json!([])
    }
}

/// A consumer and everything that it has seen.
pub struct Consumer {
    /// Where it listens.
    pub receiver: Arc<Receiver>,
    /// In the order in which it was answered.
    pub seen: Vec<Seen>,
    /// Whether it has asked for the events of a subject in their order.
    pub(super) in_order: bool,
    /// What it fetches with, if it has no sink.
    pub(super) fetcher: Option<Arc<Fetcher>>,
}

impl Consumer {
    /// One that has seen nothing.
    pub(super) fn new(receiver: Receiver) -> Self {
        Self { receiver: Arc::new(receiver), seen: Vec::new(), in_order: false, fetcher: None }
    }

    /// Has it fetch.
    pub(super) fn fetching(&mut self) {
        let (receiver, fetched) = (Arc::clone(&self.receiver), Mutex::default());
        self.fetcher = Some(Arc::new(Fetcher { receiver, fetched }));
    }

    /// Takes down what has arrived since, and fetches the rest.
    pub(super) async fn collect(&mut self, caller: &Caller) {
        self.seen.extend(self.receiver.take_arrivals().iter().map(Seen::of));
        if let Some(fetcher) = &self.fetcher {
            while fetcher.fetch(caller).await {}
            self.seen.append(&mut fetcher.fetched.lock().await.seen);
        }
    }

    /// The events that it has said yes to, and the numbers of their orders.
    pub fn taken(&self) -> BTreeMap<EventId, Option<u64>> {
        let taken = self.seen.iter().filter(|seen| seen.taken.is_some());
        taken.map(|seen| (seen.id, seen.number)).collect()
    }

    /// Live arrivals by event.
    fn live(&self) -> BTreeMap<EventId, Vec<&Seen>> {
        let mut arrivals: BTreeMap<EventId, Vec<&Seen>> = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| seen.link.is_some()) {
            arrivals.entry(seen.id).or_default().push(seen);
        }
        arrivals
    }

    /// For each time that a live event came again after a yes: before which kill the yes was said, and
    /// how long, or nothing if no kill lies between. A kill is the moment, and one before the next start
    /// at which everything was read that the dead process had sent.
    pub fn repeats(&self, kills: &[(Instant, Instant)]) -> Vec<Option<(usize, Duration)>> {
        let mut repeats = Vec::new();
        for mut seen in self.live().into_values() {
            seen.sort_by_key(|seen| seen.at);
            for (one, next) in seen.iter().zip(seen.iter().skip(1)) {
                let Some(taken) = one.taken else { continue };
                let between = |(_, start): &(_, Instant)| (one.at..next.at).contains(start);
                let kill = kills.iter().position(between);
                let age = |kill: usize| kills[kill].0.saturating_duration_since(taken);
                repeats.push(kill.map(|kill| (kill, age(kill))));
            }
        }
        repeats
    }

    /// What came too early: before the event of the same subject that precedes it was taken.
    fn overtaking(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut taken: BTreeMap<&str, (EventId, Option<Instant>)> = BTreeMap::new();
        for (id, seen) in &self.live() {
            let subject = &*seen[0].subject;
            let first_came = seen.iter().map(|seen| seen.at).min();
            let first_taken = seen.iter().filter_map(|seen| seen.taken).min();
            if let Some((before, at)) = taken.insert(subject, (*id, first_taken))
                && (at.is_none() || first_came < at)
            {
                found.push(format!("{id} of subject {subject} came before {before} was taken"));
            }
        }
        found
    }

    /// Says what is wrong with the order of events within a subject, if it has asked for one, and
    /// with the chain; and how far the chain has come.
    pub(super) fn faults(&self) -> (Vec<String>, u64, ChainValue) {
        let name = self.receiver.name();
        let start =
            PlaceClaims { sequence: 1, previous: ChainValue::start(&name.parse().unwrap()) };
        let check = ChainCheck::of(start, self.seen.iter().filter_map(|seen| seen.link));
        let mut faults: Vec<_> = check.findings.iter().map(ToString::to_string).collect();
        if self.in_order {
            faults.extend(self.overtaking());
        }
        (faults, check.next.sequence.saturating_sub(1), check.next.previous)
    }
}
