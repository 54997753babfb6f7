//! Under which names a gateway has signed what its log holds, so that another name is told and not taken in
//! silence.

use serde::{Deserialize, Serialize};

use crate::event::{Blame, Fault, Timestamp};
use crate::eventlog::{LogError, RecordKey, Registry, Revision};

const KIND: &str = "issuer";
const ID: &str = "gateway";

/// The name that a gateway will have.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NextIssuer {
    /// The `iss` of its tokens from then on.
    pub issuer: String,
    /// From when on.
    pub at: Timestamp,
}

/// The names of a gateway as its log knows them, without a `/` at their ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogIssuer {
    /// The `iss` that it signs under.
    pub current: String,
    /// The first one: others know the tree over the log by it, and it stays.
    pub began: String,
    /// Those that it had before, oldest first.
    #[serde(default)]
    pub former: Vec<String>,
    /// The one that consumers are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextIssuer>,
}

/// The settings name another issuer than the log was signed under, and no alias for it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the issuer is {to}, and what this gateway has signed so far is of {from}: consumers refuse every push \
     of an issuer that they do not know, and receipts that they have signed to {from} do not count any more; \
     add {from} to `issuer-aliases`, and tell consumers ahead with `sealway issuer move`"
)]
pub struct OtherIssuer {
    from: String,
    to: String,
}

/// Why the names of a gateway cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum LogIssuerError {
    /// The registry failed.
    #[error("cannot read or keep the gateway's names in the log")]
    Registry(#[source] LogError),
    /// The document holds something else.
    #[error("the log names the gateway in a way that this sealway does not know")]
    Damaged(#[source] serde_json::Error),
    /// The names do not fit.
    #[error(transparent)]
    Other(#[from] OtherIssuer),
    /// Nobody has signed anything yet.
    #[error("no gateway has run on this log yet: set `issuer`, and start it")]
    Unsigned,
    /// It is called so already.
    #[error("the gateway is called {0} already")]
    Same(String),
}

impl Blame for LogIssuerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Damaged(_) => Fault::Ours,
            Self::Other(_) | Self::Unsigned | Self::Same(_) => Fault::Caller,
        }
    }
}

impl LogIssuer {
    /// Reads the names that a log knows; nothing where no gateway has said so.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn read(registry: &dyn Registry) -> Result<Option<Self>, LogIssuerError> {
        Ok(Self::read_with_revision(registry).await?.map(|(names, _)| names))
    }

    async fn read_with_revision(
        registry: &dyn Registry,
    ) -> Result<Option<(Self, Revision)>, LogIssuerError> {
        let found = registry.get(&key()).await.map_err(LogIssuerError::Registry)?;
        let Some(record) = found else { return Ok(None) };
        let names = serde_json::from_str(&record.body).map_err(LogIssuerError::Damaged)?;
        Ok(Some((names, record.revision)))
    }

    /// Holds the names of the settings against those of the log.
    ///
    /// # Errors
    ///
    /// The operator's turn: the issuer is another, and the one that was signed under is no alias.
    pub fn check(&self, issuer: &str, aliases: &[String]) -> Result<(), OtherIssuer> {
        if self.current == issuer || aliases.contains(&self.current) {
            return Ok(());
        }
        Err(OtherIssuer { from: self.current.clone(), to: issuer.to_owned() })
    }

    /// Those that it had before and that are no aliases in the settings: receipts to them do not count.
    pub fn forgotten(&self, issuer: &str, aliases: &[String]) -> Vec<String> {
        let is_known = |name: &&String| **name == issuer || aliases.contains(name);
        self.former.iter().filter(|name| !is_known(name)).cloned().collect()
    }

    /// Has the log know the name of the settings, which a gateway signs under from now on.
    ///
    /// # Errors
    ///
    /// The operator's turn: the issuer is another, without an alias. Ours: the registry failed.
    pub async fn take_up(
        registry: &dyn Registry,
        issuer: &str,
        aliases: &[String],
    ) -> Result<Self, LogIssuerError> {
        let (known, revision) = Self::read_with_revision(registry).await?.unzip();
        let mut names = known.clone().unwrap_or_else(|| Self::first(issuer));
        names.check(issuer, aliases)?;
        if names.current != issuer {
            names.former.retain(|name| *name != names.current && name != issuer);
            names.former.push(std::mem::replace(&mut names.current, issuer.to_owned()));
            names.next = names.next.filter(|next| next.issuer != issuer);
        }
        if known.as_ref() != Some(&names) {
            names.keep(registry, revision).await?;
        }
        Ok(names)
    }

    /// Has consumers be told of another name from now on, or of none.
    ///
    /// # Errors
    ///
    /// The operator's turn: nothing was signed yet, or it is called so already. Ours: the registry failed.
    pub async fn announce(
        registry: &dyn Registry,
        next: Option<NextIssuer>,
    ) -> Result<Self, LogIssuerError> {
        let found = Self::read_with_revision(registry).await?;
        let (mut names, revision) = found.ok_or(LogIssuerError::Unsigned)?;
        if next.as_ref().is_some_and(|next| next.issuer == names.current) {
            return Err(LogIssuerError::Same(names.current));
        }
        names.next = next;
        names.keep(registry, Some(revision)).await?;
        Ok(names)
    }

    fn first(issuer: &str) -> Self {
        let (current, began) = (issuer.to_owned(), issuer.to_owned());
        Self { current, began, former: Vec::new(), next: None }
    }

    /// Writes it, unless somebody else has since it was read.
    async fn keep(
        &self,
        registry: &dyn Registry,
        expected: Option<Revision>,
    ) -> Result<(), LogIssuerError> {
        let body = serde_json::to_string(self).map_err(LogIssuerError::Damaged)?;
        registry.put(&key(), expected, body).await.map_err(LogIssuerError::Registry)?;
        Ok(())
    }
}

fn key() -> RecordKey {
    RecordKey { kind: KIND, id: ID.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "https://events.example.com";
    const NEW: &str = "https://events.example.org";

    #[test]
    fn another_name_needs_an_alias_for_the_one_that_was_signed_under() {
        let names = LogIssuer::first(OLD);

        assert!(names.check(OLD, &[]).is_ok());
        assert!(names.check(NEW, &[OLD.to_owned()]).is_ok());
        let refused = names.check(NEW, &[]).unwrap_err().to_string();
        for word in [OLD, NEW, "refuse every push", "receipts", "issuer-aliases"] {
            assert!(refused.contains(word), "{refused}");
        }
        let moved = LogIssuer { current: NEW.to_owned(), former: vec![OLD.to_owned()], ..names };
        assert_eq!(moved.forgotten(NEW, &[]), [OLD]);
        assert!(moved.forgotten(NEW, &[OLD.to_owned()]).is_empty());
    }
}
