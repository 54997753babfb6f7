//! Who calls, and what the caller may do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{Code, Problem};
use crate::event::{CallerId, ConsumerId};

/// What a caller may do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything.
    Admin,
    /// See and steer everything but callers and keys.
    Operate,
    /// Publish events.
    Publish,
    /// Subscribe as this consumer, and see what is this consumer's.
    Consume(ConsumerId),
}

/// A text that is not a scope.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a scope: write admin, operate, publish or consume:NAME")]
pub struct ScopeError(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Operate => f.write_str("operate"),
            Self::Publish => f.write_str("publish"),
            Self::Consume(consumer) => write!(f, "consume:{consumer}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ScopeError(text.to_owned());
        match text {
            "admin" => Ok(Self::Admin),
            "operate" => Ok(Self::Operate),
            "publish" => Ok(Self::Publish),
            _ => {
                let consumer = text.strip_prefix("consume:").ok_or_else(refuse)?;
                Ok(Self::Consume(consumer.parse().map_err(|_| refuse())?))
            }
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

/// A caller whose key was checked. As an argument of a handler it closes the route to strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The digest of the key that it showed: the same name may be given to another one day.
    pub(super) key: [u8; 32],
    pub(super) id: CallerId,
    pub(super) scopes: Arc<[Scope]>,
}

impl Caller {
    /// The caller's name.
    pub const fn id(&self) -> &CallerId {
        &self.id
    }

    /// Whether the caller may do what a scope allows. `admin` may do everything.
    pub fn may(&self, scope: &Scope) -> bool {
        self.scopes.iter().any(|own| own == scope || *own == Scope::Admin)
    }

    /// Refuses a caller without a scope.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with this scope.
    pub fn must(&self, scope: &Scope) -> Result<(), Problem> {
        if self.may(scope) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden, format!("this needs the scope `{scope}`")))
        }
    }

    /// Whether the caller may see what belongs to a consumer: the consumer itself and operators.
    ///
    /// Answer a caller who may not as if the thing did not exist, so that nothing can be guessed.
    pub fn sees(&self, consumer: &ConsumerId) -> bool {
        self.may(&Scope::Operate) || self.may(&Scope::Consume(consumer.clone()))
    }

    /// Whether the caller may learn of a publication, `domain/event`, and why it wants an event or
    /// does not: today whoever may publish, or operates, may of all.
    pub fn sees_publication(&self, _publication: &str) -> bool {
        self.may(&Scope::Publish) || self.may(&Scope::Operate)
    }

    /// The consumers as whom the caller may act.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerId> {
        self.scopes.iter().filter_map(|scope| match scope {
            Scope::Consume(consumer) => Some(consumer),
            Scope::Admin | Scope::Operate | Scope::Publish => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &[&str]) -> Caller {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Caller { key: [0; 32], id: "someone".parse().unwrap(), scopes }
    }

    #[test]
    fn a_consumer_sees_only_its_own_and_an_admin_everything() {
        let (mine, other) = ("mine".parse().unwrap(), "other".parse().unwrap());
        let consumer = caller(&["consume:mine"]);

        assert!(consumer.sees(&mine) && !consumer.sees(&other));
        assert!(consumer.must(&Scope::Publish).is_err());
        assert!(caller(&["admin"]).sees(&other) && caller(&["admin"]).may(&Scope::Publish));
        assert!(!caller(&["publish"]).sees(&mine));
        assert!(caller(&["publish"]).sees_publication("orders/Order.Created"));
        assert!(!consumer.sees_publication("orders/Order.Created"));
        assert_eq!(consumer.consumers().collect::<Vec<_>>(), [&mine]);
    }

    #[test]
    fn scopes_read_what_they_write() {
        for text in ["admin", "operate", "publish", "consume:orders-eu"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "root", "consume:", "consume:a b", "Admin"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
