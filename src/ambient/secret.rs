//! Secrets: where they are kept, and how they are held.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

/// Where a secret is kept. A settings file names the place and never holds the secret itself.
///
/// Written `{ file: path }` or `{ env: NAME }`; the room `config` reads it.
#[derive(Clone, Debug, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretReference {
    /// The whole content of a file, without a newline at its end.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

/// What is told of anything else: a value in this place may be a secret, so it is never repeated.
const EXPECTED: &str = "the place of a secret belongs here, and never the secret itself: write \
                        `{ file: PATH }` or `{ env: NAME }`";

impl<'de> Deserialize<'de> for SecretReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, deny_unknown_fields)]
        enum Written {
            File { file: PathBuf },
            Env { env: String },
            Other(IgnoredAny),
        }
        match Written::deserialize(deserializer)? {
            Written::File { file } => Ok(Self::File(file)),
            Written::Env { env } => Ok(Self::Env(env)),
            Written::Other(IgnoredAny) => Err(D::Error::custom(EXPECTED)),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// A secret in memory: wiped when dropped, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Shows the secret to the code that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_anything_else_is_refused_without_repeating_it() {
        for place in [SecretReference::File("a".into()), SecretReference::Env("A".into())] {
            let written = serde_json::to_value(&place).unwrap();
            assert_eq!(serde_json::from_value::<SecretReference>(written).unwrap(), place);
        }
        for wrong in [
            json!("hunter2"),
            json!(4815),
            json!(["hunter2"]),
            json!({"hunter2": null}),
            json!({"file": ["hunter2"]}),
            json!({"file": "hunter2", "env": "hunter2"}),
            json!(null),
        ] {
            let told = serde_json::from_value::<SecretReference>(wrong).unwrap_err().to_string();
            assert_eq!(told, EXPECTED);
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(…)");
    }
}
