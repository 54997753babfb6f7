//! What the subscriptions of one consumer take.

use std::collections::BTreeSet;

use crate::subscriptions::{Epoch, Subscription};

/// What is bounded for each consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerBound {
    /// How many subscriptions it has.
    Subscriptions,
    /// How many bytes its filters have.
    FilterSize,
    /// How many filters it has or had for events that the log still holds.
    Epochs,
    /// How many combinations its filters make.
    Combinations,
}

impl ConsumerBound {
    /// The setting below `consumers`.
    const fn setting(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscriptions",
            Self::FilterSize => "filter-size",
            Self::Epochs => "epochs",
            Self::Combinations => "combinations",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscriptions",
            Self::FilterSize => "bytes of filters",
            Self::Epochs => "filters for events that the log still holds",
            Self::Combinations => "combinations of filters",
        }
    }
}

/// A consumer would have more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the consumer would have {wanted} {}, has {used} and may have {most}: remove or narrow what it \
     does not need, or ask the operator (`consumers.{}`)",
    bound.words(),
    bound.setting()
)]
pub struct Exceeded {
    /// What there is too much of.
    pub bound: ConsumerBound,
    /// How much it may have.
    pub most: u64,
    /// How much it has.
    pub used: u64,
    /// How much it would have.
    pub wanted: u64,
}

/// What the subscriptions of one consumer take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    subscriptions: u64,
    filter_bytes: u64,
    epochs: u64,
    combinations: u64,
}

impl Usage {
    /// Adds up some subscriptions, by their filters of all times; equal wishes count once.
    pub(super) fn of_all<'a>(each: impl IntoIterator<Item = &'a [Epoch]>) -> Self {
        let (mut usage, mut seen) = (Self::default(), BTreeSet::new());
        for epochs in each {
            usage.subscriptions += 1;
            usage.epochs += filters_of(epochs) as u64;
            for wish in epochs.iter().map(|epoch| &epoch.wish) {
                if seen.insert(wish.digest()) {
                    usage.filter_bytes += wish.text().size();
                    usage.combinations += wish.filter().combinations() as u64;
                }
            }
        }
        usage
    }

    /// Adds up the subscriptions of a consumer, one of them with other filters, or a new one.
    pub(super) fn with(
        all: &[std::sync::Arc<Subscription>],
        changed: Option<&Subscription>,
        epochs: &[Epoch],
    ) -> Self {
        let others = all.iter().filter(|one| changed.is_none_or(|changed| changed.id != one.id));
        Self::of_all(others.map(|one| &*one.epochs).chain([epochs]))
    }

    pub(super) const fn of(&self, bound: ConsumerBound) -> u64 {
        match bound {
            ConsumerBound::Subscriptions => self.subscriptions,
            ConsumerBound::FilterSize => self.filter_bytes,
            ConsumerBound::Epochs => self.epochs,
            ConsumerBound::Combinations => self.combinations,
        }
    }
}

/// How many filters there are, each as often as it was changed to, or the audience with it: who may hear
/// what is not the consumer's to bound.
pub(super) fn filters_of(epochs: &[Epoch]) -> usize {
    let is_new = |pair: &[Epoch]| match pair {
        [before, after] => {
            before.wish.digest() != after.wish.digest() || before.audience != after.audience
        }
        _ => false,
    };
    epochs.len().min(1) + epochs.windows(2).filter(|pair| is_new(pair)).count()
}
