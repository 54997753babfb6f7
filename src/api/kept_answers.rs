//! Keeps answers to requests with an `Idempotency-Key` in the registry, encrypted under the data key.

use std::future;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Bytes, to_bytes};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64_simd::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::ambient::Clock;
use crate::api::answer_shares::{ALL_BYTES, AnswerShares, CountedAnswer, KEPT, weight};
use crate::api::answer_subject::AnswerSubject;
use crate::event::{CallerId, Timestamp};
use crate::eventlog::{LogError, Record, RecordKey, Registry};
use crate::keys::DataKey;
use crate::telemetry::error_chain;

/// The most that one answer takes where it is kept; of a larger one the body is left out.
pub(super) const ANSWER_BYTES: u64 = ALL_BYTES / 16;
const KIND: &str = "answer";
/// How many removals are under way at once.
const REMOVED_TOGETHER: usize = 64;

pub(super) type Hash = [u8; 32];

/// An answer, and the body of the request that it belongs to.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) request: Hash,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// What was answered; nothing of an answer that was too large to be kept whole.
    pub(super) body: Option<Bytes>,
    /// What it tells of; nothing if its handler has not said so, and it is not kept.
    pub(super) subject: Option<AnswerSubject>,
}

/// How an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Whole: a repeat is answered alike.
    Whole,
    /// Without its body: a repeat is told that it is one.
    WithoutBody,
    /// Not at all.
    Not,
}

/// The answers of one registry: for 24 hours, and 16 MiB of them, of which each caller has its share.
///
/// An answer may hold a secret that is shown once, so that it rests sealed, bound to its name.
pub(super) struct KeptAnswers {
    registry: Arc<dyn Registry>,
    data_key: Arc<DataKey>,
    clock: Arc<dyn Clock>,
    /// What all of them take; counted anew when this process keeps its first.
    shares: OnceCell<Mutex<AnswerShares>>,
}

impl Answer {
    /// Reads a whole answer.
    pub(super) async fn read(request: Hash, response: Response) -> Self {
        let subject = AnswerSubject::of(&response);
        let (parts, body) = response.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(body) => {
                let (status, headers) = (parts.status, parts.headers);
                Self { request, status, headers, body: Some(body), subject }
            }
            // Handlers answer with whole bodies, which cannot break off.
            Err(_) => Self {
                request,
                status: StatusCode::INTERNAL_SERVER_ERROR,
                headers: HeaderMap::new(),
                body: Some(Bytes::new()),
                subject: None,
            },
        }
    }

    /// The same without what was answered, but with where that can be read.
    fn without_body(&self) -> Self {
        let location = self.headers.get(LOCATION).map(|place| (LOCATION, place.clone()));
        let headers = location.into_iter().collect();
        Self { headers, body: None, subject: self.subject.clone(), ..*self }
    }
}

/// A record of the registry: in clear only whose share it is of.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AnswerRecord {
    caller: CallerId,
    sealed: String,
}

/// The first line of what is sealed; the body of the answer follows, if it is kept.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SealedHead {
    request: Hash,
    status: u16,
    headers: Vec<(String, String)>,
    subject: AnswerSubject,
    whole: bool,
}

impl KeptAnswers {
    /// Keeps answers in this registry.
    pub(super) const fn new(
        registry: Arc<dyn Registry>,
        data_key: Arc<DataKey>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { registry, data_key, clock, shares: OnceCell::const_new() }
    }

    /// The answer that was given under a name; nothing if it was none, is too old, or was sealed
    /// under a data key that was lost.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn read(&self, name: &Hash) -> Result<Option<Answer>, LogError> {
        let record = self.registry.get(&key(name)).await?;
        let record = record.filter(|record| !is_old(record, self.clock.now()));
        Ok(record.and_then(|record| self.open(&record)))
    }

    /// Keeps an answer before it is given. A failure costs only the recognition of a repeat.
    pub(super) async fn keep(&self, name: &Hash, caller: &CallerId, answer: &Answer) -> Keeping {
        self.try_keep(name, caller, answer).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = %error_chain(&error),
                "An answer is not kept; a repeat of its request would not be recognized",
            );
            Keeping::Not
        })
    }

    async fn try_keep(
        &self,
        name: &Hash,
        caller: &CallerId,
        answer: &Answer,
    ) -> Result<Keeping, LogError> {
        let key = key(name);
        let Some(mut body) = self.sealed(&key, caller, answer) else { return Ok(Keeping::Not) };
        let mut keeping = Keeping::Whole;
        if weight(&body) > ANSWER_BYTES {
            keeping = Keeping::WithoutBody;
            let small = self.sealed(&key, caller, &answer.without_body());
            match small.filter(|small| weight(small) <= ANSWER_BYTES) {
                Some(small) => body = small,
                None => return Ok(Keeping::Not),
            }
        }
        let shares = self.shares.get_or_try_init(|| self.count()).await?;
        let before = self.registry.get(&key).await?.map(|record| record.revision);
        let revision = self.registry.put(&key, before, body.clone()).await?;
        let now = self.clock.now();
        let record = Record { id: key.id, revision, changed: now, body };
        let excess = {
            let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = before {
                shares.remove(Some(caller), before);
            }
            shares.add(CountedAnswer::of(Some(caller.clone()), record));
            shares.take_excess(now)
        };
        if excess.iter().any(|one| one.revision == revision) {
            keeping = Keeping::Not;
        }
        self.remove(shares, excess).await;
        Ok(keeping)
    }

    /// Removes answers, together, so that many small ones are one writing.
    async fn remove(&self, shares: &Mutex<AnswerShares>, excess: Vec<CountedAnswer>) {
        let removals = excess.into_iter().map(|answer| self.remove_one(shares, answer));
        stream::iter(removals).buffer_unordered(REMOVED_TOGETHER).for_each(future::ready).await;
    }

    /// Removes an answer; one that cannot be removed now stays in the count.
    async fn remove_one(&self, shares: &Mutex<AnswerShares>, answer: CountedAnswer) {
        let key = RecordKey { kind: KIND, id: answer.id.clone() };
        match self.registry.remove(&key, answer.revision).await {
            // Someone else was here first.
            Ok(()) | Err(LogError::Stale { .. }) => {}
            Err(error) => {
                tracing::warn!(
                    error = %error_chain(&error),
                    "An answer that is kept for too long or takes too much cannot be removed",
                );
                shares.lock().unwrap_or_else(PoisonError::into_inner).add(answer);
            }
        }
    }

    async fn count(&self) -> Result<Mutex<AnswerShares>, LogError> {
        let mut shares = AnswerShares::default();
        for record in self.registry.list(KIND).await? {
            // What a release of before has kept says not of whom, and shares one part.
            let caller = serde_json::from_str::<AnswerRecord>(&record.body).ok();
            shares.add(CountedAnswer::of(caller.map(|kept| kept.caller), record));
        }
        Ok(Mutex::new(shares))
    }

    /// The text of a record; nothing for an answer of which nobody has said what it tells of.
    fn sealed(&self, key: &RecordKey, caller: &CallerId, answer: &Answer) -> Option<String> {
        let text = SealedHead::before(answer)?;
        let sealed = self.data_key.seal(&context(&key.id), &text);
        serde_json::to_string(&AnswerRecord { caller: caller.clone(), sealed }).ok()
    }

    fn open(&self, record: &Record) -> Option<Answer> {
        let kept: AnswerRecord = serde_json::from_str(&record.body).ok()?;
        let opened = self.data_key.open(&context(&record.id), &kept.sealed).ok()?;
        let end = opened.iter().position(|byte| *byte == b'\n')?;
        let (head, body) = opened.split_at_checked(end)?;
        serde_json::from_slice::<SealedHead>(head).ok()?.answer(body.get(1..)?)
    }
}

impl SealedHead {
    /// What is sealed of an answer.
    fn before(answer: &Answer) -> Option<Zeroizing<Vec<u8>>> {
        let text = |value: &HeaderValue| URL_SAFE_NO_PAD.encode_to_string(value.as_bytes());
        let headers = answer.headers.iter();
        let head = Self {
            request: answer.request,
            status: answer.status.as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            subject: answer.subject.clone()?,
            whole: answer.body.is_some(),
        };
        let mut sealed = Zeroizing::new(serde_json::to_vec(&head).ok()?);
        sealed.push(b'\n');
        sealed.extend_from_slice(answer.body.as_deref().unwrap_or_default());
        Some(sealed)
    }

    fn answer(self, body: &[u8]) -> Option<Answer> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().ok()?;
            let value = URL_SAFE_NO_PAD.decode_to_vec(value).ok()?;
            headers.append(name, HeaderValue::from_bytes(&value).ok()?);
        }
        Some(Answer {
            request: self.request,
            status: StatusCode::from_u16(self.status).ok()?,
            headers,
            body: self.whole.then(|| Bytes::copy_from_slice(body)),
            subject: Some(self.subject),
        })
    }
}

fn key(name: &Hash) -> RecordKey {
    RecordKey { kind: KIND, id: URL_SAFE_NO_PAD.encode_to_string(name) }
}

/// Binds a sealed answer to its name, so that it is not given to another request.
fn context(id: &str) -> String {
    format!("answer/{id}")
}

fn is_old(record: &Record, now: Timestamp) -> bool {
    record.changed.after(KEPT) <= now
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::eventlog::{LogLimits, MemoryLog};

    fn parts() -> (Arc<dyn Registry>, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let entropy = Arc::new(SeededEntropy::new(1));
        (MemoryLog::new(LogLimits::default(), Arc::new(clock.clone()), entropy), clock)
    }

    fn kept(registry: &Arc<dyn Registry>, clock: &ManualClock, seed: u64) -> KeptAnswers {
        let data_key = Arc::new(DataKey::generate(&SeededEntropy::new(seed)));
        KeptAnswers::new(Arc::clone(registry), data_key, Arc::new(clock.clone()))
    }

    fn answer(body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.append("etag", HeaderValue::from_static("\"1\""));
        headers.append(LOCATION, HeaderValue::from_static("/grants/one"));
        let subject = serde_json::json!({
            "grant": { "id": "orders/one", "publication": "orders/Order.Created" },
        });
        Answer {
            request: [7; 32],
            status: StatusCode::CREATED,
            headers,
            body: Some(body.into()),
            subject: Some(serde_json::from_value(subject).unwrap()),
        }
    }

    fn caller(name: &str) -> CallerId {
        name.parse().unwrap()
    }

    async fn bytes(registry: &Arc<dyn Registry>) -> u64 {
        registry.list(KIND).await.unwrap().iter().map(|record| weight(&record.body)).sum()
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole_for_a_day_and_rests_sealed() {
        let (registry, clock) = parts();
        let told = answer("hunter2");
        let first = kept(&registry, &clock, 1);
        assert_eq!(first.keep(&[1; 32], &caller("a"), &told).await, Keeping::Whole);
        let again = kept(&registry, &clock, 1);

        let found = again.read(&[1; 32]).await.unwrap().unwrap();

        assert_eq!((found.request, found.status), (told.request, told.status));
        assert_eq!((found.headers, found.body), (told.headers, told.body));
        assert_eq!(found.subject, told.subject);
        assert!(again.read(&[2; 32]).await.unwrap().is_none());
        assert!(kept(&registry, &clock, 2).read(&[1; 32]).await.unwrap().is_none());
        let records = registry.list(KIND).await.unwrap();
        assert!(!records[0].body.contains("hunter2") && !records[0].body.contains("aHVudGVyM"));
        clock.advance(KEPT);
        assert!(again.read(&[1; 32]).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn one_callers_large_answers_push_out_its_own_and_nobody_elses_also_after_a_restart() {
        let (registry, clock) = parts();
        let mut answers = kept(&registry, &clock, 1);
        answers.keep(&[0; 32], &caller("quiet"), &answer("small")).await;
        let large = answer(vec![b'x'; 700 * 1024]);
        for number in 1..=40 {
            if number == 20 {
                answers = kept(&registry, &clock, 1);
            }
            assert_eq!(
                answers.keep(&[number; 32], &caller("loud"), &large).await,
                Keeping::Whole,
                "{number}",
            );
        }

        assert!(answers.read(&[0; 32]).await.unwrap().is_some(), "the other's is there");
        assert!(answers.read(&[1; 32]).await.unwrap().is_none());
        assert!(answers.read(&[37; 32]).await.unwrap().is_some());
        assert!(answers.read(&[40; 32]).await.unwrap().is_some());
        assert!(bytes(&registry).await <= ALL_BYTES / 4 + 1000, "{}", bytes(&registry).await);
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_what_was_kept_before_shares_one_part() {
        let (registry, clock) = parts();
        let before = RecordKey { kind: KIND, id: "of-before".to_owned() };
        registry.put(&before, None, "x".repeat(2000)).await.unwrap();
        let answers = kept(&registry, &clock, 1);
        answers.keep(&[0; 32], &caller("a"), &answer("old")).await;
        clock.advance(KEPT.checked_sub(Duration::from_mins(1)).unwrap());
        answers.keep(&[1; 32], &caller("b"), &answer("new")).await;
        assert_eq!(registry.list(KIND).await.unwrap().len(), 3);
        clock.advance(Duration::from_mins(1));

        answers.keep(&[1; 32], &caller("b"), &answer("newer")).await;

        let left = registry.list(KIND).await.unwrap();
        assert_eq!(left.len(), 1);
        let newer = answers.read(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(newer.body.as_deref(), Some(&b"newer"[..]));
    }

    #[tokio::test]
    async fn of_a_very_large_answer_it_is_kept_that_it_was_given_and_where_it_can_be_read() {
        let (registry, clock) = parts();
        let answers = kept(&registry, &clock, 1);
        let large = answer(vec![b'x'; 900 * 1024]);
        let keeping = answers.keep(&[1; 32], &caller("a"), &large).await;

        let found = answers.read(&[1; 32]).await.unwrap().unwrap();

        assert_eq!((keeping, found.body), (Keeping::WithoutBody, None));
        assert_eq!((found.status, found.request), (large.status, large.request));
        assert_eq!(found.headers.get(LOCATION), large.headers.get(LOCATION));
        assert_eq!(found.headers.len(), 1);
        assert!(bytes(&registry).await < 2000);
        let unsaid = Answer { subject: None, ..large };
        assert_eq!(answers.keep(&[2; 32], &caller("a"), &unsaid).await, Keeping::Not);
    }
}
