//! The life of a signing key, as pure rules: published, active, retired, removed.
//!
//! A key is published before it signs, so that every cached key set already holds it; it stays
//! published after it last signed, until nothing it signed can still be valid. The rules look at
//! times and give [`KeyStep`]s; [`KeyRing`](crate::keys::KeyRing) takes the steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;
use crate::keys::SigningAlgorithm;

/// Where a signing key is in its life.
///
/// A removed key has no state: it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// In the key set, so that consumers learn it, and not signing yet.
    Published,
    /// In the key set, and signing.
    Active,
    /// In the key set for the tokens it has signed, and not signing any more.
    Retired,
}

/// When a key entered each state; the state is read off them, so the two cannot disagree.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTimes {
    /// When it entered the key set.
    pub published: Timestamp,
    /// When it began to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<Timestamp>,
    /// When it stopped to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
}

impl KeyTimes {
    /// The state that the times tell.
    pub fn state(&self) -> KeyState {
        match (self.retired, self.activated) {
            (Some(_), _) => KeyState::Retired,
            (None, Some(_)) => KeyState::Active,
            (None, None) => KeyState::Published,
        }
    }
}

/// What the rules know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAge {
    /// The key's thumbprint.
    pub kid: String,
    /// The only algorithm it signs with.
    pub algorithm: SigningAlgorithm,
    /// When it entered each state.
    pub times: KeyTimes,
}

/// One change of a key ring. Steps are taken in order, and each leaves a ring that can sign, so a
/// crash between two of them loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// Make a key and put it in the key set.
    Publish(SigningAlgorithm),
    /// Make a key that signs at once, because there is none to wait for.
    Start(SigningAlgorithm),
    /// Let a published key sign.
    Activate(String),
    /// Let an active key sign no more.
    Retire(String),
    /// Forget a key.
    Remove(String),
}

/// How long keys live.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// One ring of keys for each of these.
    pub algorithms: Vec<SigningAlgorithm>,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a token is valid.
    pub token_lifetime: Duration,
    /// How long a key stays published after the last token it signed has expired.
    pub keep_after_expiry: Duration,
}

impl Lifecycle {
    /// The steps that time asks for. Once they are taken, asking again at the same moment gives
    /// none.
    pub fn due(&self, keys: &[KeyAge], now: Timestamp) -> Vec<KeyStep> {
        let mut steps = Vec::new();
        for algorithm in &self.algorithms {
            self.due_in_ring(&Ring::of(keys, *algorithm), now, &mut steps);
        }
        for key in keys {
            let unused = !self.algorithms.contains(&key.algorithm);
            match key.times.state() {
                KeyState::Published if unused => steps.push(KeyStep::Remove(key.kid.clone())),
                KeyState::Active if unused => steps.push(KeyStep::Retire(key.kid.clone())),
                KeyState::Retired if self.outlived(key, now) => {
                    steps.push(KeyStep::Remove(key.kid.clone()));
                }
                KeyState::Published | KeyState::Active | KeyState::Retired => {}
            }
        }
        steps
    }

    fn due_in_ring(&self, ring: &Ring<'_>, now: Timestamp, steps: &mut Vec<KeyStep>) {
        let ripe = |key: &&KeyAge| key.times.published.after(self.publish_ahead) <= now;
        match (ring.signer(), ring.successor()) {
            (None, None) => steps.push(KeyStep::Start(ring.algorithm)),
            (None, Some(successor)) => steps.push(KeyStep::Activate(successor.kid.clone())),
            (Some(_), Some(successor)) if ripe(&successor) => ring.hand_over(successor, steps),
            (Some(signer), None) if self.aged(signer, now) => {
                steps.push(KeyStep::Publish(ring.algorithm));
                ring.retire_doubles(steps);
            }
            (Some(_), _) => ring.retire_doubles(steps),
        }
    }

    /// The steps of a rotation by hand: a successor is published, and signs when it is due; or, if
    /// `at_once`, signs now, before consumers may have learned it.
    pub fn rotation(
        &self,
        keys: &[KeyAge],
        algorithm: SigningAlgorithm,
        at_once: bool,
    ) -> Vec<KeyStep> {
        let ring = Ring::of(keys, algorithm);
        let mut steps = Vec::new();
        match (at_once, ring.signer(), ring.successor()) {
            (false, Some(_), Some(_)) => {}
            (false, Some(_), None) => steps.push(KeyStep::Publish(algorithm)),
            (_, _, Some(successor)) => ring.hand_over(successor, &mut steps),
            (_, _, None) => {
                steps.push(KeyStep::Start(algorithm));
                steps.extend(ring.active.iter().map(|key| KeyStep::Retire(key.kid.clone())));
            }
        }
        steps
    }

    /// The steps that take a key out of use at once, or nothing if there is no such key.
    ///
    /// A successor of the signer signs at once. It comes first, so that a crash between the two
    /// leaves a ring that can sign; the revocation can then be asked for again.
    pub fn revocation(&self, keys: &[KeyAge], kid: &str) -> Option<Vec<KeyStep>> {
        let key = keys.iter().find(|key| key.kid == kid)?;
        let ring = Ring::of(keys, key.algorithm);
        let mut steps = Vec::new();
        let wanted = self.algorithms.contains(&key.algorithm);
        if wanted && ring.active.iter().all(|active| active.kid == kid) {
            let successor = ring.published.iter().find(|published| published.kid != kid);
            steps.push(match successor {
                Some(successor) => KeyStep::Activate(successor.kid.clone()),
                None => KeyStep::Start(key.algorithm),
            });
        }
        steps.push(KeyStep::Remove(kid.to_owned()));
        Some(steps)
    }

    /// Tells whether a key's time in the key set is over by itself, or was cut short.
    pub fn outlived(&self, key: &KeyAge, now: Timestamp) -> bool {
        self.leaves(key).is_some_and(|moment| moment <= now)
    }

    /// When a retired key leaves the key set.
    pub fn leaves(&self, key: &KeyAge) -> Option<Timestamp> {
        key.times.retired.map(|retired| {
            retired.after(self.token_lifetime.saturating_add(self.keep_after_expiry))
        })
    }

    /// When the state of a key changes next, by itself.
    pub fn next_change(&self, key: &KeyAge) -> Timestamp {
        match (key.times.state(), key.times.activated) {
            (KeyState::Published, _) => key.times.published.after(self.publish_ahead),
            (KeyState::Retired, _) => self.leaves(key).unwrap_or(key.times.published),
            (KeyState::Active, activated) => {
                activated.unwrap_or(key.times.published).after(self.rotate_every)
            }
        }
    }

    /// Tells whether it is time to publish the successor of a signer.
    fn aged(&self, signer: &KeyAge, now: Timestamp) -> bool {
        let lead = self.rotate_every.saturating_sub(self.publish_ahead);
        signer.times.activated.is_some_and(|activated| activated.after(lead) <= now)
    }
}

/// The keys of one algorithm that sign or will sign.
struct Ring<'a> {
    algorithm: SigningAlgorithm,
    /// Latest first; more than one only after a crash in the middle of a hand-over.
    active: Vec<&'a KeyAge>,
    /// Earliest first.
    published: Vec<&'a KeyAge>,
}

impl<'a> Ring<'a> {
    fn of(keys: &'a [KeyAge], algorithm: SigningAlgorithm) -> Self {
        let in_state = |state| {
            let mut found: Vec<_> = keys
                .iter()
                .filter(|key| key.algorithm == algorithm && key.times.state() == state)
                .collect();
            found.sort_by_key(|key| (key.times.activated, key.times.published, &key.kid));
            found
        };
        let mut active = in_state(KeyState::Active);
        active.reverse();
        Self { algorithm, active, published: in_state(KeyState::Published) }
    }

    fn signer(&self) -> Option<&'a KeyAge> {
        self.active.first().copied()
    }

    fn successor(&self) -> Option<&'a KeyAge> {
        self.published.first().copied()
    }

    fn hand_over(&self, successor: &KeyAge, steps: &mut Vec<KeyStep>) {
        steps.push(KeyStep::Activate(successor.kid.clone()));
        steps.extend(self.active.iter().map(|key| KeyStep::Retire(key.kid.clone())));
    }

    fn retire_doubles(&self, steps: &mut Vec<KeyStep>) {
        steps.extend(self.active.iter().skip(1).map(|key| KeyStep::Retire(key.kid.clone())));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    const START: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);
    const ALGORITHM: SigningAlgorithm = SigningAlgorithm::ES256;

    fn rules() -> Lifecycle {
        Lifecycle {
            algorithms: vec![ALGORITHM],
            publish_ahead: DAY,
            rotate_every: DAY * 90,
            token_lifetime: DAY * 4,
            keep_after_expiry: DAY,
        }
    }

    /// A ring without keys: ages only, on which steps are taken.
    #[derive(Default)]
    struct Model {
        keys: Vec<KeyAge>,
        made: usize,
    }

    impl Model {
        fn take(&mut self, steps: &[KeyStep], now: Timestamp) {
            for step in steps {
                match step {
                    KeyStep::Publish(algorithm) | KeyStep::Start(algorithm) => {
                        self.made += 1;
                        let activated = matches!(step, KeyStep::Start(_)).then_some(now);
                        let times = KeyTimes { published: now, activated, retired: None };
                        let kid = format!("k{:03}", self.made);
                        self.keys.push(KeyAge { kid, algorithm: *algorithm, times });
                    }
                    KeyStep::Activate(kid) => self.key(kid).times.activated = Some(now),
                    KeyStep::Retire(kid) => self.key(kid).times.retired = Some(now),
                    KeyStep::Remove(kid) => self.keys.retain(|key| key.kid != *kid),
                }
            }
        }

        fn key(&mut self, kid: &str) -> &mut KeyAge {
            self.keys.iter_mut().find(|key| key.kid == kid).unwrap()
        }

        fn tick(&mut self, now: Timestamp) -> Vec<KeyStep> {
            let steps = rules().due(&self.keys, now);
            self.take(&steps, now);
            steps
        }

        fn signers(&self) -> Vec<String> {
            let active = self.keys.iter().filter(|key| key.times.state() == KeyState::Active);
            active.map(|key| key.kid.clone()).collect()
        }
    }

    fn started() -> Model {
        let mut model = Model::default();
        assert_eq!(model.tick(START), [KeyStep::Start(ALGORITHM)]);
        model
    }

    #[test]
    fn a_key_is_published_a_day_before_the_ninety_days_of_its_predecessor_are_over() {
        let mut model = started();

        assert_eq!(model.tick(START.after(DAY * 89).before(HOUR)), []);
        assert_eq!(model.tick(START.after(DAY * 89)), [KeyStep::Publish(ALGORITHM)]);
        assert_eq!(model.tick(START.after(DAY * 90).before(HOUR)), []);
        let hand_over = [KeyStep::Activate("k002".to_owned()), KeyStep::Retire("k001".to_owned())];
        assert_eq!(model.tick(START.after(DAY * 90)), hand_over);
        assert_eq!(model.signers(), ["k002"]);
    }

    #[test]
    fn a_retired_key_stays_until_what_it_signed_has_expired_and_a_day_longer() {
        let mut model = started();
        model.take(&rules().rotation(&model.keys, ALGORITHM, true), START);

        assert_eq!(model.tick(START.after(DAY * 5).before(HOUR)), []);
        assert_eq!(model.tick(START.after(DAY * 5)), [KeyStep::Remove("k001".to_owned())]);
    }

    #[test]
    fn a_rotation_by_hand_publishes_first_and_asked_twice_does_it_once() {
        let mut model = started();
        let rotation = rules().rotation(&model.keys, ALGORITHM, false);
        model.take(&rotation, START);

        assert_eq!(rotation, [KeyStep::Publish(ALGORITHM)]);
        assert_eq!(rules().rotation(&model.keys, ALGORITHM, false), []);
        assert_eq!(model.signers(), ["k001"]);
        model.tick(START.after(DAY));
        assert_eq!(model.signers(), ["k002"]);
    }

    #[test]
    fn revoking_the_signer_lets_the_published_key_or_else_a_new_one_sign_at_once() {
        let mut model = started();
        let with_none = rules().revocation(&model.keys, "k001").unwrap();
        assert_eq!(with_none, [KeyStep::Start(ALGORITHM), KeyStep::Remove("k001".to_owned())]);

        model.take(&[KeyStep::Publish(ALGORITHM)], START);
        let with_one = rules().revocation(&model.keys, "k001").unwrap();
        let expected = [KeyStep::Activate("k002".to_owned()), KeyStep::Remove("k001".to_owned())];
        assert_eq!(with_one, expected);
        let successor = rules().revocation(&model.keys, "k002").unwrap();
        assert_eq!(successor, [KeyStep::Remove("k002".to_owned())]);
        assert_eq!(rules().revocation(&model.keys, "k009"), None);
    }

    #[test]
    fn the_keys_of_an_algorithm_that_is_no_longer_configured_retire() {
        let mut model = started();
        model.take(&[KeyStep::Start(SigningAlgorithm::EdDSA)], START);
        model.take(&[KeyStep::Publish(SigningAlgorithm::EdDSA)], START);

        let steps = model.tick(START.after(HOUR));

        assert_eq!(steps, [KeyStep::Retire("k002".to_owned()), KeyStep::Remove("k003".to_owned())]);
    }

    #[test]
    fn a_hand_over_that_a_crash_cut_short_is_finished() {
        let mut model = started();
        model.take(
            &[KeyStep::Publish(ALGORITHM), KeyStep::Activate("k002".to_owned())],
            START.after(HOUR),
        );

        assert_eq!(model.tick(START.after(HOUR)), [KeyStep::Retire("k001".to_owned())]);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Wait(u32),
        Rotate(bool),
        Revoke(usize),
        CrashAfter(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => (1u32..3000).prop_map(Act::Wait),
            1 => any::<bool>().prop_map(Act::Rotate),
            1 => (0usize..4).prop_map(Act::Revoke),
            1 => (0usize..2).prop_map(Act::CrashAfter),
        ];
        proptest::collection::vec(act, 1..40)
    }

    proptest! {
        #[test]
        fn whatever_happens_one_key_signs_and_none_that_is_needed_is_lost(acts in acts()) {
            let mut model = started();
            let mut now = START;
            for act in acts {
                let mut revoked = None;
                let mut at_once = false;
                let before = model.keys.clone();
                let steps = match act {
                    Act::Wait(hours) => { now = now.after(HOUR * hours); Vec::new() }
                    Act::Rotate(now) => {
                        at_once = now;
                        rules().rotation(&model.keys, ALGORITHM, now)
                    }
                    Act::Revoke(index) => {
                        let kid = model.keys.get(index).map(|key| key.kid.clone());
                        revoked.clone_from(&kid);
                        kid.and_then(|kid| rules().revocation(&model.keys, &kid)).unwrap_or_default()
                    }
                    Act::CrashAfter(count) => {
                        let mut due = rules().due(&model.keys, now);
                        due.truncate(count);
                        due
                    }
                };
                model.take(&steps, now);
                prop_assert!(!model.signers().is_empty(), "between steps too a key signs");
                model.tick(now);
                prop_assert_eq!(model.tick(now), [], "a second look finds nothing to do");
                prop_assert_eq!(model.signers().len(), 1);
                for key in &model.keys {
                    let first = key.times.activated == Some(key.times.published);
                    let ahead = key.times.activated.map(|at| at.since(key.times.published));
                    let jumped = before.iter().all(|old| old.times.activated.is_some() || old.kid != key.kid);
                    prop_assert!(
                        first || jumped || at_once || revoked.is_some() || ahead.is_none_or(|ahead| ahead >= DAY)
                    );
                }
                for old in before.iter().filter(|old| !model.keys.iter().any(|key| key.kid == old.kid)) {
                    let over = old.times.retired.is_some_and(|at| at.after(DAY * 5) <= now);
                    prop_assert!(over || revoked.as_ref() == Some(&old.kid));
                }
            }
        }
    }
}
