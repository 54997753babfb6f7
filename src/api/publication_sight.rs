//! Who may learn of a publication that is heard by grant only: its schema, its contract, its name.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::api::{Caller, Code, Problem, Services};

/// The caller of a request to a route that is open to all, if it shows a key that is good.
pub struct MaybeCaller(pub(super) Option<Caller>);

impl FromRequestParts<Arc<Services>> for MaybeCaller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, services).await {
            Ok(caller) => Ok(Self(Some(caller))),
            // Whoever is nobody sees what everybody sees.
            Err(problem) if problem.code() == Code::Unauthorized => Ok(Self(None)),
            Err(problem) => Err(problem),
        }
    }
}

/// What one caller may learn of publications.
pub(super) struct PublicationSight<'a> {
    services: &'a Services,
    caller: Option<&'a Caller>,
}

impl<'a> PublicationSight<'a> {
    pub(super) const fn of(services: &'a Services, caller: &'a MaybeCaller) -> Self {
        Self { services, caller: caller.0.as_ref() }
    }

    /// Whether the caller may learn of a publication, `domain/event`: everyone of a public one, and
    /// of another whoever is entitled to it, answers for its domain, or sees metadata of everything.
    pub(super) fn sees(&self, publication: &str) -> bool {
        let access = self.services.subscription_service.access();
        if !access.is_by_grant(publication) {
            return true;
        }
        let domain = publication.split_once('/').map_or(publication, |(domain, _)| domain);
        self.caller.is_some_and(|caller| {
            caller.sees_metadata()
                || caller.owns(domain)
                || caller.consumers().any(|consumer| access.hears(consumer, publication))
        })
    }

    /// Whether the caller may read a contract, by its path: everyone if all of its publications are
    /// public, and otherwise whoever sees one of those that are not. One that no publication names may be
    /// of one that is heard by grant only, or was: as long as there are such, it is not for everyone.
    pub(super) fn sees_contract(&self, path: &str) -> bool {
        let access = self.services.subscription_service.access();
        let all = self.services.publications.iter();
        let its: Vec<&str> =
            all.filter(|one| one.contract() == path).map(|one| &**one.name()).collect();
        let by_grant: Vec<&str> =
            its.iter().copied().filter(|name| access.is_by_grant(name)).collect();
        if its.is_empty() {
            return self.sees_everything() || !access.publications().iter().any(|one| one.by_grant);
        }
        by_grant.is_empty() || by_grant.iter().any(|name| self.sees(name))
    }

    /// Whether a request of a caller may be answered with what caches keep for everybody.
    pub(super) fn is_public(&self, publications: &[&str]) -> bool {
        let access = self.services.subscription_service.access();
        !publications.iter().any(|name| access.is_by_grant(name))
    }

    /// The publications of a contract.
    pub(super) fn of_contract(&self, path: &str) -> Vec<&'a str> {
        let all = self.services.publications.iter();
        all.filter(|one| one.contract() == path).map(|one| &**one.name()).collect()
    }

    fn sees_everything(&self) -> bool {
        self.caller.is_some_and(Caller::sees_metadata)
    }
}
