//! `Idempotency-Key`: a request that is sent again is answered as it was the first time.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

use crate::ambient::{Tasks, Turns};
use crate::api::answer_subject::AnswerSubject;
use crate::api::authentication::not_valid;
use crate::api::body_budget::BodySender;
use crate::api::event_body::{self, UnreadBody};
use crate::api::kept_answers::{Answer, Hash, Keeping, KeptAnswers};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::CallerId;

/// The header that names a request (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
const KEY_BYTES: usize = 255;
/// The header of an answer that is not kept whole: what a repeat cannot be told.
const KEPT: HeaderName = HeaderName::from_static("idempotency-kept");

/// The answers that were given to requests with a key, for 24 hours, also after a restart.
///
/// Only what succeeded is kept: a refused request may be corrected and sent again under its key. A
/// process that dies between a change and the keeping of its answer has made the change and gives
/// its repeat the answer of a second one, for example `already-exists`.
///
/// Who asks again is looked up anew, and is told the answer only if its request would be served now
/// and what the answer tells of is still there.
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
    let share = repeats.services.bodies.share_of([BodySender::Caller(caller.id().clone())]);
    let body = event_body::read(&parts.headers, body, limit.bytes(), &share).await;
    let body = body.map_err(|unread| match unread {
        UnreadBody::NoRoom => event_body::crowded(),
        UnreadBody::TooLong | UnreadBody::Broken => {
            Problem::new(Code::TooLarge, format!("the body is over {limit}"))
        }
    })?;
    let asked = Asked {
        name: name(&caller.identity, (&parts.method, &parts.uri), &key)?,
        request: Sha256::digest(&body).into(),
        caller: caller.id().clone(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let handler = async move {
        let response = next.run(request).await;
        drop(share);
        response
    };
    let services = Arc::clone(&repeats.services);
    let may_be_told = async move |subject: AnswerSubject| {
        let known = services.callers.again(&caller).await?.ok_or_else(not_valid)?;
        subject.must_be_told(&services, &known).await
    };
    repeats.answers.of(asked, handler.in_current_span(), may_be_told).await
}

/// Names a request by who sends it, what it asks for, and under which key.
fn name(caller: &Hash, (method, uri): (&Method, &Uri), key: &HeaderValue) -> Result<Hash, Problem> {
    if key.is_empty() || key.len() > KEY_BYTES {
        let detail = format!("Idempotency-Key: use 1 to {KEY_BYTES} characters");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    let mut hash = Sha256::new();
    let query = uri.query().unwrap_or_default();
    // The first part has one length, and none of the others has the separator in it.
    for part in [
        caller,
        method.as_str().as_bytes(),
        uri.path().as_bytes(),
        query.as_bytes(),
        key.as_bytes(),
    ] {
        hash.update(part);
        hash.update([0]);
    }
    Ok(hash.finalize().into())
}

/// A request with a key.
struct Asked {
    name: Hash,
    /// The digest of its body.
    request: Hash,
    caller: CallerId,
}

#[derive(Clone)]
struct Answers {
    kept: Arc<KeptAnswers>,
    /// Whoever asks under a name waits for those who have asked before.
    turns: Arc<Turns<Hash>>,
    tasks: Tasks,
}

impl Answers {
    fn new(tasks: Tasks, kept: KeptAnswers) -> Self {
        Self { kept: Arc::new(kept), turns: Arc::default(), tasks }
    }

    /// Gives the answer that is kept under a name, if it may be told, or lets the handler make it.
    /// Requests that come while the handler works wait for its answer.
    async fn of<T: Future<Output = Result<(), Problem>> + Send>(
        &self,
        asked: Asked,
        handler: impl Future<Output = Response> + Send + 'static,
        may_be_told: impl FnOnce(AnswerSubject) -> T + Send + 'static,
    ) -> Result<Response, Problem> {
        let (kept, turns) = (Arc::clone(&self.kept), Arc::clone(&self.turns));
        // In a task of its own: a caller that hangs up half way is the one who will ask again, and
        // what its request did has to be known by then.
        let work = async move {
            let _turn = turns.take(&asked.name).await;
            // If it is not known whether it was done, it is not done again.
            let Some(answer) = kept.read(&asked.name).await? else {
                return Ok(answered(&kept, &asked, handler.await).await);
            };
            if let Some(subject) = answer.subject.clone() {
                may_be_told(subject).await?;
            }
            if answer.request != asked.request {
                let detail = "this Idempotency-Key belongs to a request with another body";
                return Err(Problem::new(Code::Invalid, detail));
            }
            Ok(told_again(answer))
        };
        self.tasks.spawn(work).await.map_err(|error| Problem::internal(&error))?
    }
}

/// Keeps what a handler has answered, and says in it what is not kept of it.
async fn answered(kept: &KeptAnswers, asked: &Asked, response: Response) -> Response {
    let answer = Answer::read(asked.request, response).await;
    let keeping = if answer.status.is_success() {
        kept.keep(&asked.name, &asked.caller, &answer).await
    } else {
        Keeping::Whole
    };
    let mut response = response_of(answer);
    if let Some(word) = keeping.word() {
        response.headers_mut().insert(KEPT, HeaderValue::from_static(word));
    }
    response
}

/// An answer that was given before, or of one whose body is not kept, that it was given.
fn told_again(answer: Answer) -> Response {
    let mut response = if answer.body.is_some() {
        response_of(answer)
    } else {
        let detail = "this request was done when it first came under its Idempotency-Key, and is not \
                      done again; its answer was too large to be kept: read what it has made";
        let mut response = Problem::new(Code::Gone, detail).into_response();
        response.headers_mut().extend(answer.headers);
        response
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn response_of(answer: Answer) -> Response {
    (answer.status, answer.headers, answer.body.unwrap_or_default()).into_response()
}

impl Keeping {
    /// What an answer says of it; nothing where a repeat is answered alike.
    const fn word(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::WithoutBody => Some("without-body"),
            Self::Not => Some("not"),
        }
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
                let answer = (status, [("etag", "\"1\"")], format!("answer {count}"));
                subject().on(answer.into_response())
            }
        }
    }

    fn subject() -> AnswerSubject {
        let subject = serde_json::json!({
            "grant": { "id": "orders/one", "publication": "orders/Order.Created" },
        });
        serde_json::from_value(subject).unwrap()
    }

    fn asked(name: u8, request: u8) -> Asked {
        let caller = "someone".parse().unwrap();
        Asked { name: [name; 32], request: [request; 32], caller }
    }

    /// Whoever asks may be told.
    async fn all(_: AnswerSubject) -> Result<(), Problem> {
        Ok(())
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
        let caller = Sha256::digest(caller).into();
        let asks = (&Method::POST, &path.parse().unwrap());
        name(&caller, asks, &HeaderValue::from_static(key)).unwrap()
    }

    #[tokio::test]
    async fn a_request_that_succeeded_is_answered_alike_when_it_comes_again() {
        let (answers, handler) = (answers(), Handler::default());
        let ask = || answers.of(asked(1, 7), handler.call(StatusCode::CREATED), all);

        assert_eq!(told(ask().await.unwrap()).await, (201, false, "answer 1".to_owned()));
        assert_eq!(told(ask().await.unwrap()).await, (201, true, "answer 1".to_owned()));
        let other = answers.of(asked(2, 7), handler.call(StatusCode::CREATED), all).await;
        assert_eq!(told(other.unwrap()).await.2, "answer 2");
    }

    #[tokio::test]
    async fn a_request_is_answered_alike_by_the_next_life_of_the_gateway() {
        let (registry, handler) = (registry(), Handler::default());
        let first = answers_over(&registry);
        let work = handler.call(StatusCode::CREATED);
        assert_eq!(
            told(first.of(asked(1, 7), work, all).await.unwrap()).await,
            (201, false, "answer 1".to_owned())
        );

        let next = answers_over(&registry);
        let again = next.of(asked(1, 7), handler.call(StatusCode::CREATED), all).await.unwrap();
        assert_eq!(told(again).await, (201, true, "answer 1".to_owned()));
        let other = next.of(asked(1, 8), handler.call(StatusCode::CREATED), all).await;
        assert_eq!(other.unwrap_err().code(), Code::Invalid);
    }

    #[tokio::test]
    async fn a_refused_request_may_be_corrected_under_its_key_and_an_answered_one_may_not() {
        let (answers, handler) = (answers(), Handler::default());
        let ask = |body, status| answers.of(asked(1, body), handler.call(status), all);

        let refused = ask(7, StatusCode::UNPROCESSABLE_ENTITY).await.unwrap();
        assert_eq!(told(refused).await.0, 422);
        let corrected = ask(8, StatusCode::CREATED).await.unwrap();
        assert_eq!(told(corrected).await, (201, false, "answer 2".to_owned()));
        let other = ask(9, StatusCode::CREATED).await.unwrap_err();
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
        let mut first = Box::pin(answers.of(asked(1, 7), slow, all));
        let hung_up = tokio::select! {
            biased;
            _ = &mut first => false,
            () = tokio::task::yield_now() => true,
        };
        drop(first);
        go.send(()).unwrap();

        let again = answers.of(asked(1, 7), handler.call(StatusCode::CREATED), all).await;

        assert!(hung_up);
        assert_eq!(told(again.unwrap()).await, (201, true, "answer 1".to_owned()));
    }

    #[tokio::test]
    async fn who_may_not_be_told_any_more_is_refused_and_nothing_is_done() {
        let (answers, handler) = (answers(), Handler::default());
        answers.of(asked(1, 7), handler.call(StatusCode::CREATED), all).await.unwrap();
        let refuse = async |of| {
            assert_eq!(of, subject());
            Err(Problem::new(Code::Forbidden, "not any more"))
        };

        let again = answers.of(asked(1, 7), handler.call(StatusCode::CREATED), refuse).await;

        assert_eq!(again.unwrap_err().code(), Code::Forbidden);
        assert_eq!(handler.0.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_not_kept_whole_is_told_in_the_answer_and_is_not_done_twice() {
        let (answers, handler) = (answers(), Handler::default());
        let large = || {
            let small = handler.call(StatusCode::CREATED);
            async move {
                let place = [("location", "/grants/one")];
                drop(small.await);
                subject().on((StatusCode::CREATED, place, "x".repeat(1_000_000)).into_response())
            }
        };

        let first = answers.of(asked(1, 7), large(), all).await.unwrap();
        assert_eq!(first.status(), StatusCode::CREATED);
        assert_eq!(first.headers()[KEPT], "without-body");
        let again = answers.of(asked(1, 7), large(), all).await.unwrap();

        assert_eq!(again.status(), StatusCode::GONE);
        assert_eq!(again.headers()[REPLAYED], "true");
        assert_eq!(again.headers()["location"], "/grants/one");
        assert_eq!(handler.0.load(Relaxed), 1);
        let unsaid = async || StatusCode::CREATED.into_response();
        let answer = answers.of(asked(2, 7), unsaid(), all).await.unwrap();
        assert_eq!(answer.headers()[KEPT], "not");
    }

    #[test]
    fn a_key_is_its_callers_and_of_what_it_asks_for() {
        let one = named("a", "/subscriptions", "k");

        assert_eq!(one, named("a", "/subscriptions", "k"));
        for other in [
            named("b", "/subscriptions", "k"),
            named("a", "/subscriptions/x/replays", "k"),
            named("a", "/subscriptions", "l"),
            named("a", "/subscriptions?dryRun=true", "k"),
        ] {
            assert_ne!(one, other);
        }
        let caller = [1; 32];
        let by = |method: Method| {
            let key = HeaderValue::from_static("k");
            name(&caller, (&method, &Uri::from_static("/subscriptions")), &key).unwrap()
        };
        assert_ne!(by(Method::POST), by(Method::PUT));
        for key in ["", &"x".repeat(256)] {
            let asks = (&Method::POST, &Uri::from_static("/"));
            assert!(name(&caller, asks, &HeaderValue::try_from(key).unwrap()).is_err());
        }
    }
}
