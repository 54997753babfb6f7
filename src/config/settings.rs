//! The settings of a whole gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::ambient::Size;
use crate::api;
use crate::deliver;
use crate::keys;
use crate::replay;
use crate::source;
use crate::telemetry;

/// The settings of one gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The gateway's own name and public address: `iss` of every token, and where consumers find
    /// its keys.
    #[schemars(with = "String")]
    pub issuer: Url,
    /// The address and port of the API.
    pub listen: SocketAddr,
    /// Where the log and everything else that must survive is kept.
    pub data_dir: PathBuf,
    /// The directory of publication files.
    pub publications: PathBuf,
    /// The directory of subscription files.
    pub subscriptions: PathBuf,
    /// The directory of AsyncAPI documents.
    pub contracts: PathBuf,
    /// The largest event that may cross, in bytes of its canonical content.
    pub largest_event: Size,
    /// The ways in: the embedded bus, its access keys, and their limits.
    pub source: source::Config,
    /// Signing keys, and where consumers' keys are fetched from.
    pub keys: keys::Config,
    /// How events are delivered.
    pub delivery: deliver::Config,
    /// How replays are delivered.
    pub replay: replay::Config,
    /// The HTTP API.
    pub api: api::Config,
    /// The log lines of the process.
    pub logging: telemetry::Config,
    /// The directory that the file is in, which its relative paths start from.
    #[serde(skip)]
    pub directory: PathBuf,
}

impl Default for Config {
    /// A gateway on the loopback address, beside the directories of this repository.
    #[expect(clippy::expect_used, reason = "the text is a URL; a test reads it")]
    fn default() -> Self {
        Self {
            issuer: "http://127.0.0.1:8080".parse().expect("a URL"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: "../data".into(),
            publications: "publications".into(),
            subscriptions: "subscriptions".into(),
            contracts: "../asyncapi".into(),
            largest_event: Size(64 * 1024),
            source: source::Config::default(),
            keys: keys::Config { directory: "../keys".into(), ..keys::Config::default() },
            delivery: deliver::Config::default(),
            replay: replay::Config::default(),
            api: api::Config::default(),
            logging: telemetry::Config::default(),
            directory: PathBuf::new(),
        }
    }
}

impl Config {
    /// Makes every relative path of the file relative to the directory that the file is in.
    pub(super) fn relative_to(mut self, directory: &std::path::Path) -> Self {
        let paths = [
            &mut self.data_dir,
            &mut self.publications,
            &mut self.subscriptions,
            &mut self.contracts,
            &mut self.keys.directory,
        ];
        for path in paths {
            *path = directory.join(&*path);
        }
        directory.clone_into(&mut self.directory);
        self
    }
}
