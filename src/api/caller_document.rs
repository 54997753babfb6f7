//! A caller as the registry keeps it: never a key, only hashes, and until when each is good.

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::api::{Caller, Scope};
use crate::event::{CallerId, Timestamp};

/// The rules by which scopes are given: `publish` names its source, and `operate` reads no data.
const RULES: u8 = 2;

/// The SHA-256 of a key.
pub(super) type KeyHash = [u8; 32];

/// A caller as the registry keeps it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CallerDocument {
    sha256: String,
    scopes: Vec<Scope>,
    /// By which rules the scopes were given; missing in a caller that was made before [`RULES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<u8>,
    /// When the caller was added, once something of it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) added: Option<Timestamp>,
    /// When its credentials end; missing: never by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
    /// The hash of its first key, by which it is known for the same, once it has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// The key that it had before, while that is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<FormerKey>,
}

/// A key that was replaced.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FormerKey {
    sha256: String,
    /// Until when it is good.
    until: Timestamp,
}

impl CallerDocument {
    /// A caller with a key and these scopes, until this moment.
    pub(super) fn new(key: &str, scopes: Vec<Scope>, until: Option<Timestamp>) -> Self {
        let (rules, sha256) = (Some(RULES), hash_text(key));
        Self { sha256, scopes, rules, added: None, until, first: None, former: None }
    }

    /// Whether its scopes allow what they would not if they were given today: `publish` was every source,
    /// and `operate` read data.
    pub(super) fn is_unbound(&self) -> bool {
        let allows_more = |scope: &Scope| matches!(scope, Scope::Publish(_) | Scope::Operate);
        self.rules.is_none() && self.scopes.iter().any(allows_more)
    }

    /// What the caller may do, in the scopes of today.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let mut scopes = self.scopes.clone();
        if self.rules.is_none() && scopes.contains(&Scope::Operate) {
            scopes.push(Scope::ReadData);
        }
        scopes
    }

    /// The same with other scopes.
    pub(super) fn with_scopes(self, scopes: Vec<Scope>) -> Self {
        Self { scopes, rules: Some(RULES), ..self }
    }

    /// The same with another end, or none.
    pub(super) fn with_until(self, until: Option<Timestamp>) -> Self {
        Self { until, ..self }
    }

    /// The same with another key; the present one is good until then, and no other.
    pub(super) fn with_key(self, key: &str, until: Timestamp) -> Self {
        let first = self.first.or_else(|| Some(self.sha256.clone()));
        let former = Some(FormerKey { sha256: self.sha256, until });
        Self { sha256: hash_text(key), first, former, ..self }
    }

    /// Until when the former key is good, if it is.
    pub(super) fn former_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.former.as_ref().map(|former| former.until).filter(|until| *until > now)
    }

    /// The caller under each of its keys, the present one first; none if a hash is none.
    pub(super) fn callers(&self, id: &CallerId) -> Vec<Caller> {
        let present = Some((&self.sha256, self.until, false));
        let former = self.former.as_ref().map(|former| {
            let until = self.until.map_or(former.until, |end| end.min(former.until));
            (&former.sha256, Some(until), true)
        });
        let identity = hash_of(self.first.as_ref().unwrap_or(&self.sha256));
        let caller = |(sha256, until, is_former): (&String, _, _)| {
            Some(Caller {
                key: hash_of(sha256)?,
                identity: identity?,
                is_former,
                until,
                id: id.clone(),
                scopes: self.scopes().into(),
            })
        };
        present.into_iter().chain(former).filter_map(caller).collect()
    }
}

fn hash_text(key: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(key))
}

fn hash_of(text: &String) -> Option<KeyHash> {
    KeyHash::try_from(URL_SAFE_NO_PAD.decode_to_vec(text).ok()?).ok()
}
