//! Who may learn of a publication that is heard by grant only: its schema, its contract, its name.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::Access;
use crate::api::access::domain_of;
use crate::api::{Caller, Code, DocumentsInForce, Problem, Services};
use crate::event::ConsumerId;

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

/// How much of a contract someone may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContractSight {
    /// Nothing: not that it is there.
    Nothing,
    /// The messages that it may hear: something else in it is, or was, of a publication that it may not
    /// learn of.
    Partial,
    /// The text as its domain wrote it.
    Whole,
}

/// Who wants to learn something.
enum Viewer<'a> {
    Nobody,
    Caller(&'a Caller),
    Consumer(&'a ConsumerId),
}

/// What someone may learn of publications.
pub(super) struct PublicationSight<'a> {
    services: &'a Services,
    documents: Arc<DocumentsInForce>,
    viewer: Viewer<'a>,
}

impl<'a> PublicationSight<'a> {
    /// What a caller may learn.
    pub(super) fn of(services: &'a Services, caller: &'a MaybeCaller) -> Self {
        let viewer = caller.0.as_ref().map_or(Viewer::Nobody, Viewer::Caller);
        Self { services, documents: services.documents.load_full(), viewer }
    }

    /// The contracts and publications that it is about.
    pub(super) const fn documents(&self) -> &Arc<DocumentsInForce> {
        &self.documents
    }

    /// What a consumer may learn, whoever asks for it.
    pub(super) fn of_consumer(services: &'a Services, consumer: &'a ConsumerId) -> Self {
        let documents = services.documents.load_full();
        Self { services, documents, viewer: Viewer::Consumer(consumer) }
    }

    /// Whether a publication, `domain/event`, may be learned of: by everyone if it is public, and otherwise
    /// by whoever is entitled to it, answers for its domain, or sees metadata of everything.
    pub(super) fn sees(&self, publication: &str) -> bool {
        let access = self.access();
        if !access.is_by_grant(publication) {
            return true;
        }
        match self.viewer {
            Viewer::Nobody => false,
            Viewer::Consumer(consumer) => access.hears(consumer, publication),
            Viewer::Caller(caller) => {
                caller.sees_metadata()
                    || caller.owns(domain_of(publication).unwrap_or(publication))
                    || caller.consumers().any(|consumer| access.hears(consumer, publication))
            }
        }
    }

    /// How much of a contract may be read, by its path. One that no publication names may be of one that is
    /// heard by grant only, or was: as long as there are such, it is not for everyone.
    pub(super) fn contract(&self, path: &str) -> ContractSight {
        let its = self.of_contract(path);
        let closed = self.closed_in(path, &its);
        if its.is_empty() {
            let sees_all = self.sees_everything() || closed.is_empty();
            return if sees_all { ContractSight::Whole } else { ContractSight::Nothing };
        }
        if !its.iter().any(|name| self.sees(name)) {
            return ContractSight::Nothing;
        }
        let is_heard = closed.iter().all(|name| self.sees(name));
        if is_heard && (self.sees_all_closed() || self.describes_nothing_else(path)) {
            ContractSight::Whole
        } else {
            ContractSight::Partial
        }
    }

    /// Whether a text of a contract may be read whole that is not the one of today: it may describe what is
    /// heard by grant only and stands elsewhere by now, or nowhere.
    pub(super) fn sees_all_closed(&self) -> bool {
        let all = self.access().publications().into_iter();
        all.filter(|one| one.by_grant).all(|one| self.sees(&one.name))
    }

    /// Whether the contract of today has no messages but those that its publications publish.
    fn describes_nothing_else(&self, path: &str) -> bool {
        let DocumentsInForce { catalog, publications, .. } = &*self.documents;
        let Some(document) = catalog.document(path) else { return false };
        let all = publications.iter().filter(|one| one.contract() == path);
        let published: Vec<_> = all.filter_map(|one| catalog.message_of(one)).collect();
        document.contract_messages().iter().all(|described| {
            described.message().is_some_and(|it| published.iter().any(|one| Arc::ptr_eq(one, it)))
        })
    }

    /// Whether caches may keep a contract for everybody.
    pub(super) fn is_public_contract(&self, path: &str) -> bool {
        let is_open = !self.access().publications().iter().any(|one| one.by_grant);
        let closed = self.closed_in(path, &self.of_contract(path));
        closed.is_empty() && (is_open || self.describes_nothing_else(path))
    }

    /// Whether caches may keep for everybody what is answered about a publication.
    pub(super) fn is_public(&self, publication: &str) -> bool {
        !self.access().is_by_grant(publication)
    }

    /// The publications of a contract.
    pub(super) fn of_contract(&self, path: &str) -> Vec<&str> {
        let all = self.documents.publications.iter();
        all.filter(|one| one.contract() == path).map(|one| &**one.name()).collect()
    }

    /// The publications that are heard by grant only and that a contract describes, or may have described
    /// when a file still named them.
    fn closed_in(&self, path: &str, its: &[&str]) -> Vec<Arc<str>> {
        let named = &self.documents.publications;
        let domains: Vec<_> = its.iter().filter_map(|name| domain_of(name)).collect();
        let is_of = |name: &str| match named.iter().find(|one| **one.name() == *name) {
            Some(published) => its.is_empty() || published.contract() == path,
            None => its.is_empty() || domain_of(name).is_some_and(|it| domains.contains(&it)),
        };
        let all = self.access().publications().into_iter();
        all.filter(|one| one.by_grant && is_of(&one.name)).map(|one| one.name).collect()
    }

    fn access(&self) -> &'a Access {
        self.services.subscription_service.access()
    }

    fn sees_everything(&self) -> bool {
        matches!(self.viewer, Viewer::Caller(caller) if caller.sees_metadata())
    }
}
