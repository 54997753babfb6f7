//! Why a key is refused, and that a machine failed to use one.

use crate::event::Blame;
use crate::event::Fault;
use crate::event::json;

/// Why a key that someone gave is not taken. The key itself is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not JSON that one can rely on.
    #[error("the key is not JSON: {0}")]
    Json(#[from] json::Error),
    /// The JSON is neither a key nor a set of keys.
    #[error("expected a JWK, or a JWK Set of 1 to {limit} keys")]
    Shape {
        /// How many keys a set may hold.
        limit: usize,
    },
    /// A member that this kind of key must have is not there.
    #[error("the key has no `{0}`")]
    Missing(&'static str),
    /// A member has the wrong type, length or encoding.
    #[error("`{0}` of the key is malformed")]
    Malformed(&'static str),
    /// A member that does not fit the kind of the key.
    #[error("`{0}` of the key does not fit its `kty`")]
    Contradiction(&'static str),
    /// A private part, where a public key is meant.
    #[error(
        "the key holds its private part `{0}`: treat it as burnt, make a new pair and send the public key only"
    )]
    Private(&'static str),
    /// The key says that it is for something else.
    #[error("`{member}` says that the key is not for {purpose}")]
    Purpose {
        /// The member that says so.
        member: &'static str,
        /// What was asked of it.
        purpose: &'static str,
    },
    /// Another algorithm than the one for which a key of its kind is used.
    #[error("`alg` of the key is not offered for a key of its kind: expected {expected}")]
    Algorithm {
        /// That one.
        expected: &'static str,
    },
    /// A kind of key that is not on the list.
    #[error("this kind of key is not offered: expected {expected}")]
    NotOffered {
        /// The list.
        expected: &'static str,
    },
    /// Two keys of one set have one name.
    #[error("two keys of the set have the same `kid`")]
    Repeated,
    /// A set without a single key that can be used.
    #[error("the set holds no key that can be used for {purpose}")]
    NoneUsable {
        /// What was asked of it.
        purpose: &'static str,
    },
    /// The mathematics refuse the key: a point off its curve, numbers that do not belong together.
    #[error("the numbers of the key do not form a valid key")]
    Invalid,
}

impl Blame for KeyError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// The cryptographic library failed to make or use a key.
#[derive(Debug, thiserror::Error)]
#[error("the cryptographic library could not {0}")]
pub struct KeyFailure(pub(super) &'static str);

impl Blame for KeyFailure {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}
