//! The seam to the schemas and contracts that events of the log name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::event::{ContentDigest, DigestError, EventId, Timestamp};
use crate::eventlog::LogError;

/// Names a kept text: the SHA-256 of its bytes, in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextDigest([u8; 32]);

impl TextDigest {
    /// The digest of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Takes the bytes of a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the digest.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TextDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<ContentDigest>().map(|digest| Self(digest.to_bytes()))
    }
}

/// A schema that events are about to name, and the contract that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSchema {
    /// Where it is served, below `/schemas/`.
    pub address: Arc<str>,
    /// What events call it: the whole URI.
    pub dataschema: Arc<str>,
    /// The JSON Schema for consumers.
    pub schema: Arc<str>,
    /// What it lets pass, as bytes that are equal exactly where that is; opaque here.
    pub meaning: Arc<[u8]>,
    /// The contract's file, below the contracts folder.
    pub contract_path: Arc<str>,
    /// The contract's own version.
    pub contract_version: Arc<str>,
    /// The contract.
    pub contract: Arc<str>,
}

/// A schema as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSchema {
    /// Where it is served, below `/schemas/`.
    pub address: Arc<str>,
    /// The JSON Schema for consumers.
    pub schema: Arc<str>,
    /// The name of that text.
    pub digest: TextDigest,
    /// What it lets pass.
    pub meaning: Arc<[u8]>,
    /// The contract's file, below the contracts folder.
    pub contract_path: Arc<str>,
    /// The contract's own version.
    pub contract_version: Arc<str>,
    /// The name of the contract's text.
    pub contract: TextDigest,
    /// Since when an event names it; nothing: it may still be replaced.
    pub named: Option<Timestamp>,
    /// The first event that names it; nothing where a gateway of before may have named it.
    pub first_event: Option<EventId>,
}

/// A contract as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptContract {
    /// The AsyncAPI document.
    pub text: Arc<str>,
    /// The name of that text.
    pub digest: TextDigest,
}

/// Which text of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractChoice {
    /// The first one of a version that an event was made of.
    Version(Arc<str>),
    /// The one of this name.
    Digest(TextDigest),
}

/// Keeps each schema that an event of the log names, and the contract it comes from, for ever.
///
/// The append of an event that names a kept schema marks it, in the same transaction: from then on
/// nothing replaces it. Retention drops none.
#[async_trait]
pub trait Schemas: Send + Sync {
    /// Keeps schemas durably, each under its address, all or none. One that is marked stays as it is,
    /// but for its `meaning`, which is the new one's.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn keep_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError>;

    /// Whether events of before may name schemas of which nothing is kept.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn lacks_old_schemas(&self) -> Result<bool, LogError>;

    /// Keeps schemas that events of before may name, and marks them; those whose address is there
    /// already are left out. Nothing is lacking from then on.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn keep_old_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError>;

    /// Reads what is kept under an address.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn schema_at(&self, address: &str) -> Result<Option<KeptSchema>, LogError>;

    /// Reads what events call by this `dataschema`.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn schema_named(&self, dataschema: &str) -> Result<Option<KeptSchema>, LogError>;

    /// Reads a contract by its path and one of its texts.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn kept_contract(
        &self,
        path: &str,
        choice: &ContractChoice,
    ) -> Result<Option<KeptContract>, LogError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_name_that_other_tools_give_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

        assert_eq!(TextDigest::of("").to_string(), empty);
        assert_eq!(empty.parse::<TextDigest>().unwrap(), TextDigest::of(""));
        assert!(empty.replace('e', "").parse::<TextDigest>().is_err());
    }
}
