//! Judges whether bundles of a series follow each other, with none missing between them.

use std::collections::BTreeMap;

use crate::event::SubscriptionId;
use crate::proof::{BundleReport, BundleVerdict};
use crate::seal::evidence::{PreviousBundle, SeriesGap, SeriesPlace};

/// What is wrong between two bundles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeriesFlaw {
    /// Which of the given bundles, from 0, does not follow.
    pub bundle: usize,
    /// What is wrong.
    pub problem: String,
}

/// What was found of bundles that are said to follow each other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct SeriesReport {
    /// What is wrong between them.
    pub flaws: Vec<SeriesFlaw>,
    /// Whether each series begins with its first bundle, and that with the first event.
    pub is_from_start: bool,
    /// Events that stand in no bundle because they were dropped before, as the gateway has signed.
    pub dropped: u64,
    /// Events that stand in no bundle because the consumer may not hear them any more, as it has signed.
    pub withheld: u64,
}

impl SeriesReport {
    /// What the bundles are together: as good as the worst of them, and wrong where they do not follow.
    pub fn verdict(&self, bundles: &[BundleReport<'_>]) -> BundleVerdict {
        let verdicts = || bundles.iter().map(BundleReport::verdict);
        if !self.flaws.is_empty() || verdicts().any(|one| one == BundleVerdict::Wrong) {
            BundleVerdict::Wrong
        } else if verdicts().any(|one| one == BundleVerdict::Consistent) {
            BundleVerdict::Consistent
        } else {
            BundleVerdict::Valid
        }
    }
}

/// Holds bundles against each other, each subscription by itself, in the order in which they are given.
pub fn verify_series(bundles: &[BundleReport<'_>]) -> SeriesReport {
    let mut report = SeriesReport { is_from_start: true, ..SeriesReport::default() };
    let mut before: BTreeMap<&SubscriptionId, &BundleReport<'_>> = BTreeMap::new();
    for (number, bundle) in bundles.iter().enumerate() {
        // That it has no head is a flaw of its own already.
        let Some(header) = bundle.examined.header() else { continue };
        let previous = before.insert(&header.subscription, bundle);
        let problem = match (header.series, previous) {
            (None, _) => {
                Some("it is in no series: its first line names no bundle before it".to_owned())
            }
            (Some(SeriesPlace::First), None) => {
                let first = bundle.examined.first_place;
                report.is_from_start &= first.is_none_or(|(sequence, _)| sequence == 0);
                None
            }
            (Some(SeriesPlace::First), Some(_)) => Some(
                "it is the first of a series, though others of the subscription come before it"
                    .to_owned(),
            ),
            (Some(SeriesPlace::After(named)), None) => {
                report.is_from_start = false;
                report.follow(bundle, &named)
            }
            (Some(SeriesPlace::After(named)), Some(previous)) => {
                let other = || other_log(previous, bundle);
                follows(previous, &named).or_else(other).or_else(|| report.follow(bundle, &named))
            }
        };
        report.flaws.extend(problem.map(|problem| SeriesFlaw { bundle: number, problem }));
    }
    report
}

/// What is wrong with a bundle being the one that another names before it.
fn follows(previous: &BundleReport<'_>, named: &PreviousBundle) -> Option<String> {
    if previous.sha256 != named.sha256 {
        return Some(format!(
            "it follows the bundle with the SHA-256 {}, which is not the one given before it: one is \
             missing, or they are given in another order",
            named.sha256
        ));
    }
    let place = (named.sequence, named.chain);
    (previous.examined.last_place() != Some(place))
        .then(|| "the bundle before it does not end at the place that it names".to_owned())
}

/// What two bundles that follow each other say otherwise of the log: a restore begins another series.
fn other_log(previous: &BundleReport<'_>, bundle: &BundleReport<'_>) -> Option<String> {
    let (was, is) = (previous.examined.header()?, bundle.examined.header()?);
    let before = previous.examined.tree()?;
    let problem = match is.tree {
        _ if was.incarnation != is.incarnation => {
            "it is of another incarnation of the log than the bundle before it"
        }
        None => "it tells of no tree over the log, and the bundle before it does",
        Some(now) if now.first != before.first || now.tree.size < before.tree.size => {
            "its tree over the log is another one than that of the bundle before it, or an older one"
        }
        Some(now) if now.tree.size == before.tree.size && now.tree.root != before.tree.root => {
            "the tree over the log has one size and two roots in it and the bundle before it"
        }
        Some(_) => return None,
    };
    Some(problem.to_owned())
}

impl SeriesReport {
    /// Holds the first place of a bundle against the one that it names before it.
    fn follow(&mut self, bundle: &BundleReport<'_>, named: &PreviousBundle) -> Option<String> {
        // That it has no first place is a flaw of its own already.
        let first = bundle.examined.first_place?;
        let missing = first.0.saturating_sub(named.sequence);
        match named.gap {
            None if first == (named.sequence, named.chain) => None,
            None => Some(format!(
                "it begins behind number {}, and the bundle before it ends with {}",
                first.0, named.sequence
            )),
            Some(_) if missing == 0 => {
                Some("it says that events are missing before it, and none is".to_owned())
            }
            Some(SeriesGap::Dropped) => {
                self.dropped += missing;
                None
            }
            Some(SeriesGap::Withheld) => {
                self.withheld += missing;
                None
            }
        }
    }
}
