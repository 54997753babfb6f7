//! The memory that request bodies may take, of all requests together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ambient::Size;
use crate::api::peer::Peer;
use crate::event::CallerId;
use crate::source::BodyRoom;

/// Of all room, whoever is not verified yet may have one of so many parts.
const UNVERIFIED_PARTS: usize = 8;
/// And whoever is verified one of so many: one caller with bodies that never end leaves room to others.
const VERIFIED_PARTS: usize = 4;

/// Room for the bodies of all requests.
#[derive(Debug)]
pub struct BodyBudget {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_sender: HashMap<BodySender, usize>,
}

/// Who says that it sends a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum BodySender {
    /// Whoever is at the other end of the connection.
    Peer(Peer),
    /// The holder of an access key, as far as it says so.
    AccessKey(Arc<str>),
    /// The same, verified.
    VerifiedAccessKey(Arc<str>),
    /// A caller, whose key was good.
    Caller(CallerId),
}

impl BodySender {
    /// The most that it may have.
    const fn most(&self, all: usize) -> usize {
        match self {
            Self::Peer(_) | Self::AccessKey(_) => all / UNVERIFIED_PARTS,
            Self::VerifiedAccessKey(_) | Self::Caller(_) => all / VERIFIED_PARTS,
        }
    }

    /// Who is charged once its sender is verified; nobody for a peer, of which many may come by one address.
    fn verified(self) -> Option<Self> {
        match self {
            Self::Peer(_) => None,
            Self::AccessKey(key) => Some(Self::VerifiedAccessKey(key)),
            verified => Some(verified),
        }
    }
}

/// What one request has of the room; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BodyShare {
    budget: Arc<BodyBudget>,
    own: Mutex<Own>,
}

#[derive(Debug)]
struct Own {
    bytes: usize,
    /// Who is charged.
    senders: Vec<BodySender>,
}

impl BodyBudget {
    /// Starts empty.
    pub fn new(most: Size) -> Arc<Self> {
        Arc::new(Self { most: most.bytes(), held: Mutex::default() })
    }

    /// A share for a request that is charged to these.
    pub(super) fn share_of(
        self: &Arc<Self>,
        senders: impl IntoIterator<Item = BodySender>,
    ) -> BodyShare {
        let own = Own { bytes: 0, senders: senders.into_iter().collect() };
        BodyShare { budget: Arc::clone(self), own: Mutex::new(own) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn give_back(&mut self, sender: &BodySender, bytes: usize) {
        if let Some(held) = self.by_sender.get_mut(sender) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.by_sender.remove(sender);
            }
        }
    }

    fn charge(&mut self, sender: &BodySender, bytes: usize) {
        if bytes > 0 {
            *self.by_sender.entry(sender.clone()).or_default() += bytes;
        }
    }
}

impl BodyShare {
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what was taken, because it is not held any more.
    pub(super) fn give_back(&self) {
        let mut own = self.own();
        let mut held = self.budget.held();
        let bytes = std::mem::take(&mut own.bytes);
        held.all = held.all.saturating_sub(bytes);
        for sender in &own.senders {
            held.give_back(sender, bytes);
        }
    }
}

impl BodyRoom for BodyShare {
    fn take(&self, bytes: usize) -> bool {
        let mut own = self.own();
        let mut held = self.budget.held();
        let most = self.budget.most;
        let of = |sender: &BodySender| held.by_sender.get(sender).copied().unwrap_or_default();
        let is_over = |held: usize, most| held.saturating_add(bytes) > most;
        if is_over(held.all, most)
            || own.senders.iter().any(|sender| is_over(of(sender), sender.most(most)))
        {
            return false;
        }
        held.all += bytes;
        own.bytes += bytes;
        for sender in &own.senders {
            held.charge(sender, bytes);
        }
        true
    }

    fn trust(&self) {
        let mut own = self.own();
        let mut held = self.budget.held();
        for sender in std::mem::take(&mut own.senders) {
            held.give_back(&sender, own.bytes);
            if let Some(verified) = sender.verified() {
                held.charge(&verified, own.bytes);
                own.senders.push(verified);
            }
        }
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> BodySender {
        BodySender::Peer(Peer::of([192, 0, 2, last].into()))
    }

    fn key() -> BodySender {
        BodySender::AccessKey("AKIA".into())
    }

    fn caller(name: &str) -> BodySender {
        BodySender::Caller(name.parse().unwrap())
    }

    #[test]
    fn a_sender_has_an_eighth_until_it_is_verified_then_a_quarter_and_all_have_the_whole() {
        let budget = BodyBudget::new(Size(80));
        let first = budget.share_of([peer(1), key()]);
        let second = budget.share_of([peer(1)]);
        let third = budget.share_of([peer(2), key()]);

        assert!(first.take(6));
        assert!(!second.take(5) && second.take(4), "one peer");
        assert!(!third.take(5) && third.take(4), "one key");
        first.trust();
        assert!(first.take(14) && !first.take(1), "verified");
        assert!(third.take(6), "and no longer charged to the key");
        let another = budget.share_of([key()]);
        another.trust();
        assert!(!another.take(1), "one key has one quarter, in however many requests");
        let callers: Vec<_> =
            ["a", "b", "c"].map(caller).into_iter().map(|one| budget.share_of([one])).collect();
        assert!(callers[0].take(20) && !callers[0].take(1), "a caller");
        assert!(callers[1].take(20) && callers[2].take(6) && !callers[2].take(1), "all together");
        drop(second);
        assert!(callers[2].take(4) && !callers[2].take(1));
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = BodyBudget::new(Size(80));
        let shares: Vec<_> = (1..=8).map(|last| budget.share_of([peer(last), key()])).collect();
        for share in &shares {
            assert!(share.take(1));
        }
        let others = ["a", "b", "c", "d"].map(|name| budget.share_of([caller(name)]));
        assert!(others.iter().all(|share| share.take(18)));
        drop(others);
        drop(shares);

        let held = budget.held();
        assert_eq!((held.all, held.by_sender.len()), (0, 0));
    }
}
