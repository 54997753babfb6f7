//! A grant: what a consumer may hear of a publication that is not public.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{
    AccessError, GrantId, GrantReference, GrantState, GrantedPublication, HeardStretch, History,
};
use crate::event::{ConsumerId, GrantName, Timestamp, is_unseen};
use crate::eventlog::Revision;

/// The most characters of a reason.
pub(super) const LONGEST_REASON: usize = 512;

/// A grant as people write it, in a file or a request.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantDocument {
    /// The name of the grant among those of the publication's domain, alone or as `domain/name`; the
    /// gateway makes one up if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub id: Option<GrantReference>,
    /// Who may hear.
    #[schemars(with = "String")]
    pub consumer: ConsumerId,
    /// What: a publication, `domain/event`, or every publication of a domain, `domain/*`.
    #[schemars(with = "String")]
    pub publication: GrantedPublication,
    /// How far back it reaches; `from-grant` if missing.
    #[serde(default)]
    pub history: History,
    /// When it begins, in RFC 3339; at once if missing or past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<Timestamp>,
    /// When it ends, in RFC 3339; never by itself if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Why it is given, at most 512 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl GrantDocument {
    /// The id of the grant, if the document names it. The domain is that of the publication, also where
    /// the document says another, which [`check`](Self::check) refuses.
    pub fn grant_id(&self) -> Option<GrantId> {
        let name = self.id.as_ref()?.name().clone();
        Some(GrantId::of(&self.publication, name))
    }

    /// Checks what does not depend on a gateway.
    ///
    /// # Errors
    ///
    /// The caller's turn: a part of it cannot work.
    pub fn check(&self) -> Result<(), AccessError> {
        check_reason(&self.reason)?;
        if let Some(GrantReference::Qualified(said)) = &self.id
            && self.grant_id().as_ref() != Some(said)
        {
            let problem = "its domain is that of the publication; write the name alone";
            return Err(AccessError::invalid("/id", problem));
        }
        match (self.from, self.until) {
            (Some(from), Some(until)) if until <= from => {
                Err(AccessError::invalid("/until", "a grant ends after it has begun"))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn check_reason(reason: &str) -> Result<(), AccessError> {
    if reason.chars().count() > LONGEST_REASON || reason.chars().any(is_unseen) {
        let problem = format!(
            "use at most {LONGEST_REASON} characters, none of which hides others or is obeyed by a terminal"
        );
        return Err(AccessError::invalid("/reason", problem));
    }
    Ok(())
}

/// What a consumer may hear of a publication, and who has decided that.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// What the domain of its publication calls it.
    #[serde(rename = "id")]
    pub name: GrantName,
    /// Who may hear.
    pub consumer: ConsumerId,
    /// What.
    pub publication: GrantedPublication,
    /// How far back it reaches.
    pub history: History,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; nothing: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why it was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who has decided it: a caller, `upgrade` where the gateway gave it to whoever heard a
    /// publication before it was closed, or `files` where a reload found it.
    pub decided_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// The first position that it lets the consumer hear, resolved when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_from: Option<u64>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<GrantEnd>,
    /// The revision of what is kept.
    #[serde(skip, default = "unkept")]
    pub(super) revision: Revision,
    /// The id of its record, which is its name alone where it was kept before names were the domains'
    /// own.
    #[serde(skip)]
    pub(super) record: String,
}

pub(super) const fn unkept() -> Revision {
    Revision(0)
}

/// How a grant ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantEnd {
    /// The moment from which nothing of it begins.
    pub at: Timestamp,
    /// The newest position of the log then.
    pub position: u64,
    /// Why.
    pub why: EndOfAccess,
    /// The caller who has recalled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What that caller said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Why a consumer may not hear a publication any more.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOfAccess {
    /// Its time was over.
    Expired,
    /// Someone took it back.
    Recalled,
    /// The publication is not public any more.
    Closed,
}

impl EndOfAccess {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::Closed => "closed",
        }
    }
}

impl Grant {
    /// What it is called among all.
    pub fn id(&self) -> GrantId {
        GrantId::of(&self.publication, self.name.clone())
    }

    /// Where it stands at a moment.
    pub fn state(&self, now: Timestamp) -> GrantState {
        match &self.ended {
            Some(GrantEnd { why: EndOfAccess::Recalled, .. }) => GrantState::Recalled,
            Some(_) => GrantState::Expired,
            None if self.until.is_some_and(|until| until <= now) => GrantState::Expired,
            None if self.heard_from.is_none() => GrantState::Planned,
            None => GrantState::Active,
        }
    }

    /// What it lets its consumer hear, if it has begun and was not ended.
    pub(super) fn stretch(&self) -> Option<HeardStretch> {
        let from = self.heard_from.filter(|_| self.ended.is_none())?;
        Some(HeardStretch { from, until: self.until, grant: None })
    }

    /// Whether its end is near enough to be told.
    pub fn ends_soon(&self, now: Timestamp, ahead: std::time::Duration) -> bool {
        self.state(now) == GrantState::Active
            && self.until.is_some_and(|until| until <= now.after(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_after_it_has_begun_and_its_reason_is_bounded() {
        let read = |text: &str| serde_json::from_str::<GrantDocument>(text);
        let whole = read(r#"{"consumer": "a", "publication": "x/*"}"#).unwrap();
        assert_eq!((whole.history, whole.check().is_ok()), (History::FromGrant, true));

        let long = GrantDocument { reason: "x".repeat(513), ..whole.clone() };
        let moment = Some(Timestamp::EPOCH);
        let backwards = GrantDocument { from: moment, until: moment, ..whole };
        for document in [long, backwards] {
            assert!(document.check().is_err(), "{document:?}");
        }
        for text in [r#"{"consumer": "a"}"#, r#"{"consumer": "a", "publication": "x/*", "x": 1}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
