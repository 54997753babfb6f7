//! What a caller sees and may change: the rules of docs/access.md, in one place that handlers ask.

use std::sync::Arc;

use crate::access::GrantedPublication;
use crate::api::{Caller, Code, Problem, Scope};
use crate::event::{ConsumerId, DomainName};
use crate::eventlog::ActionOwners;

impl Caller {
    /// Refuses a caller that does not operate the gateway.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope `operate`.
    pub fn must_operate(&self) -> Result<(), Problem> {
        self.must(&Scope::Operate)
    }

    /// Refuses a caller that does not see the metadata of everything.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope `operate` or `audit`.
    pub fn must_see_metadata(&self) -> Result<(), Problem> {
        if self.sees_metadata() { Ok(()) } else { Err(lacks("`operate` or `audit`")) }
    }

    /// Refuses a caller that can have no subscription in its list: it is no consumer, and does not see
    /// the metadata of everything.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope `operate`, `audit` or of a consumer.
    pub fn must_list_subscriptions(&self) -> Result<(), Problem> {
        if self.sees_metadata() || self.consumers().next().is_some() {
            return Ok(());
        }
        Err(lacks("`operate`, `audit` or `consume:NAME`"))
    }

    /// Refuses a caller that can have no grant and no access request in its list: it is no consumer,
    /// answers for no domain, and does not see the metadata of everything.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope `operate`, `audit`, of a domain or of a consumer.
    pub fn must_list_grants(&self) -> Result<(), Problem> {
        if self.must_list_subscriptions().is_ok() || !self.domain_names().is_empty() {
            return Ok(());
        }
        Err(lacks("`operate`, `audit`, `domain:NAME` or `consume:NAME`"))
    }

    /// Whether the caller may change what belongs to a consumer, and take its events: the consumer itself
    /// and operators.
    pub fn steers(&self, consumer: &ConsumerId) -> bool {
        self.operates() || self.may(&Scope::Consume(consumer.clone()))
    }

    /// Refuses a caller that may not change what belongs to a consumer.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the consumer's scope, or with `operate`.
    pub fn must_steer(&self, consumer: &ConsumerId) -> Result<(), Problem> {
        if self.steers(consumer) {
            Ok(())
        } else {
            Err(lacks(&format!("`{}`", Scope::Consume(consumer.clone()))))
        }
    }

    /// Whether the caller may see data that was sent to a consumer: the consumer itself, and who reads
    /// data.
    pub fn reads_data_of(&self, consumer: &ConsumerId) -> bool {
        self.reads_data() || self.may(&Scope::Consume(consumer.clone()))
    }

    /// The domains of whose events the caller sees the metadata, in the log and in quarantine; nothing if it
    /// sees all of it.
    ///
    /// # Errors
    ///
    /// The caller's turn: it sees none, and needs a key with the scope of a domain, `operate` or `audit`.
    pub fn domains_seen(&self) -> Result<Option<Vec<Arc<str>>>, Problem> {
        if self.sees_metadata() {
            return Ok(None);
        }
        let domains = self.domain_names();
        if domains.is_empty() {
            return Err(lacks("`operate`, `audit` or `domain:NAME`"));
        }
        Ok(Some(domains))
    }

    /// Whether the caller sees the metadata of an event of a publication.
    pub fn sees_event_of(&self, publication: &str) -> bool {
        self.sees_metadata() || domain_of(publication).is_some_and(|domain| self.owns(domain))
    }

    /// Refuses a caller that may not let go what a publication has set aside: its domain and operators
    /// may; operators alone, what no publication has read.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope of the domain, or with `operate`.
    pub fn must_decide_on(&self, publication: Option<&str>) -> Result<(), Problem> {
        let domain = publication.and_then(domain_of);
        if self.operates() || domain.is_some_and(|domain| self.owns(domain)) {
            return Ok(());
        }
        Err(match domain {
            Some(domain) => lacks(&format!("`operate` or `domain:{domain}`")),
            None => lacks("`operate`"),
        })
    }

    /// Refuses a caller that does not answer for the domain of a publication, and gives no grants of it.
    ///
    /// # Errors
    ///
    /// The caller's turn: it needs a key with the scope of the domain.
    pub fn must_own(&self, publication: &GrantedPublication) -> Result<(), Problem> {
        let domain = publication.domain();
        if self.owns(domain) {
            return Ok(());
        }
        // What no domain can be called needs an admin.
        let is_name = domain.parse::<DomainName>().is_ok();
        Err(lacks(&if is_name { format!("`domain:{domain}`") } else { "`admin`".to_owned() }))
    }

    /// Whose things the caller is told of that were changed; nothing if it is told of all.
    ///
    /// # Errors
    ///
    /// The caller's turn: it is told of none.
    pub fn sees_actions_of(&self) -> Result<Option<ActionOwners>, Problem> {
        if self.sees_metadata() {
            return Ok(None);
        }
        let owners = ActionOwners {
            consumers: self.consumers().cloned().collect(),
            domains: self.domain_names(),
        };
        if owners == ActionOwners::default() {
            return Err(lacks("`operate`, `audit`, `domain:NAME` or `consume:NAME`"));
        }
        Ok(Some(owners))
    }

    /// The domains for which the caller answers.
    fn domain_names(&self) -> Vec<Arc<str>> {
        let name = |scope: &Scope| match scope {
            Scope::Domain(domain) => Some(DomainName::as_str(domain).into()),
            _ => None,
        };
        self.scopes.iter().filter_map(name).collect()
    }
}

/// The domain of a publication.
pub(super) fn domain_of(publication: &str) -> Option<&str> {
    publication.split_once('/').map(|(domain, _)| domain)
}

fn lacks(scopes: &str) -> Problem {
    Problem::new(Code::Forbidden, format!("this needs the scope {scopes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &[&str]) -> Caller {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Caller::for_test("someone", scopes)
    }

    #[test]
    fn an_auditor_sees_what_it_may_not_change_and_no_data() {
        let (auditor, shop) = (caller(&["audit"]), "shop".parse().unwrap());

        assert!(auditor.sees(&shop) && auditor.must_see_metadata().is_ok());
        assert_eq!(auditor.sees_actions_of().unwrap(), None);
        assert_eq!(auditor.domains_seen().unwrap(), None);
        assert!(!auditor.steers(&shop) && !auditor.reads_data_of(&shop));
        for publication in [None, Some("payments/A")] {
            assert!(auditor.must_decide_on(publication).is_err());
        }
    }

    #[test]
    fn an_operator_changes_everything_and_reads_data_with_a_scope_of_its_own() {
        let (operator, shop) = (caller(&["operate"]), "shop".parse().unwrap());

        assert!(operator.steers(&shop) && operator.must_decide_on(None).is_ok());
        assert!(!operator.reads_data_of(&shop));
        assert!(caller(&["operate", "read-data"]).reads_data_of(&shop));
        let alone = caller(&["read-data"]);
        assert!(alone.must_see_metadata().is_err() && alone.domains_seen().is_err());
        assert!(alone.sees_actions_of().is_err() && !alone.sees(&shop));
    }

    #[test]
    fn a_list_is_for_whom_something_can_be_in_it() {
        let lists = |scope: &str| {
            let caller = caller(&[scope]);
            (caller.must_list_subscriptions().is_ok(), caller.must_list_grants().is_ok())
        };
        for scope in ["admin", "operate", "audit", "consume:shop"] {
            assert_eq!(lists(scope), (true, true), "{scope}");
        }
        assert_eq!(lists("domain:payments"), (false, true));
        for scope in ["read-data", "publish:*"] {
            assert_eq!(lists(scope), (false, false), "{scope}");
        }
    }

    #[test]
    fn a_domain_decides_on_its_own_and_a_consumer_reads_its_own() {
        let domain = caller(&["domain:payments"]);
        assert!(domain.must_decide_on(Some("payments/A")).is_ok());
        for other in [None, Some("payments2/A"), Some("payments")] {
            assert!(domain.must_decide_on(other).is_err(), "{other:?}");
        }
        assert_eq!(domain.domains_seen().unwrap(), Some(vec!["payments".into()]));
        let owners = domain.sees_actions_of().unwrap().unwrap();
        assert_eq!(owners, ActionOwners { consumers: vec![], domains: vec!["payments".into()] });

        let consumer = caller(&["consume:shop"]);
        assert!(consumer.reads_data_of(&"shop".parse().unwrap()));
        assert!(!consumer.reads_data_of(&"other".parse().unwrap()));
        assert!(consumer.domains_seen().is_err());
        assert_eq!(
            consumer.sees_actions_of().unwrap().unwrap().consumers,
            ["shop".parse().unwrap()]
        );
        assert!(caller(&["publish:*"]).sees_actions_of().is_err());
    }
}
