//! Keeps answers to requests with an `Idempotency-Key` in the registry, encrypted under the data key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::ambient::Clock;
use crate::event::Timestamp;
use crate::eventlog::{LogError, Record, RecordKey, Registry};
use crate::keys::DataKey;
use crate::telemetry::error_chain;

/// How long an answer is kept.
pub(super) const KEPT: Duration = Duration::from_hours(24);
/// How many bytes of answers are kept at most; beyond them the ones least asked for go first.
pub(super) const KEPT_BYTES: u64 = 16 * 1024 * 1024;
const KIND: &str = "answer";
/// What a record takes beside its body.
const OVERHEAD: u64 = 200;

pub(super) type Hash = [u8; 32];

/// An answer, and the body of the request that it belongs to.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) request: Hash,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether it was given in an earlier life of the gateway.
    pub(super) is_old: bool,
}

/// The answers of one registry: for 24 hours, and 16 MiB of them, the newest.
///
/// An answer may hold a secret that is shown once, so that it rests sealed, bound to its name.
pub(super) struct KeptAnswers {
    registry: Arc<dyn Registry>,
    data_key: Arc<DataKey>,
    clock: Arc<dyn Clock>,
    /// What is kept, at most; unknown before the first look, which is therefore due at once.
    bytes: AtomicU64,
}

impl Answer {
    /// Reads a whole answer.
    pub(super) async fn read(request: Hash, response: Response) -> Self {
        let (parts, body) = response.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(body) => {
                let (status, headers) = (parts.status, parts.headers);
                Self { request, status, headers, body, is_old: false }
            }
            // Handlers answer with whole bodies, which cannot break off.
            Err(_) => Self {
                request,
                status: StatusCode::INTERNAL_SERVER_ERROR,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                is_old: false,
            },
        }
    }
}

/// An answer as it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SealedAnswer {
    request: Hash,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl KeptAnswers {
    /// Keeps answers in this registry.
    pub(super) const fn new(
        registry: Arc<dyn Registry>,
        data_key: Arc<DataKey>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { registry, data_key, clock, bytes: AtomicU64::new(u64::MAX) }
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
    pub(super) async fn keep(&self, name: &Hash, answer: &Answer) {
        if let Err(error) = self.try_keep(name, answer).await {
            tracing::warn!(
                error = %error_chain(&error),
                "An answer is not kept; a repeat of its request would not be recognized after a restart",
            );
        }
    }

    async fn try_keep(&self, name: &Hash, answer: &Answer) -> Result<(), LogError> {
        let key = key(name);
        let sealed = self.data_key.seal(&context(&key.id), &SealedAnswer::of(answer));
        let added = weight(&sealed);
        let before = self.registry.get(&key).await?.map(|record| record.revision);
        self.registry.put(&key, before, sealed).await?;
        if self.bytes.load(Relaxed).saturating_add(added) > KEPT_BYTES {
            self.sweep().await?;
        } else {
            self.bytes.fetch_add(added, Relaxed);
        }
        Ok(())
    }

    /// Removes what is too old, and the oldest of what is too much: then a quarter more, so that the
    /// next look is far away.
    async fn sweep(&self) -> Result<(), LogError> {
        let now = self.clock.now();
        let mut records = self.registry.list(KIND).await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.revision));
        let mut bytes = 0;
        let total: u64 = records.iter().map(|record| weight(&record.body)).sum();
        let most = if total > KEPT_BYTES { KEPT_BYTES / 4 * 3 } else { KEPT_BYTES };
        for record in records {
            let with = bytes + weight(&record.body);
            if with <= most && !is_old(&record, now) {
                bytes = with;
                continue;
            }
            let key = RecordKey { kind: KIND, id: record.id };
            match self.registry.remove(&key, record.revision).await {
                // Someone else was here first.
                Ok(()) | Err(LogError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    fn open(&self, record: &Record) -> Option<Answer> {
        let opened = self.data_key.open(&context(&record.id), &record.body).ok()?;
        serde_json::from_slice::<SealedAnswer>(&opened).ok()?.answer()
    }
}

impl SealedAnswer {
    fn of(answer: &Answer) -> zeroize::Zeroizing<Vec<u8>> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        let headers = answer.headers.iter();
        let kept = Self {
            request: answer.request,
            status: answer.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(&answer.body),
        };
        // Texts and numbers always serialize.
        zeroize::Zeroizing::new(serde_json::to_vec(&kept).unwrap_or_default())
    }

    fn answer(self) -> Option<Answer> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode_to_vec(text).ok();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_bytes(&bytes(value)?).ok()?);
        }
        let (status, body) = (StatusCode::from_u16(self.status).ok()?, bytes(&self.body)?);
        Some(Answer {
            request: self.request,
            status,
            headers,
            body: Bytes::from(body),
            is_old: true,
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

const fn weight(body: &str) -> u64 {
    body.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
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
        let (status, body) = (StatusCode::CREATED, body.into());
        Answer { request: [7; 32], status, headers, body, is_old: false }
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole_for_a_day_and_rests_sealed() {
        let (registry, clock) = parts();
        kept(&registry, &clock, 1).keep(&[1; 32], &answer("hunter2")).await;
        let again = kept(&registry, &clock, 1);

        let found = again.read(&[1; 32]).await.unwrap().unwrap();

        let expected = answer("hunter2");
        assert_eq!((found.request, found.status), (expected.request, expected.status));
        assert_eq!((found.headers, found.body), (expected.headers, expected.body));
        assert!(again.read(&[2; 32]).await.unwrap().is_none());
        assert!(kept(&registry, &clock, 2).read(&[1; 32]).await.unwrap().is_none());
        let records = registry.list(KIND).await.unwrap();
        assert!(!records[0].body.contains("hunter2") && !records[0].body.contains("aHVudGVyM"));
        clock.advance(KEPT);
        assert!(again.read(&[1; 32]).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_old_and_what_is_too_much_is_removed_the_oldest_first() {
        let (registry, clock) = parts();
        let answers = kept(&registry, &clock, 1);
        answers.keep(&[0; 32], &answer("old")).await;
        clock.advance(KEPT.checked_sub(Duration::from_mins(1)).unwrap());
        for number in 1..=8 {
            answers.keep(&[number; 32], &answer(vec![b'x'; 2 * 1024 * 1024])).await;
        }
        clock.advance(Duration::from_mins(1));
        let whole: u64 =
            registry.list(KIND).await.unwrap().iter().map(|record| weight(&record.body)).sum();
        assert!(whole <= KEPT_BYTES, "{whole}");
        assert!(answers.read(&[0; 32]).await.unwrap().is_none());
        assert!(answers.read(&[1; 32]).await.unwrap().is_none());
        assert!(answers.read(&[8; 32]).await.unwrap().is_some());
    }
}
