//! `sealway keys adopt`: goes on with other keys after those of a log were lost.

use std::sync::Arc;

use serde::Serialize;

use crate::ambient::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::cli::acting::act;
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure};
use crate::config::Config;
use crate::event::SubscriptionId;
use crate::eventlog::{ActionKind, HeldDirectory, Registry, StoredLog};
use crate::gateway::{
    LogCheckpoint, OwnKeys, checkpoint_beside, make_keys, places, read_keys, renew_outer_keys,
    unopened,
};
use crate::keys::DataKey;

/// What was done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Adopted {
    /// The signing keys from now on.
    signing: Vec<String>,
    /// The subscriptions of which another key stands outside of tokens from now on.
    outer_keys_changed: Vec<SubscriptionId>,
    /// The subscriptions whose secrets do not open any more.
    unopened: Vec<SubscriptionId>,
}

/// Has the log name the keys that are in the key directory, and makes those that are missing.
pub(super) async fn adopt(data: &DataDirectory, context: &Context) -> CommandResult {
    let config = data.config(context)?;
    config.keys.check().map_err(Failure::input)?;
    let held = HeldDirectory::take(&config.data_dir).map_err(Failure::blame)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let actions = Arc::new(held.registry(Arc::clone(&clock)).map_err(Failure::blame)?);
    let registry: Arc<dyn Registry> = Arc::clone(&actions) as _;
    let ring = read_keys(&config, &*entropy).map_err(Failure::blame)?;
    let of_machine = (&clock, &entropy);
    let change = async {
        let made = make_keys(ring, of_machine, &registry).await.map_err(Failure::blame)?;
        sign_anew(&config, &made.data_key)?;
        let outer_keys_changed = renew_outer_keys(&made.data_key, &registry, of_machine).await;
        Ok((made, outer_keys_changed.map_err(Failure::blame)?))
    };
    let of = (ActionKind::AdoptKeys, "keys".to_owned());
    let (OwnKeys { ring, data_key, .. }, outer_keys_changed) =
        act(&*actions, of, context, change).await?;
    let unopened = unopened(Some(&data_key), &registry, &clock).await.map_err(Failure::blame)?;
    let signing = ring.keys().into_iter().map(|key| key.age.kid).collect();
    context.output().item(&Adopted { signing, outer_keys_changed, unopened }, Adopted::in_words);
    Ok(Exit::Done)
}

impl Adopted {
    fn in_words(&self) -> String {
        let keys =
            format!("the log names {} from now on; start the gateway", self.signing.join(", "));
        let changed = "the header `idempotency-key` of these subscriptions is another from now on:";
        let lost = "the secrets of these subscriptions do not open any more; put their \
                    `sinkcredential` again, and replace a shared secret:";
        let lists = [(changed, &self.outer_keys_changed), (lost, &self.unopened)];
        let mut lines = vec![keys];
        for (words, ids) in lists.iter().filter(|(_, ids)| !ids.is_empty()) {
            lines.push((*words).to_owned());
            lines.extend(ids.iter().map(|id| format!("  {id}")));
        }
        lines.join("\n")
    }
}

/// Puts the checkpoints of the log under the new data key. What they say is still held against the
/// log by the next start.
fn sign_anew(config: &Config, data_key: &DataKey) -> Result<(), Failure> {
    let log = StoredLog::open(&config.data_dir).map_err(Failure::blame)?;
    let identity = log.identity().map_err(Failure::blame)?;
    let places = identity
        .map_or_else(|| vec![checkpoint_beside(&config.data_dir)], |one| places(config, &one.id));
    for place in places {
        if let Some(checkpoint) = LogCheckpoint::read(&place, None).map_err(Failure::blame)? {
            checkpoint.write(&place, data_key).map_err(Failure::blame)?;
        }
    }
    Ok(())
}
