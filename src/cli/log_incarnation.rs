//! Which incarnation a log that was restored, or set back, goes on as, and what is known of the log before.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::ambient::{Clock as _, SystemClock, SystemEntropy};
use crate::cli::{Context, Failure};
use crate::config::Config;
use crate::eventlog::{LogIdentity, NewIncarnation, StoredLog};
use crate::gateway::{LivesBeside, read_keys};
use crate::keys::{DataKey, VerifyingKeys};
use crate::seal::{CheckpointReader, evidence::BundleTrust};
use crate::transparency::LogHead;

/// What the operator knows of it.
#[derive(Debug, clap::Args)]
pub struct NextIncarnation {
    /// The number of the incarnation that begins: greater than all that the log has had, where the
    /// gateway cannot know that, as after a restore elsewhere. One more than the greatest known, if not
    /// given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    incarnation: Option<u64>,
    /// The newest signed checkpoint of the log before, of any subscription, as a consumer holds it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl NextIncarnation {
    /// Whether the operator says anything.
    pub(super) const fn is_given(&self) -> bool {
        self.incarnation.is_some() || self.checkpoint.is_some()
    }

    /// How far the log had come, as the checkpoint says that the operator gives.
    pub(super) fn head(&self, context: &Context) -> Result<Option<LogHead>, Failure> {
        let Some(place) = &self.checkpoint else { return Ok(None) };
        Ok(Some(head_at(place, &context.config()?)?))
    }

    /// Chooses the number, and notes beside the keys that it is given.
    pub(super) fn choose(
        &self,
        (identity, last): (&LogIdentity, u64),
        directory: &Path,
        context: &Context,
    ) -> Result<NewIncarnation, Failure> {
        let config = context.config().ok();
        let beside = LivesBeside::of(identity, directory, config.as_ref());
        let data_key = config.as_ref().and_then(data_key);
        let mut known = beside.known(data_key.as_ref()).map_err(Failure::blame)?;
        if let Some(head) = self.head(context)? {
            known.take(head);
        }
        let greatest = known.greatest.max(last);
        let number = match self.incarnation {
            Some(given) if given <= greatest => {
                return Err(Failure::input(anyhow!(
                    "the log has had an incarnation {greatest} already; use a greater number"
                )));
            }
            given => given.unwrap_or(greatest.saturating_add(1)),
        };
        beside.take(number).map_err(Failure::blame)?;
        Ok(NewIncarnation { number, before: known.head })
    }
}

/// How far the log had come when a checkpoint was signed.
fn head_at(place: &Path, config: &Config) -> Result<LogHead, Failure> {
    let text = std::fs::read_to_string(place)
        .with_context(|| format!("cannot read {}", place.display()))
        .map_err(Failure::input)?;
    let token = text.trim().trim_matches('"');
    let ring = read_keys(config, &SystemEntropy).map_err(Failure::blame)?;
    let keys = VerifyingKeys::from_json(ring.jwks().text.as_bytes()).map_err(Failure::ours)?;
    let refused = || {
        let place = place.display();
        Failure::input(anyhow!("{place} is not a checkpoint that this gateway has signed"))
    };
    let (audience, aliases) = (audience(token).ok_or_else(refused)?, config.issuer_aliases());
    // It may be of before the gateway was called what it is now.
    let names = std::iter::once(config.issuer_text()).chain(aliases.iter().map(String::as_str));
    let read = |issuer| {
        let (issuer_keys, audience) = (&keys, audience.as_str());
        let (now, leeway) = (SystemClock.now(), BundleTrust::LEEWAY);
        CheckpointReader { issuer_keys, issuer, audience, now, leeway }.read(token).ok()
    };
    let checkpoint = names.into_iter().find_map(read).ok_or_else(refused)?;
    let Some(tree) = checkpoint.tree else {
        let place = place.display();
        return Err(Failure::input(anyhow!("{place} is of before there was a tree over the log")));
    };
    // It has every event up to the last leaf, and says which of them its consumer was to know of.
    let position = tree.first.saturating_add(tree.tree.size).saturating_sub(1);
    let (incarnation, tree) = (checkpoint.incarnation, Some(tree));
    Ok(LogHead { incarnation, position, event: None, tree })
}

/// Whom a JWS is for, as it says itself.
fn audience(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("aud")?.as_str()?.to_owned())
}

/// The number of the incarnation that a log is.
pub(super) fn last_number(log: &StoredLog) -> Result<u64, Failure> {
    let kept = log.incarnations().map_err(Failure::blame)?;
    Ok(kept.last().map_or(1, |kept| kept.incarnation.number))
}

/// Whether the log is an incarnation that no gateway has run on yet.
pub(super) fn is_untold(log: &StoredLog) -> Result<bool, Failure> {
    let kept = log.incarnations().map_err(Failure::blame)?;
    Ok(kept.last().is_some_and(|kept| kept.token.is_none()))
}

/// The data key of a gateway, where its key directory is there and can be read.
pub(super) fn data_key(config: &Config) -> Option<DataKey> {
    let ring = config.keys.directory.is_dir().then(|| read_keys(config, &SystemEntropy).ok());
    ring.flatten().and_then(|ring| ring.present_data_key().ok()).flatten()
}
