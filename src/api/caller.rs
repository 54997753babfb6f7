//! Who calls, and what the caller may do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{Code, Problem};
use crate::event::{
    CallerId, ConsumerId, DomainName, DomainNameError, EventProducer, ProducerKind, Timestamp,
};
use crate::source::{SourceRule, SourceRuleError, wants_source_of};

/// What a caller may do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything.
    Admin,
    /// See the metadata of everything, and steer everything but callers and keys.
    Operate,
    /// See the data of events where they are kept: in the log, in quarantine, as dead letters.
    ReadData,
    /// See the metadata and the evidence of everything, and change nothing.
    Audit,
    /// Answer for a domain: its publications, their quarantine, counts and grants.
    Domain(DomainName),
    /// Publish events as these sources.
    Publish(SourceRule),
    /// Subscribe as this consumer, and see what is this consumer's.
    Consume(ConsumerId),
}

/// A text that is not a scope.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// It begins like none.
    #[error(
        "`{0}` is not a scope: write admin, operate, read-data, audit, domain:NAME, publish:SOURCE or \
         consume:NAME"
    )]
    Unknown(String),
    /// It does not say as whom to publish.
    #[error(
        "`publish` needs a source: write publish:SOURCE, for example publish:order-service, \
         publish:order-* for all that begin so, or publish:* for every source"
    )]
    NoSource,
    /// Its source cannot be one.
    #[error("`{text}` is not a scope: {problem}")]
    Source {
        /// What was written.
        text: String,
        /// What is wrong with the source.
        problem: SourceRuleError,
    },
    /// Its domain cannot be one.
    #[error("`{text}` is not a scope: {problem}")]
    Domain {
        /// What was written.
        text: String,
        /// What is wrong with the name.
        problem: DomainNameError,
    },
}

impl Scope {
    /// What callers of before have, whose `publish` names no source: every source.
    const UNBOUND: &str = "publish";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Operate => f.write_str("operate"),
            Self::ReadData => f.write_str("read-data"),
            Self::Audit => f.write_str("audit"),
            Self::Domain(domain) => write!(f, "domain:{domain}"),
            Self::Publish(source) => write!(f, "publish:{source}"),
            Self::Consume(consumer) => write!(f, "consume:{consumer}"),
        }
    }
}

/// Reads a scope as one is given to a caller today: `publish` names its source.
impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ScopeError::Unknown(text.to_owned());
        match (text, text.split_once(':')) {
            ("admin", _) => Ok(Self::Admin),
            ("operate", _) => Ok(Self::Operate),
            ("read-data", _) => Ok(Self::ReadData),
            ("audit", _) => Ok(Self::Audit),
            (Self::UNBOUND, _) => Err(ScopeError::NoSource),
            (_, Some(("domain", name))) => name
                .parse()
                .map(Self::Domain)
                .map_err(|problem| ScopeError::Domain { text: text.to_owned(), problem }),
            (_, Some(("publish", source))) => source
                .parse()
                .map(Self::Publish)
                .map_err(|problem| ScopeError::Source { text: text.to_owned(), problem }),
            (_, Some(("consume", consumer))) => {
                consumer.parse().map(Self::Consume).map_err(|_| unknown())
            }
            _ => Err(unknown()),
        }
    }
}

/// Reads a scope as it was kept, also by a release in which `publish` named no source.
impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == Self::UNBOUND { Ok(Self::Publish(SourceRule::every())) } else { text.parse() }
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
    /// The digest of the key that it showed.
    pub(super) key: [u8; 32],
    /// The digest of its first key, whichever it showed: the same name may be given to another one day.
    pub(super) identity: [u8; 32],
    /// Whether it showed the key that it had before.
    pub(super) is_former: bool,
    /// Until when the key is good; nothing: until it is replaced or the caller removed.
    pub(super) until: Option<Timestamp>,
    pub(super) id: CallerId,
    pub(super) scopes: Arc<[Scope]>,
}

impl Caller {
    /// Whether the key that it showed is good at a moment.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// A caller for tests that is known by nothing.
    #[cfg(test)]
    pub(super) fn for_test(name: &str, scopes: Arc<[Scope]>) -> Self {
        let (key, id) = ([0; 32], name.parse().unwrap());
        Self { key, identity: key, is_former: false, until: None, id, scopes }
    }

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

    /// The caller, as what it sends names it.
    pub fn producer(&self) -> EventProducer {
        EventProducer { kind: ProducerKind::Caller, name: self.id.as_str().into() }
    }

    /// Whether the caller may do everything.
    pub fn is_admin(&self) -> bool {
        self.may(&Scope::Admin)
    }

    /// Whether the caller may publish as this source.
    pub fn publishes(&self, source: &str) -> bool {
        self.scopes.iter().any(|scope| match scope {
            Scope::Admin => true,
            Scope::Publish(rule) => rule.admits(source),
            _ => false,
        })
    }

    /// The sources as which the caller may publish; none if it may not publish at all.
    pub fn sources(&self) -> Vec<SourceRule> {
        if self.is_admin() {
            return vec![SourceRule::every()];
        }
        let rule = |scope: &Scope| match scope {
            Scope::Publish(rule) => Some(rule.clone()),
            _ => None,
        };
        self.scopes.iter().filter_map(rule).collect()
    }

    /// Refuses a caller that may publish as no source.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with a scope for its source.
    pub fn must_publish(&self) -> Result<(), Problem> {
        let publishes = |scope: &Scope| matches!(scope, Scope::Admin | Scope::Publish(_));
        if self.scopes.iter().any(publishes) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden, "this needs a scope `publish:SOURCE`"))
        }
    }

    /// Whether the caller steers everything but callers and keys.
    pub fn operates(&self) -> bool {
        self.may(&Scope::Operate)
    }

    /// Whether the caller may see the data of events where they are kept.
    pub fn reads_data(&self) -> bool {
        self.may(&Scope::ReadData)
    }

    /// Whether the caller may see the metadata of everything.
    pub fn sees_metadata(&self) -> bool {
        self.operates() || self.may(&Scope::Audit)
    }

    /// Whether the caller answers for a domain.
    pub fn owns(&self, domain: &str) -> bool {
        self.scopes.iter().any(|scope| match scope {
            Scope::Admin => true,
            Scope::Domain(own) => own.as_str() == domain,
            _ => false,
        })
    }

    /// Whether the caller may see what belongs to a consumer: the consumer itself, operators and auditors.
    ///
    /// Answer a caller who may not as if the thing did not exist, so that nothing can be guessed.
    pub fn sees(&self, consumer: &ConsumerId) -> bool {
        self.sees_metadata() || self.may(&Scope::Consume(consumer.clone()))
    }

    /// Whether the caller may learn of a publication that does not want its event, and why: of those
    /// whose pattern wants a source as which it may publish. Operators may of all.
    pub fn sees_publication(&self, pattern: &str) -> bool {
        self.operates() || wants_source_of(&self.sources(), pattern)
    }

    /// The consumers as whom the caller may act.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerId> {
        self.scopes.iter().filter_map(|scope| match scope {
            Scope::Consume(consumer) => Some(consumer),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &[&str]) -> Caller {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Caller::for_test("someone", scopes)
    }

    #[test]
    fn a_consumer_sees_only_its_own_and_an_admin_everything() {
        let (mine, other) = ("mine".parse().unwrap(), "other".parse().unwrap());
        let consumer = caller(&["consume:mine"]);

        assert!(consumer.sees(&mine) && !consumer.sees(&other));
        assert!(consumer.must_publish().is_err());
        let admin = caller(&["admin"]);
        assert!(admin.sees(&other) && admin.publishes("anything") && admin.must_publish().is_ok());
        assert!(admin.operates() && admin.reads_data() && admin.sees_metadata() && admin.owns("x"));
        assert!(!caller(&["publish:*"]).sees(&mine));
        let pattern = r#"{"source":["order-service"]}"#;
        assert!(caller(&["publish:order-*"]).sees_publication(pattern));
        assert!(caller(&["operate"]).sees_publication(pattern));
        assert!(!caller(&["publish:shop"]).sees_publication(pattern));
        assert!(!consumer.sees_publication(pattern));
        assert_eq!(consumer.consumers().collect::<Vec<_>>(), [&mine]);
    }

    #[test]
    fn a_producer_publishes_as_its_own_sources_and_no_other() {
        let shop = caller(&["publish:order-service", "publish:shop.*"]);

        assert!(shop.publishes("order-service") && shop.publishes("shop.eu"));
        assert!(!shop.publishes("payment-service") && !shop.publishes("order-service2"));
        for stranger in ["operate", "read-data", "audit", "domain:orders", "consume:orders"] {
            let stranger = caller(&[stranger]);
            assert!(!stranger.publishes("order-service") && stranger.must_publish().is_err());
        }
    }

    #[test]
    fn each_scope_allows_its_own_and_no_more() {
        let told = |scope| {
            let caller = caller(&[scope]);
            (caller.operates(), caller.reads_data(), caller.sees_metadata(), caller.owns("orders"))
        };

        assert_eq!(told("operate"), (true, false, true, false));
        assert_eq!(told("read-data"), (false, true, false, false));
        assert_eq!(told("audit"), (false, false, true, false));
        assert_eq!(told("domain:orders"), (false, false, false, true));
        assert_eq!(told("domain:payments"), (false, false, false, false));
        assert_eq!(told("publish:*"), (false, false, false, false));
    }

    #[test]
    fn scopes_read_what_they_write() {
        for text in [
            "admin",
            "operate",
            "read-data",
            "audit",
            "domain:orders.eu",
            "publish:order-service",
            "publish:urn:shop:*",
            "publish:*",
            "consume:orders-eu",
        ] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
            assert_eq!(serde_json::from_value::<Scope>(text.into()).unwrap(), scope);
        }
        for text in ["", "root", "consume:", "consume:a b", "Admin", "admin:x", "domain:", "domain"]
        {
            assert!(text.parse::<Scope>().is_err(), "{text}");
            assert!(Scope::try_from(text.to_owned()).is_err(), "{text}");
        }
        for (text, words) in [
            ("publish", "write publish:SOURCE"),
            ("publish:", "it names no source"),
            ("publish:a*b", "a `*` stands at the end only"),
            ("domain:a b", "a domain's name is made of"),
        ] {
            let error = text.parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_kept_without_a_source_means_every_source() {
        let kept: Scope = serde_json::from_value("publish".into()).unwrap();

        assert_eq!(kept, "publish:*".parse().unwrap());
    }
}
