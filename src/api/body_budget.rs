//! The memory that request bodies may take, of all requests together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ambient::Size;
use crate::api::peer::Peer;
use crate::source::BodyRoom;

/// Of all room, whoever is not verified yet may have one of so many parts.
const PARTS: usize = 8;

/// Room for the bodies of all requests.
#[derive(Debug)]
pub struct BodyBudget {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    unverified: HashMap<BodySender, usize>,
}

/// Who says that it sends a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum BodySender {
    /// Whoever is at the other end of the connection.
    Peer(Peer),
    /// The holder of an access key.
    AccessKey(Arc<str>),
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
    /// Who is charged until the sender is verified.
    unverified: Vec<BodySender>,
}

impl BodyBudget {
    /// Starts empty.
    pub fn new(most: Size) -> Arc<Self> {
        Arc::new(Self { most: most.bytes(), held: Mutex::default() })
    }

    /// A share for a request whose sender is verified.
    pub(super) fn share(self: &Arc<Self>) -> BodyShare {
        self.share_of([])
    }

    /// A share for a request that is charged to these, until its sender is verified.
    pub(super) fn share_of(
        self: &Arc<Self>,
        unverified: impl IntoIterator<Item = BodySender>,
    ) -> BodyShare {
        let own = Own { bytes: 0, unverified: unverified.into_iter().collect() };
        BodyShare { budget: Arc::clone(self), own: Mutex::new(own) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn give_back(&mut self, sender: &BodySender, bytes: usize) {
        if let Some(held) = self.unverified.get_mut(sender) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.unverified.remove(sender);
            }
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
        for sender in &own.unverified {
            held.give_back(sender, bytes);
        }
    }
}

impl BodyRoom for BodyShare {
    fn take(&self, bytes: usize) -> bool {
        let mut own = self.own();
        let mut held = self.budget.held();
        let most = self.budget.most;
        let of = |sender: &BodySender| held.unverified.get(sender).copied().unwrap_or_default();
        let is_over = |held: usize, most| held.saturating_add(bytes) > most;
        if is_over(held.all, most)
            || own.unverified.iter().any(|sender| is_over(of(sender), most / PARTS))
        {
            return false;
        }
        held.all += bytes;
        own.bytes += bytes;
        if bytes > 0 {
            for sender in &own.unverified {
                *held.unverified.entry(sender.clone()).or_default() += bytes;
            }
        }
        true
    }

    fn trust(&self) {
        let mut own = self.own();
        let mut held = self.budget.held();
        for sender in std::mem::take(&mut own.unverified) {
            held.give_back(&sender, own.bytes);
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

    #[test]
    fn a_sender_has_an_eighth_until_it_is_verified_and_all_have_the_whole() {
        let budget = BodyBudget::new(Size(80));
        let first = budget.share_of([peer(1), key()]);
        let second = budget.share_of([peer(1)]);
        let third = budget.share_of([peer(2), key()]);

        assert!(first.take(6));
        assert!(!second.take(5) && second.take(4), "one peer");
        assert!(!third.take(5) && third.take(4), "one key");
        first.trust();
        assert!(first.take(60), "verified");
        assert!(third.take(6), "and no longer charged to the key");
        assert!(!first.take(1), "all together");
        drop(second);
        assert!(first.take(4) && !first.take(1));
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = BodyBudget::new(Size(80));
        let shares: Vec<_> = (1..=8).map(|last| budget.share_of([peer(last), key()])).collect();
        for share in &shares {
            assert!(share.take(1));
        }
        assert!(budget.share().take(72));
        drop(shares);

        let held = budget.held();
        assert_eq!((held.all, held.unverified.len()), (0, 0));
    }
}
