//! The settings of this room.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::{HumanDuration, SecretReference};
use crate::keys::{Lifecycle, SigningAlgorithm};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Signing keys.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The directory of the key files; private to the user that runs the gateway.
    pub directory: PathBuf,
    /// Where the passphrase that encrypts the key files is kept; without one they are plain.
    pub passphrase: Option<SecretReference>,
    /// Where the passphrase of an earlier time is kept, while files are still encrypted under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_passphrase: Option<SecretReference>,
    /// Signing algorithms that subscriptions may ask for, the first for those that ask for none:
    /// ES256, EdDSA, PS256, RS256. Each has keys of its own.
    pub algorithms: Vec<SigningAlgorithm>,
    /// How long a new key is in the public key set before it signs; at least an hour, so that no
    /// consumer's cached copy lacks it.
    #[schemars(extend("x-range" = ["1h", "365days"]))]
    pub publish_ahead: HumanDuration,
    /// How long a key signs.
    #[schemars(extend("x-range" = ["2h", "3650days"]))]
    pub rotate_every: HumanDuration,
    /// How long a token is valid: from its `iat` to its `exp`.
    #[schemars(extend("x-range" = ["2h", "365days"]))]
    pub token_lifetime: HumanDuration,
    /// How long a key stays in the public key set after the last token it signed has expired.
    #[schemars(extend("x-range" = ["0s", "3650days"]))]
    pub keep_after_expiry: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("../keys"),
            passphrase: None,
            former_passphrase: None,
            algorithms: vec![SigningAlgorithm::default()],
            publish_ahead: HumanDuration(DAY),
            rotate_every: HumanDuration(DAY * 90),
            token_lifetime: HumanDuration(DAY),
            keep_after_expiry: HumanDuration(DAY),
        }
    }
}

/// A setting of this room that does not make sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`keys.{setting}` {problem}")]
pub struct KeysConfigError {
    /// The name of the setting below `keys`.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Config {
    /// Checks what the types of the settings cannot.
    ///
    /// # Errors
    ///
    /// The caller's turn: the first setting that does not make sense.
    pub fn check(&self) -> Result<(), KeysConfigError> {
        let refuse = |setting, problem| Err(KeysConfigError { setting, problem });
        if self.algorithms.is_empty() {
            return refuse("algorithms", "is empty: name at least one, for example ES256");
        }
        if self.algorithms.contains(&SigningAlgorithm::HS256) {
            let problem = "names HS256, which signs under each consumer's own shared secret and \
                           needs no key here: leave it out";
            return refuse("algorithms", problem);
        }
        let repeated = |(at, algorithm)| self.algorithms.iter().take(at).any(|a| a == algorithm);
        if self.algorithms.iter().enumerate().any(repeated) {
            return refuse("algorithms", "names one algorithm twice");
        }
        if self.publish_ahead.0 < HOUR {
            return refuse("publish-ahead", "is under 1h: consumers' caches would miss the key");
        }
        // What was sealed may wait an hour in memory before it is sent.
        if self.token_lifetime.0 < HOUR * 2 {
            return refuse("token-lifetime", "is under 2h: tokens would expire on their way");
        }
        if self.rotate_every.0 < self.publish_ahead.0.saturating_mul(2) {
            let problem = "is under twice `keys.publish-ahead`: keys would pile up";
            return refuse("rotate-every", problem);
        }
        Ok(())
    }

    /// The rules that these settings make.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle {
            algorithms: self.algorithms.clone(),
            publish_ahead: self.publish_ahead.0,
            rotate_every: self.rotate_every.0,
            token_lifetime: self.token_lifetime.0,
            keep_after_expiry: self.keep_after_expiry.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().setting
        };

        assert_eq!(refused(|c| c.algorithms.clear()), "algorithms");
        assert_eq!(refused(|c| c.algorithms.push(SigningAlgorithm::HS256)), "algorithms");
        assert_eq!(refused(|c| c.algorithms.push(SigningAlgorithm::ES256)), "algorithms");
        assert_eq!(refused(|c| c.publish_ahead = HumanDuration(Duration::ZERO)), "publish-ahead");
        assert_eq!(refused(|c| c.token_lifetime = HumanDuration(HOUR)), "token-lifetime");
        assert_eq!(refused(|c| c.rotate_every = HumanDuration(DAY)), "rotate-every");
    }
}
