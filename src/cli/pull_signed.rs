//! `sealway subscriptions pull --receipt-key`: polls, and signs for what was written.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::token_keys::{Parties, TokenKeys};
use crate::cli::{Client, Exit, Failure, Output};
use crate::keys::{SigningKey, read_receipt_key};
use crate::seal::{Opened, open, sign_receipt};

/// Events in one poll, and so in one acknowledgement.
const MOST: usize = 100;

/// With which keys to open and to sign.
#[derive(Debug, clap::Args)]
pub struct SigningArgs {
    /// Acknowledge with receipts, signed with this private key, a JWK: `sealway consumer-key --receipts` makes one
    #[arg(long, value_name = "FILE", requires_all = ["key", "jwks", "issuer", "audience"],
        conflicts_with_all = ["keep", "after"])]
    receipt_key: Option<PathBuf>,
    /// The consumer's private key, a JWK or a JWK Set, which opens what is signed for
    #[arg(long, value_name = "FILE", requires = "receipt_key")]
    key: Option<PathBuf>,
    /// The gateway's public keys, a JWK or a JWK Set
    #[arg(long, value_name = "FILE|URL", requires = "receipt_key")]
    jwks: Option<String>,
    /// The only issuer to believe; again for each name that it had before
    #[arg(long, value_name = "URL", requires = "receipt_key")]
    issuer: Vec<String>,
    /// The consumer's own name, as in the claim `aud`
    #[arg(long, value_name = "NAME", requires = "receipt_key")]
    audience: Option<String>,
}

/// Opens tokens and signs for them.
pub struct ReceiptSigner {
    pen: SigningKey,
    parties: Parties,
    keys: TokenKeys,
}

/// What was asked for.
#[derive(Clone, Copy)]
pub struct SignedPull<'a> {
    /// The path of the polls.
    pub path: &'a str,
    /// The most events.
    pub most: usize,
    /// Whether to wait for more.
    pub follow: bool,
}

impl SigningArgs {
    /// Reads the keys; nothing where no receipts are asked for.
    ///
    /// # Errors
    ///
    /// The caller's turn: a file or an address cannot be read, or holds no keys.
    pub async fn signer(&self) -> Result<Option<ReceiptSigner>, Failure> {
        let (Some(pen), Some(key), Some(jwks), Some(audience)) =
            (&self.receipt_key, &self.key, &self.jwks, &self.audience)
        else {
            return Ok(None);
        };
        let place = pen.display();
        let bytes = std::fs::read(pen).with_context(|| format!("cannot read {place}"));
        let pen = read_receipt_key(&bytes.map_err(Failure::input)?);
        let pen = pen.with_context(|| format!("cannot use {place}")).map_err(Failure::input)?;
        let parties = Parties {
            key: key.clone(),
            jwks: jwks.clone(),
            issuer: self.issuer.clone(),
            audience: audience.clone(),
        };
        let keys = parties.keys().await?;
        Ok(Some(ReceiptSigner { pen, parties, keys }))
    }
}

impl ReceiptSigner {
    /// Writes events as they come, and acknowledges each poll with the next.
    pub async fn pull(
        &self,
        (client, output): (&Client, Output),
        wanted: SignedPull<'_>,
    ) -> Result<Exit, Failure> {
        let mut left = wanted.most;
        let mut signed = Map::new();
        loop {
            let most = left.min(MOST);
            let ids: Vec<&String> = signed.keys().collect();
            let body = json!({
                "maxEvents": most, "returnImmediately": !wanted.follow, "ack": ids, "receipts": signed,
            });
            let request = client.request(Method::POST, wanted.path)?.json(&body);
            let answer = client.read(request).await?;
            let sets = answer.get("sets").and_then(Value::as_object).cloned().unwrap_or_default();
            signed = self.write(output, &sets)?;
            left = left.saturating_sub(signed.len());
            let is_last = signed.is_empty() && !wanted.follow;
            if is_last || (left == 0 && signed.is_empty()) {
                return Ok(Exit::Done);
            }
        }
    }

    /// Writes what was polled, and signs for it once it is written.
    fn write(
        &self,
        output: Output,
        sets: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut signed = Map::new();
        for (id, token) in sets {
            let token = token.as_str().unwrap_or_default();
            let opened = self.open(token).ok_or_else(|| {
                let what =
                    "does not open with these keys; neither it nor what came with it is signed for";
                Failure::input(anyhow!("event {id} {what}"))
            })?;
            let line = if output.is_json() {
                let sequence = opened.place().map(|place| place.sequence);
                json!({ "id": id, "sequence": sequence, "token": token }).to_string()
            } else {
                token.to_owned()
            };
            output.must_line(line).map_err(Failure::unwritten)?;
            let receipt = sign_receipt(token, &opened, (&self.pen, SystemClock.now()));
            signed.insert(id.clone(), receipt.map_err(Failure::ours)?.into());
        }
        Ok(signed)
    }

    fn open(&self, token: &str) -> Option<Opened> {
        let now = SystemClock.now();
        self.parties.openings(&self.keys, now).find_map(|opening| open(token, &opening).ok())
    }
}
