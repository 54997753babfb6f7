//! `Idempotency-Key`: a request that is sent again is answered as it was the first time.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

use crate::ambient::Tasks;
use crate::api::event_body::{self, UnreadBody};
use crate::api::kept_answers::{Answer, Hash, KEPT, KEPT_BYTES, KeptAnswers};
use crate::api::{Caller, Code, Problem, Services};

/// The header that names a request (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
const KEY_BYTES: usize = 255;
/// What an answer takes beside its body.
const OVERHEAD: u32 = 512;

/// The answers that were given to requests with a key, for 24 hours, also after a restart.
///
/// Only what succeeded is kept: a refused request may be corrected and sent again under its key. A
/// process that dies between a change and the keeping of its answer has made the change and gives
/// its repeat the answer of a second one, for example `already-exists`.
#[derive(Clone)]
pub struct Repeats {
    services: Arc<Services>,
    answers: Answers,
}

impl Repeats {
    /// Starts with no answer.
    pub fn new(services: Arc<Services>) -> Self {
        let kept = KeptAnswers::new(
            Arc::clone(&services.store.registry),
            Arc::clone(&services.data_key),
            Arc::clone(&services.clock),
        );
        let answers = Answers::new(services.tasks.clone(), kept);
        Self { services, answers }
    }
}

/// Answers a request with an `Idempotency-Key` once, and its repeats alike; others pass.
///
/// # Errors
///
/// The caller's turn: it has no valid key, or the request's key is of another request or too long.
pub async fn once(
    State(repeats): State<Repeats>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = request.headers().get(KEY).cloned() else {
        return Ok(next.run(request).await);
    };
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &repeats.services).await?;
    let limit = repeats.services.config.max_body;
    let share = repeats.services.bodies.share();
    let body = event_body::read(&parts.headers, body, limit.bytes(), &share).await;
    let body = body.map_err(|unread| match unread {
        UnreadBody::NoRoom => event_body::crowded(),
        UnreadBody::TooLong | UnreadBody::Broken => {
            Problem::new(Code::TooLarge, format!("the body is over {limit}"))
        }
    })?;
    let name = name(&caller.key, parts.uri.path(), &key)?;
    let digest = Sha256::digest(&body).into();
    let request = Request::from_parts(parts, Body::from(body));
    let handler = async move {
        let response = next.run(request).await;
        drop(share);
        response
    };
    repeats.answers.of(name, digest, handler.in_current_span()).await
}

/// Names a request by who sends it, where to, and under which key.
fn name(caller: &Hash, path: &str, key: &HeaderValue) -> Result<Hash, Problem> {
    if key.is_empty() || key.len() > KEY_BYTES {
        let detail = format!("Idempotency-Key: use 1 to {KEY_BYTES} characters");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    let mut hash = Sha256::new();
    // The first part has one length, and no path has the separator in it.
    for part in [caller.as_slice(), path.as_bytes(), key.as_bytes()] {
        hash.update(part);
        hash.update([0]);
    }
    Ok(hash.finalize().into())
}

#[derive(Clone)]
struct Answers {
    recent: Cache<Hash, Arc<Answer>>,
    kept: Arc<KeptAnswers>,
    tasks: Tasks,
}

impl Answers {
    fn new(tasks: Tasks, kept: KeptAnswers) -> Self {
        let weight = |_: &Hash, answer: &Arc<Answer>| {
            u32::try_from(answer.body.len()).unwrap_or(u32::MAX).saturating_add(OVERHEAD)
        };
        let recent =
            Cache::builder().weigher(weight).max_capacity(KEPT_BYTES).time_to_live(KEPT).build();
        Self { recent, kept: Arc::new(kept), tasks }
    }

    /// Gives the answer that is kept under a name, or lets the handler make it. Requests that come
    /// while the handler works wait for its answer.
    async fn of(
        &self,
        name: Hash,
        request: Hash,
        handler: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Problem> {
        let (recent, kept) = (self.recent.clone(), Arc::clone(&self.kept));
        // In a task of its own: a caller that hangs up half way is the one who will ask again, and
        // what its request did has to be known by then.
        let asked = self.tasks.spawn(async move {
            let answer = async move {
                match kept.read(&name).await {
                    Ok(Some(answer)) => return Ok(Arc::new(answer)),
                    Ok(None) => {}
                    // Whether it was done is not known, so it is not done again.
                    Err(error) => {
                        let refused = Problem::from(error).into_response();
                        return Err(Answer::read(request, refused).await);
                    }
                }
                let answer = Answer::read(request, handler.await).await;
                if !answer.status.is_success() {
                    return Err(answer);
                }
                kept.keep(&name, &answer).await;
                Ok(Arc::new(answer))
            };
            match recent.entry(name).or_try_insert_with(answer).await {
                Ok(entry) => {
                    let answer = Answer::clone(entry.value());
                    (entry.is_fresh() && !answer.is_old, answer)
                }
                Err(refusal) => (true, Answer::clone(&refusal)),
            }
        });
        let (is_fresh, answer) = asked.await.map_err(|error| Problem::internal(&error))?;
        if answer.request != request {
            let detail = "this Idempotency-Key belongs to a request with another body";
            return Err(Problem::new(Code::Invalid, detail));
        }
        let mut response = (answer.status, answer.headers, answer.body).into_response();
        if !is_fresh {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use axum::http::StatusCode;
    use tokio::sync::oneshot;

    use axum::body::to_bytes;

    use super::*;
    use crate::ambient::{Clock, ManualClock, SeededEntropy};
    use crate::event::Timestamp;
    use crate::eventlog::{LogLimits, MemoryLog, Registry};
    use crate::keys::DataKey;

    /// Counts how often it was asked.
    #[derive(Clone, Default)]
    struct Handler(Arc<AtomicU32>);

    impl Handler {
        fn call(&self, status: StatusCode) -> impl Future<Output = Response> + Send + use<> {
            let count = Arc::clone(&self.0);
            async move {
                let count = count.fetch_add(1, Relaxed) + 1;
                (status, [("etag", "\"1\"")], format!("answer {count}")).into_response()
            }
        }
    }

    async fn told(response: Response) -> (u16, bool, String) {
        let (status, again) =
            (response.status().as_u16(), response.headers().contains_key(REPLAYED));
        assert_eq!(response.headers()["etag"], "\"1\"");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, again, String::from_utf8(body.to_vec()).unwrap())
    }

    fn answers() -> Answers {
        answers_over(&registry())
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)))
    }

    fn registry() -> Arc<dyn Registry> {
        MemoryLog::new(LogLimits::default(), clock(), Arc::new(SeededEntropy::new(2)))
    }

    fn answers_over(registry: &Arc<dyn Registry>) -> Answers {
        let data_key = Arc::new(DataKey::generate(&SeededEntropy::new(1)));
        Answers::new(Tasks::new(), KeptAnswers::new(Arc::clone(registry), data_key, clock()))
    }

    fn named(caller: &str, path: &str, key: &'static str) -> Hash {
        name(&Sha256::digest(caller).into(), path, &HeaderValue::from_static(key)).unwrap()
    }

    #[tokio::test]
    async fn a_request_that_succeeded_is_answered_alike_when_it_comes_again() {
        let (answers, handler) = (answers(), Handler::default());
        let ask = || answers.of([1; 32], [7; 32], handler.call(StatusCode::CREATED));

        assert_eq!(told(ask().await.unwrap()).await, (201, false, "answer 1".to_owned()));
        assert_eq!(told(ask().await.unwrap()).await, (201, true, "answer 1".to_owned()));
        let other = answers.of([2; 32], [7; 32], handler.call(StatusCode::CREATED)).await;
        assert_eq!(told(other.unwrap()).await.2, "answer 2");
    }

    #[tokio::test]
    async fn a_request_is_answered_alike_by_the_next_life_of_the_gateway() {
        let (registry, handler) = (registry(), Handler::default());
        let first = answers_over(&registry);
        let work = handler.call(StatusCode::CREATED);
        assert_eq!(
            told(first.of([1; 32], [7; 32], work).await.unwrap()).await,
            (201, false, "answer 1".to_owned())
        );

        let next = answers_over(&registry);
        let again = next.of([1; 32], [7; 32], handler.call(StatusCode::CREATED)).await.unwrap();
        assert_eq!(told(again).await, (201, true, "answer 1".to_owned()));
        let other = next.of([1; 32], [8; 32], handler.call(StatusCode::CREATED)).await;
        assert_eq!(other.unwrap_err().code(), Code::Invalid);
    }

    #[tokio::test]
    async fn a_refused_request_may_be_corrected_under_its_key_and_an_answered_one_may_not() {
        let (answers, handler) = (answers(), Handler::default());
        let ask = |body, status| answers.of([1; 32], body, handler.call(status));

        let refused = ask([7; 32], StatusCode::UNPROCESSABLE_ENTITY).await.unwrap();
        assert_eq!(told(refused).await.0, 422);
        let corrected = ask([8; 32], StatusCode::CREATED).await.unwrap();
        assert_eq!(told(corrected).await, (201, false, "answer 2".to_owned()));
        let other = ask([9; 32], StatusCode::CREATED).await.unwrap_err();
        assert_eq!(other.code(), Code::Invalid);
    }

    #[tokio::test]
    async fn what_a_caller_began_and_did_not_wait_for_is_done_once() {
        let (answers, handler) = (answers(), Handler::default());
        let (go, gate) = oneshot::channel::<()>();
        let work = handler.call(StatusCode::CREATED);
        let slow = async move {
            let _ = gate.await;
            work.await
        };
        let mut first = Box::pin(answers.of([1; 32], [7; 32], slow));
        let hung_up = tokio::select! {
            biased;
            _ = &mut first => false,
            () = tokio::task::yield_now() => true,
        };
        drop(first);
        go.send(()).unwrap();

        let again = answers.of([1; 32], [7; 32], handler.call(StatusCode::CREATED)).await;

        assert!(hung_up);
        assert_eq!(told(again.unwrap()).await, (201, true, "answer 1".to_owned()));
    }

    #[test]
    fn a_key_is_its_callers_and_its_paths_own() {
        let one = named("a", "/subscriptions", "k");

        assert_eq!(one, named("a", "/subscriptions", "k"));
        for other in [
            named("b", "/subscriptions", "k"),
            named("a", "/subscriptions/x/replays", "k"),
            named("a", "/subscriptions", "l"),
        ] {
            assert_ne!(one, other);
        }
        let caller = [1; 32];
        for key in ["", &"x".repeat(256)] {
            assert!(name(&caller, "/", &HeaderValue::try_from(key).unwrap()).is_err());
        }
    }
}
