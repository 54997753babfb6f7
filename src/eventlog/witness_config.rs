//! The settings of witnesses: who is asked to cosign the tree over the log.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::transparency::WitnessKey;

/// A witness that is asked to cosign the tree over the log (C2SP tlog-witness).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WitnessConfig {
    /// Its address, an http or https URL: `add-checkpoint` is put behind it. It is dialed through the guard
    /// of `delivery.egress`.
    #[schemars(with = "String")]
    pub url: Url,
    /// Its public key, as its operator tells it: `name+id+key`, of the type 4 (cosignatures by Ed25519).
    #[schemars(with = "String")]
    pub key: WitnessKey,
}

impl WitnessConfig {
    /// How many there may be.
    pub const MOST: usize = 16;
    /// How often they may be asked.
    pub const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

    /// What is wrong with all witnesses together, if anything.
    pub fn problem(all: &[Self]) -> Option<String> {
        if all.len() > Self::MOST {
            return Some(format!("use {} witnesses at the most", Self::MOST));
        }
        let mut keys = BTreeSet::new();
        all.iter().find_map(|one| {
            one.own_problem().or_else(|| {
                let is_new = keys.insert(one.key.to_string());
                (!is_new).then(|| format!("the witness {} is there twice", one.key.name()))
            })
        })
    }

    fn own_problem(&self) -> Option<String> {
        let url = &self.url;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let name = self.key.name();
        (!is_plain).then(|| {
            format!("the url of witness {name} is an http or https address without credentials, query and fragment")
        })
    }
}
