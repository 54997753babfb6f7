//! The gateway's own keys: those that its log names, and none made in place of lost ones.

use std::sync::Arc;

use crate::ambient::{Clock, Entropy, SecretReference};
use crate::config::{self, Config};
use crate::event::SubscriptionId;
use crate::eventlog::Registry;
use crate::gateway::build_error::BuildError;
use crate::keys::{
    DataKey, FileKeyStore, HistoricalKeys, KeyRing, LogKeys, LostKeys, NoteSigningKey,
};
use crate::subscriptions::{OuterKeySecret, SubscriptionError, Subscriptions};

/// The gateway's own keys, all of them.
pub struct OwnKeys {
    /// Those that sign tokens.
    pub ring: Arc<KeyRing>,
    /// The one for secrets at rest.
    pub data_key: Arc<DataKey>,
    /// The one that signs what is said of the log to everybody.
    pub note_key: Arc<NoteSigningKey>,
}

/// Reads the key directory of the settings; makes no key.
///
/// # Errors
///
/// The operator's turn: a passphrase is missing or wrong. Ours: a key file is damaged.
pub fn read_keys(config: &Config, entropy: &dyn Entropy) -> Result<KeyRing, BuildError> {
    let secret = |place: &Option<SecretReference>| {
        place.as_ref().map(|place| config::secret(place, &config.directory)).transpose()
    };
    let settings = &config.keys;
    let (passphrase, former) =
        (secret(&settings.passphrase)?, secret(&settings.former_passphrase)?);
    let store =
        FileKeyStore::open(&settings.directory, passphrase, entropy)?.with_former(former, entropy);
    Ok(KeyRing::read(Arc::new(store), settings.lifecycle())?)
}

/// Finds out whether the keys that are there are those of a log; changes nothing.
///
/// A log of a gateway that did not yet name its keys tells by its secrets alone.
///
/// # Errors
///
/// The operator's turn: they are not. Ours: the log or a key cannot be read.
pub async fn check_keys(
    ring: &KeyRing,
    registry: &Arc<dyn Registry>,
    clock: &Arc<dyn Clock>,
) -> Result<(), BuildError> {
    let data_key = ring.present_data_key()?;
    if let Some((names, _)) = LogKeys::read(&**registry).await? {
        let note_key = ring.present_note_key()?;
        return Ok(names.check(ring, data_key.as_ref(), note_key.as_ref())?);
    }
    if unopened(data_key.as_ref(), registry, clock).await?.is_empty() {
        return Ok(());
    }
    let place = ring.place_of_data_key();
    Err(BuildError::LostKeys(match data_key {
        None => LostKeys::NoDataKey { place, reason: "secrets in the log were sealed under it" },
        Some(_) => LostKeys::OtherDataKey { place },
    }))
}

/// The subscriptions whose secrets do not open under a data key.
///
/// # Errors
///
/// Ours: the registry failed.
pub async fn unopened(
    data_key: Option<&DataKey>,
    registry: &Arc<dyn Registry>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<SubscriptionId>, BuildError> {
    let all = Subscriptions::new(Arc::clone(registry), Arc::clone(clock)).list().await;
    let all = all.map_err(|error| BuildError::Resume(error.into()))?;
    let now = clock.now();
    let opens = |one: &crate::subscriptions::Subscription| {
        !one.keeps_secrets() || data_key.is_some_and(|key| one.opens_under(key, now))
    };
    Ok(all.iter().filter(|one| !opens(one)).map(|one| one.id.clone()).collect())
}

/// Gives a new secret for outer keys to each subscription whose own does not open under a data key:
/// nobody but the gateway can. What stands outside of their tokens changes with it.
///
/// # Errors
///
/// The caller's turn: someone else wrote first. Ours: the registry failed.
pub async fn renew_outer_keys(
    data_key: &DataKey,
    registry: &Arc<dyn Registry>,
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
) -> Result<Vec<SubscriptionId>, BuildError> {
    let failed = |error: SubscriptionError| BuildError::Resume(error.into());
    let subscriptions = Subscriptions::new(Arc::clone(registry), Arc::clone(clock));
    let mut renewed = Vec::new();
    for one in subscriptions.list().await.map_err(failed)? {
        if !one.opens_outer_keys_under(data_key) {
            let sealed = OuterKeySecret::generate(&**entropy).seal(&one.id, data_key);
            subscriptions.give_outer_key_secret(&one, sealed).await.map_err(failed)?;
            renewed.push(one.id.clone());
        }
    }
    Ok(renewed)
}

/// Takes the keys up: makes those that are due, and has the log name them.
///
/// # Errors
///
/// The operator's turn: keys are lost. Ours: the log or the key store failed.
pub(super) async fn take_up_keys(
    config: &Config,
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
    registry: &Arc<dyn Registry>,
) -> Result<OwnKeys, BuildError> {
    let ring = read_keys(config, &**entropy)?;
    check_keys(&ring, registry, clock).await?;
    let own = make_keys(ring, (clock, entropy), registry).await?;
    let kept = (clock.now(), config.log.receipts.0);
    HistoricalKeys::keep(&**registry, &own.ring, kept).await?;
    Ok(own)
}

/// Makes the keys that are missing or due, and has the log name them from now on.
///
/// # Errors
///
/// Ours: the log or the key store failed.
pub async fn make_keys(
    ring: KeyRing,
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
    registry: &Arc<dyn Registry>,
) -> Result<OwnKeys, BuildError> {
    let now = clock.now();
    // The data key first: signing keys without one would be told as a loss after a crash here.
    let data_key = ring.data_key(&**entropy, now)?;
    ring.bind_to(&data_key);
    ring.tick(now)?;
    let note_key = ring.note_key(now)?;
    LogKeys::of(&ring, &data_key, &note_key).keep(&**registry).await?;
    Ok(OwnKeys { ring: Arc::new(ring), data_key: Arc::new(data_key), note_key: Arc::new(note_key) })
}
