//! Access requests: a consumer asks, the owner of the publication decides.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::authority::to_text;
use crate::access::grant::check_reason;
use crate::access::{
    Access, AccessError, Grant, GrantDocument, GrantId, GrantReference, GrantedPublication, History,
};
use crate::event::{AccessRequestId, ConsumerId, GrantName, Timestamp};
use crate::eventlog::{Record, RecordKey};

const KIND: &str = "access-request";
/// So many decided requests of a consumer are kept, the newest.
const MOST_DECIDED: usize = 100;
/// The most requests that wait for a decision, of all consumers.
const MOST_OPEN: usize = 2_000;

/// What a consumer asks for.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRequestDocument {
    /// For whom.
    #[schemars(with = "String")]
    pub consumer: ConsumerId,
    /// What it wants to hear: a publication, `domain/event`, or all of a domain, `domain/*`.
    #[schemars(with = "String")]
    pub publication: GrantedPublication,
    /// How far back; `from-grant` if missing.
    #[serde(default)]
    pub history: History,
    /// What for, at most 512 characters.
    #[serde(default)]
    pub reason: String,
}

/// What the owner says to a request, beside yes or no. What is missing is as it was asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessDecision {
    /// How far back the grant reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// When the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Why, at most 512 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Where an access request stands.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessRequestState {
    /// It waits for a decision.
    Open,
    /// There is a grant.
    Approved,
    /// There is none.
    Refused,
    /// Its consumer wants it no more.
    Withdrawn,
}

/// A consumer's wish for a grant.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRequest {
    /// Its name.
    pub id: AccessRequestId,
    /// For whom.
    pub consumer: ConsumerId,
    /// What it wants to hear.
    pub publication: GrantedPublication,
    /// How far back.
    pub history: History,
    /// What for.
    pub reason: String,
    /// The caller who asks.
    pub asked_by: String,
    /// When.
    pub created: Timestamp,
    /// Where it stands.
    pub state: AccessRequestState,
    /// Who has decided it, or taken it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    /// What was said then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// The name of the grant that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantName>,
}

impl AccessRequest {
    /// The id of the grant that came of it.
    pub fn grant_id(&self) -> Option<GrantId> {
        self.grant.clone().map(|name| GrantId::of(&self.publication, name))
    }
}

impl Access {
    /// Keeps what a consumer asks for. Whether there is such a publication is not looked at, so that
    /// nobody learns it by asking.
    ///
    /// # Errors
    ///
    /// The caller's turn: it cannot work, or too many wait. Ours: the registry failed.
    pub async fn ask(
        &self,
        document: AccessRequestDocument,
        asked_by: &str,
    ) -> Result<AccessRequest, AccessError> {
        check_reason(&document.reason)?;
        let _changing = self.changing.lock().await;
        let all = self.requests().await?;
        let open = all.iter().filter(|one| one.state == AccessRequestState::Open);
        let most = self.parts.config.requests_per_consumer as usize;
        if open.clone().filter(|one| one.consumer == document.consumer).count() >= most {
            let why = format!("{most} requests of this consumer wait for a decision already");
            return Err(AccessError::TooMany(why));
        }
        if open.count() >= MOST_OPEN {
            return Err(AccessError::TooMany(format!("{MOST_OPEN} requests wait already")));
        }
        let request = AccessRequest {
            id: self.new_name()?,
            consumer: document.consumer,
            publication: document.publication,
            history: document.history,
            reason: document.reason,
            asked_by: asked_by.to_owned(),
            created: self.parts.clock.now(),
            state: AccessRequestState::Open,
            decided_by: None,
            decided: None,
            answer: String::new(),
            grant: None,
        };
        let body = to_text(KIND, request.id.as_str(), &request)?;
        self.parts.registry.put(&key(&request.id), None, body).await?;
        self.drop_decided(&all, &request.consumer).await;
        Ok(request)
    }

    /// Every request that can be read, in the order in which they came.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn requests(&self) -> Result<Vec<AccessRequest>, AccessError> {
        let records = self.parts.registry.list(KIND).await?;
        Ok(records.iter().filter_map(|record| read(record).ok()).collect())
    }

    /// Finds a request.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn request(&self, id: &AccessRequestId) -> Result<AccessRequest, AccessError> {
        let record = self.parts.registry.get(&key(id)).await?;
        read(&record.ok_or(AccessError::NoRequest)?)
    }

    /// Approves a request: its grant bears the same name, so that a crash between the two leaves one
    /// grant, whoever approves again.
    ///
    /// # Errors
    ///
    /// The caller's turn: it was decided, or the grant cannot be given. Ours: the registry failed.
    pub async fn approve(
        &self,
        id: &AccessRequestId,
        decision: AccessDecision,
        by: &str,
    ) -> Result<(AccessRequest, Arc<Grant>), AccessError> {
        let _deciding = self.deciding.lock().await;
        let request = self.open_request(id).await?;
        let unnamed = |_| AccessError::invalid("/id", "it cannot name a grant");
        let name: GrantName = id.as_str().parse().map_err(unnamed)?;
        let document = GrantDocument {
            id: Some(GrantReference::Plain(name.clone())),
            consumer: request.consumer.clone(),
            publication: request.publication.clone(),
            history: decision.history.unwrap_or(request.history),
            from: None,
            until: decision.until,
            reason: if decision.reason.is_empty() {
                request.reason
            } else {
                decision.reason.clone()
            },
        };
        let grant = match self.give(document, by).await {
            // Given before a crash; another's of that name is another grant.
            Err(AccessError::Exists(taken)) => {
                let own = |grant: &Arc<Grant>| {
                    grant.consumer == request.consumer && grant.publication == request.publication
                };
                self.grant(&taken).filter(own).ok_or(AccessError::Exists(taken))?
            }
            given => given?,
        };
        let state = AccessRequestState::Approved;
        let decided = self.decide(id, (state, Some(name)), (by, decision.reason)).await?;
        Ok((decided, grant))
    }

    /// Refuses a request.
    ///
    /// # Errors
    ///
    /// The caller's turn: it was decided. Ours: the registry failed.
    pub async fn refuse(
        &self,
        id: &AccessRequestId,
        (by, reason): (&str, String),
    ) -> Result<AccessRequest, AccessError> {
        check_reason(&reason)?;
        let _deciding = self.deciding.lock().await;
        self.decide(id, (AccessRequestState::Refused, None), (by, reason)).await
    }

    /// Takes a request back for its consumer; what was decided stays.
    ///
    /// # Errors
    ///
    /// The caller's turn: it was decided. Ours: the registry failed.
    pub async fn withdraw(
        &self,
        id: &AccessRequestId,
        (by, reason): (&str, String),
    ) -> Result<AccessRequest, AccessError> {
        check_reason(&reason)?;
        let _deciding = self.deciding.lock().await;
        self.decide(id, (AccessRequestState::Withdrawn, None), (by, reason)).await
    }

    async fn open_request(&self, id: &AccessRequestId) -> Result<AccessRequest, AccessError> {
        let request = self.request(id).await?;
        match request.state {
            AccessRequestState::Open => Ok(request),
            _ => Err(AccessError::Decided(id.clone())),
        }
    }

    async fn decide(
        &self,
        id: &AccessRequestId,
        (state, grant): (AccessRequestState, Option<GrantName>),
        (by, answer): (&str, String),
    ) -> Result<AccessRequest, AccessError> {
        let record = self.parts.registry.get(&key(id)).await?.ok_or(AccessError::NoRequest)?;
        let request = read(&record)?;
        if request.state != AccessRequestState::Open {
            return Err(AccessError::Decided(id.clone()));
        }
        let (decided_by, decided) = (Some(by.to_owned()), Some(self.parts.clock.now()));
        let request = AccessRequest { state, decided_by, decided, answer, grant, ..request };
        let body = to_text(KIND, id.as_str(), &request)?;
        self.parts.registry.put(&key(id), Some(record.revision), body).await?;
        Ok(request)
    }

    /// Forgets the oldest decided requests of a consumer that are too many.
    async fn drop_decided(&self, all: &[AccessRequest], consumer: &ConsumerId) {
        let is_decided = |one: &&AccessRequest| {
            one.consumer == *consumer && one.state != AccessRequestState::Open
        };
        let decided: Vec<&AccessRequest> = all.iter().filter(is_decided).collect();
        for one in decided.iter().take(decided.len().saturating_sub(MOST_DECIDED)) {
            // What cannot be dropped now is dropped after the next request.
            if let Ok(Some(record)) = self.parts.registry.get(&key(&one.id)).await {
                let _ = self.parts.registry.remove(&key(&one.id), record.revision).await;
            }
        }
    }
}

fn key(id: &AccessRequestId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

fn read(record: &Record) -> Result<AccessRequest, AccessError> {
    let damaged = |source| AccessError::Damaged { kind: KIND, id: record.id.clone(), source };
    serde_json::from_str(&record.body).map_err(damaged)
}
