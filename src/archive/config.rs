//! The settings of this room.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use url::Url;

use crate::ambient::HumanDuration;
use crate::event::SubscriptionId;

/// Bundles of evidence.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Where and how often bundles are written by themselves; null: never.
    pub export: Option<ExportConfig>,
}

/// Bundles that are written by themselves, each chained to the one before.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExportConfig {
    /// Where they are put: a folder, or `s3://bucket/prefix`.
    pub to: ExportTarget,
    /// How often, 1s to 30days.
    #[serde(default = "every")]
    #[schemars(extend("x-range" = ["1s", "30days"]))]
    pub every: HumanDuration,
    /// Of which subscriptions: `all`, or a list of them. Those with a shared secret have no evidence.
    #[serde(default)]
    pub subscriptions: ExportedSubscriptions,
    /// How long an event that is old enough to be dropped waits for its bundle while bundles cannot be
    /// written. It waits no longer than the disk, and `log.retention.size`, have room.
    #[serde(default = "hold")]
    #[schemars(extend("x-range" = ["0s", "3650days"]))]
    pub hold: HumanDuration,
    /// The region of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of the service that has the bucket; absent: `aws.endpoint-url` or Amazon's own in the
    /// region. It is dialed under `delivery.egress`, as every other address.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<Url>,
}

fn every() -> HumanDuration {
    HumanDuration(Duration::from_hours(24))
}

fn hold() -> HumanDuration {
    HumanDuration(Duration::from_hours(7 * 24))
}

impl ExportConfig {
    /// What is wrong with the settings: which one, and why; nothing if they can be used.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let often = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
        if !often.contains(&self.every.0) {
            return Some(("every", "use 1s to 30days".to_owned()));
        }
        match (&self.to, &self.region) {
            (ExportTarget::Bucket { .. }, _) if cfg!(not(feature = "aws")) => {
                Some(("to", crate::aws::WITHOUT_AWS.to_owned()))
            }
            (ExportTarget::Bucket { .. }, None) => {
                Some(("region", "say in which region the bucket is".to_owned()))
            }
            (ExportTarget::Bucket { .. }, Some(region)) if !is_region(region) => {
                Some(("region", format!("`{region}` is the name of no region")))
            }
            (ExportTarget::Bucket { .. }, Some(_)) => {
                let problem = self.endpoint_url.as_ref().and_then(endpoint_problem)?;
                Some(("endpoint-url", problem.to_owned()))
            }
            (ExportTarget::Folder(_), None) if self.endpoint_url.is_none() => None,
            (ExportTarget::Folder(_), _) => {
                Some(("to", "a folder has neither a region nor an endpoint".to_owned()))
            }
        }
    }
}

/// The region stands in the host's name, so that it may be nothing else.
fn is_region(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(is_plain)
}

fn endpoint_problem(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Some("use an http or https address with a host");
    }
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_plain = !has_credentials && url.query().is_none() && url.fragment().is_none();
    (!is_plain || url.path() != "/")
        .then_some("leave user name, password, path, query and fragment out of the address")
}

/// Where bundles are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportTarget {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, and what the names of its objects begin with: empty, or with a `/` at its end.
    Bucket {
        /// Its name.
        name: String,
        /// The beginning of the names.
        prefix: String,
    },
}

impl ExportTarget {
    /// Makes the path of a folder relative to a directory.
    pub fn relative_to(&mut self, directory: &Path) {
        if let Self::Folder(path) = self {
            *path = directory.join(&*path);
        }
    }
}

/// A text that is no place for bundles.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a folder or s3://bucket/prefix, where a bucket has 3 to 63 of a-z, 0-9, `-` and `.`, and a \
     prefix letters, digits, `-`, `_`, `.` and `/`"
)]
pub struct ExportTargetError;

impl FromStr for ExportTarget {
    type Err = ExportTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("s3://") else {
            let is_path = !text.is_empty() && !text.contains("://");
            return if is_path { Ok(Self::Folder(text.into())) } else { Err(ExportTargetError) };
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let in_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        let in_prefix = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let prefix = prefix.trim_end_matches('/');
        let steps = prefix.split('/').filter(|_| !prefix.is_empty());
        let is_good = (3..=63).contains(&name.len())
            && name.chars().all(in_name)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && prefix.len() <= 512
            && prefix.chars().all(in_prefix)
            && !steps.into_iter().any(|step| matches!(step, "" | "." | ".."));
        if !is_good {
            return Err(ExportTargetError);
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self::Bucket { name: name.to_owned(), prefix })
    }
}

impl fmt::Display for ExportTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

impl<'de> Deserialize<'de> for ExportTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for ExportTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ExportTarget {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExportTarget".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1,
            "description": "A folder, or `s3://bucket/prefix`.",
        })
    }
}

/// Of which subscriptions bundles are written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum ExportedSubscriptions {
    /// Of these.
    These(#[schemars(with = "Vec<String>")] Vec<SubscriptionId>),
    /// Of every one.
    All(EverySubscription),
    /// The same, where nothing is said.
    #[default]
    #[serde(skip)]
    Unsaid,
}

/// The word for every subscription.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EverySubscription {
    /// `all`.
    All,
}

impl ExportedSubscriptions {
    /// Whether bundles of a subscription are wanted.
    pub fn wants(&self, subscription: &SubscriptionId) -> bool {
        match self {
            Self::These(these) => these.contains(subscription),
            Self::All(_) | Self::Unsaid => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<ExportConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let bucket = |name: &str, prefix: &str| ExportTarget::Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, place) in [
            ("../evidence", ExportTarget::Folder("../evidence".into())),
            ("s3://proofs", bucket("proofs", "")),
            ("s3://proofs/", bucket("proofs", "")),
            ("s3://proofs/a/b-1/", bucket("proofs", "a/b-1/")),
        ] {
            assert_eq!(text.parse::<ExportTarget>().unwrap(), place, "{text}");
        }
        for text in [
            "",
            "http://x/y",
            "s3://",
            "s3://Ab",
            "s3://proofs/../x",
            "s3://proofs/a//b",
            "s3://proofs/a?b",
        ] {
            assert!(text.parse::<ExportTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_said_is_each_subscription_once_a_day() {
        let config = read(r#"{"to": "evidence"}"#).unwrap();

        assert_eq!(config.every.0, Duration::from_hours(24));
        assert!(config.subscriptions.wants(&"shop".parse().unwrap()));
        assert_eq!(config.problem(), None);
        let these = read(r#"{"to": "evidence", "subscriptions": ["shop"]}"#).unwrap();
        assert!(!these.subscriptions.wants(&"other".parse().unwrap()));
        let all = read(r#"{"to": "evidence", "subscriptions": "all"}"#).unwrap();
        assert!(all.subscriptions.wants(&"other".parse().unwrap()));
        assert!(read(r#"{"to": "evidence", "subscriptions": "some"}"#).is_err());
    }

    #[test]
    fn a_bucket_has_a_region_and_a_folder_has_none() {
        let setting = |text: &str| read(text).unwrap().problem().map(|(setting, _)| setting);

        assert_eq!(setting(r#"{"to": "x", "every": "10ms"}"#), Some("every"));
        assert_eq!(setting(r#"{"to": "x", "region": "eu-west-1"}"#), Some("to"));
        #[cfg(feature = "aws")]
        {
            assert_eq!(setting(r#"{"to": "s3://proofs"}"#), Some("region"));
            let evil = r#"{"to": "s3://proofs", "region": "x.example.com/"}"#;
            assert_eq!(setting(evil), Some("region"));
            let at = |url: &str| {
                let text = format!(
                    r#"{{"to": "s3://proofs", "region": "eu-west-1", "endpoint-url": "{url}"}}"#
                );
                read(&text).unwrap().problem().map(|(setting, _)| setting)
            };
            assert_eq!(at("http://127.0.0.1:9000"), None);
            assert_eq!(at("http://127.0.0.1:9000/path"), Some("endpoint-url"));
            assert_eq!(at("https://me:secret@example.com"), Some("endpoint-url"));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_shown_as_the_same(text in "(s3://)?[a-z0-9./?:-]{0,40}") {
            if let Ok(place) = text.parse::<ExportTarget>() {
                prop_assert_eq!(place.to_string().parse::<ExportTarget>().unwrap(), place);
            }
        }
    }
}
