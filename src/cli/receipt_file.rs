//! The file in which `sealway events put` keeps the gateway's signed answers, one to a line.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::{Client, Failure};
use crate::event::SentDigest;
use crate::keys::VerifyingKeys;
use crate::seal::evidence::BundleTrust;
use crate::seal::{AcceptedFault, AcceptedReader, AcceptedReceipt};

/// Where gateways publish their keys.
const PUBLISHED: &str = "/.well-known/jwks.json";

/// Keeps signed answers, each of which is verified before.
pub struct ReceiptFile {
    place: PathBuf,
    file: File,
    keys: VerifyingKeys,
    /// Whether the keys are those that the gateway publishes, and may become others.
    are_published: bool,
    kept: usize,
}

/// The signature in an answer, and what the answer itself says of each event.
#[derive(Default, Deserialize)]
struct SignedReply {
    receipt: Option<String>,
    #[serde(default)]
    events: Vec<RepliedEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepliedEvent {
    #[serde(default)]
    event_ids: Vec<String>,
}

impl ReceiptFile {
    /// Opens a file, to which is added, or makes it for its owner alone.
    ///
    /// # Errors
    ///
    /// The caller's turn: the file cannot be written, or the keys cannot be used. Ours: the gateway does not
    /// tell its keys.
    pub async fn open(place: &Path, jwks: Option<&Path>, client: &Client) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(place);
        let file = file.with_context(|| format!("cannot write {}", place.display()));
        let file = file.map_err(Failure::input)?;
        let keys = match jwks {
            Some(jwks) => keys_of(jwks)?,
            None => published(client).await?,
        };
        let are_published = jwks.is_none();
        Ok(Self { place: place.to_owned(), file, keys, are_published, kept: 0 })
    }

    /// Verifies the signature in an answer to a batch of entries, or to the one body that they make, and keeps
    /// it.
    ///
    /// # Errors
    ///
    /// Ours: the answer has none, or one that is not the gateway's word on what was sent.
    pub async fn keep(
        &mut self,
        answer: &str,
        (entries, body): (&[&str], &str),
        client: &Client,
    ) -> Result<(), Failure> {
        let answered: SignedReply = serde_json::from_str(answer).unwrap_or_default();
        let Some(token) = answered.receipt else {
            return Err(Failure::ours(anyhow!(
                "the gateway gave no signed answer; what it has taken is recognized when it is sent again"
            )));
        };
        let receipt = self.read(&token, client).await.map_err(|fault| wrong(&fault.to_string()))?;
        let sent: Vec<SentDigest> = receipt.entries.iter().map(|entry| entry.sent).collect();
        let expected: Vec<SentDigest> =
            entries.iter().map(|entry| SentDigest::of(entry.trim().as_bytes())).collect();
        if sent != expected && sent != [SentDigest::of(body.as_bytes())] {
            return Err(wrong("it is for other entries than were sent"));
        }
        if !names_the_same(&answered.events, &receipt) {
            return Err(wrong("it names other events than the answer around it"));
        }
        let written = self.file.write_all(format!("{token}\n").as_bytes());
        let written = written.with_context(|| format!("cannot write {}", self.place.display()));
        written.map_err(Failure::ours)?;
        self.kept += 1;
        Ok(())
    }

    /// Reads a signature; a key that is not known may have begun to sign since.
    async fn read(
        &mut self,
        token: &str,
        client: &Client,
    ) -> Result<AcceptedReceipt, AcceptedFault> {
        let read = |keys: &VerifyingKeys| {
            let now = SystemClock.now();
            let leeway = BundleTrust::LEEWAY;
            AcceptedReader { issuer_keys: keys, issuers: &[], now, leeway }.read(token)
        };
        match read(&self.keys) {
            Err(AcceptedFault::MissingKey(_)) if self.are_published => {
                if let Ok(keys) = published(client).await {
                    self.keys = keys;
                }
                read(&self.keys)
            }
            read => read,
        }
    }

    /// Makes durable what was kept, and says how many answers and where.
    ///
    /// # Errors
    ///
    /// Ours: the disk failed.
    pub fn finish(self) -> Result<(usize, PathBuf), Failure> {
        let synced = self.file.sync_all();
        synced
            .with_context(|| format!("cannot write {}", self.place.display()))
            .map_err(Failure::ours)?;
        Ok((self.kept, self.place))
    }
}

/// Reads public keys from a file.
///
/// # Errors
///
/// The caller's turn: the file cannot be read, or holds no keys.
pub fn keys_of(jwks: &Path) -> Result<VerifyingKeys, Failure> {
    let read = std::fs::read(jwks).with_context(|| format!("cannot read {}", jwks.display()));
    VerifyingKeys::from_json(&read.map_err(Failure::input)?)
        .map_err(|error| Failure::input(error).context(format!("cannot use {}", jwks.display())))
}

/// Asks a gateway for its keys.
///
/// # Errors
///
/// Ours: it does not tell them.
pub async fn published(client: &Client) -> Result<VerifyingKeys, Failure> {
    let jwks = client.get(PUBLISHED).await?.to_string();
    VerifyingKeys::from_json(jwks.as_bytes())
        .map_err(|error| Failure::ours(error).context("cannot use the gateway's keys"))
}

fn wrong(problem: &str) -> Failure {
    Failure::ours(anyhow!("the gateway's signed answer is not to be believed: {problem}"))
}

/// Whether a signature names the events of the answer that it stands in. An answer to a body that was refused
/// as a whole names none.
fn names_the_same(answered: &[RepliedEvent], receipt: &AcceptedReceipt) -> bool {
    let told: BTreeSet<&str> =
        answered.iter().flat_map(|one| one.event_ids.iter().map(String::as_str)).collect();
    let signed: BTreeSet<String> = receipt
        .entries
        .iter()
        .flat_map(|entry| entry.events.iter().map(|event| event.id.to_string()))
        .collect();
    told.into_iter().eq(signed.iter().map(String::as_str))
}
