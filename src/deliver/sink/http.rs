//! Speaks to HTTP sinks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::ambient::Clock;
use crate::deliver::sink::answer_body::wait_for_body;
use crate::deliver::sink::connection::Connections;
use crate::deliver::sink::http_answer::{HttpExchange, answer_of, kind_of, refusal_of};
use crate::deliver::sink::http_request::{HttpRequest, UnsendableHeader};
use crate::deliver::sink::retry_after::retry_after;
use crate::deliver::sink::{
    AnswerKind, AttemptFailure, BodyCut, ChallengeAnswer, ChallengeError, Destination, Parcel,
    SinkAnswer, SinkTarget,
};
use crate::egress::{ExchangeError, GuardedAnswer, GuardedClient, GuardedClients, GuardedRequest};
use crate::event::SubscriptionId;
use crate::subscriptions::{Challenge, ChallengeReply};
use crate::telemetry::error_chain;

/// How much of a response's body is read and kept.
const BODY_LIMIT: usize = 16 * 1024;

/// How a sink refuses consent (CloudEvents webhooks, section 4.2).
const OTHER_ORIGINS: &str = "WebHook-Allowed-Origin does not name this gateway";
/// How a challenge is answered.
const RIGHT_ANSWER: &str =
    r#"answer 200 with the body {"challenge": "<the nonce of the opened token>"}"#;

/// Posts events to HTTP sinks.
pub struct HttpDestination {
    clients: GuardedClients,
    connections: Connections,
    clock: Arc<dyn Clock>,
}

impl HttpDestination {
    /// Takes the clients that all sinks share, and what those share that have credentials.
    pub fn new(clients: GuardedClients, connections: Connections, clock: Arc<dyn Clock>) -> Self {
        Self { clients, connections, clock }
    }

    pub(super) const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Sends a request, under its credential if it has one, and gives the response with up to 16 KiB of
    /// its body, as much as has come of them.
    ///
    /// # Errors
    ///
    /// Later: there was no head of a response in time, the address is not allowed for now, or the
    /// token endpoint of the credential gives no token.
    pub async fn exchange(&self, request: HttpRequest) -> Result<HttpExchange, SinkAnswer> {
        if let Some(credential) = &request.target.credential {
            return Box::pin(self.exchange_as(credential, &request)).await;
        }
        let client = self.clients.client_for(&request.target.sink);
        let client = client.map_err(SinkAnswer::not_dialed)?;
        self.send(client, request, HeaderMap::new()).await
    }

    /// Sends a request once, with these headers more.
    pub(super) async fn send(
        &self,
        client: &GuardedClient,
        wanted: HttpRequest,
        more: HeaderMap,
    ) -> Result<HttpExchange, SinkAnswer> {
        let headers =
            if more.is_empty() { wanted.headers } else { together(more, &wanted.headers) };
        let request = GuardedRequest {
            method: wanted.method,
            url: &wanted.target.sink,
            headers,
            body: wanted.body,
            body_limit: BODY_LIMIT,
            patience: wanted.target.timeout,
        };
        let SinkTarget { subscription, timeout, .. } = &*wanted.target;
        let answer = client
            .answer(request, |status| wait_for_body(status, wanted.awaits_proof, *timeout))
            .await
            .map_err(|error| failure(subscription, &error))?;
        let GuardedAnswer { head, body, cut } = answer;
        if let Some(cut) = &cut {
            tracing::info!(
                subscription.id = %subscription,
                error = %error_chain(cut),
                "The sink of subscription {subscription} answers {} and not to the end", head.status,
            );
        }
        let told = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(HttpExchange {
            status: head.status.as_u16(),
            retry_after: told(RETRY_AFTER.as_str()).and_then(|value| self.retry_after(value)),
            allowed_origin: told("webhook-allowed-origin").map(str::to_owned),
            body,
            cut: cut.as_ref().map(BodyCut::of),
        })
    }

    /// How long the sink asks to be left alone.
    fn retry_after(&self, value: &str) -> Option<Duration> {
        retry_after(value, self.clock.now())
    }
}

#[async_trait]
impl Destination for HttpDestination {
    async fn deliver(&self, target: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        let now = self.clock.now().unix_seconds();
        let exchange = match HttpRequest::event(Arc::clone(target), parcel, now) {
            Ok(request) => self.exchange(request).await,
            Err(error) => Err(unsendable(&error)),
        };
        exchange.map_or_else(|answer| answer, answer_of)
    }

    /// It has a media type of its own, and nothing that events have beside their tokens.
    async fn tell(&self, target: &Arc<SinkTarget>, statement: Parcel) -> bool {
        let request = HttpRequest::statement(Arc::clone(target), statement.token);
        let exchange = self.exchange(request).await;
        exchange.is_ok_and(|exchange| (200..300).contains(&exchange.status))
    }

    /// A sink that knows `OPTIONS` may say no; one that does not know it is asked by the nonce alone.
    async fn ask_consent(
        &self,
        target: &Arc<SinkTarget>,
        origin: &str,
    ) -> Result<(), ChallengeError> {
        let exchange = match HttpRequest::consent(Arc::clone(target), origin) {
            Ok(request) => self.exchange(request).await.ok(),
            Err(_) => None,
        };
        match exchange.and_then(|exchange| exchange.allowed_origin) {
            Some(allowed) if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) => {
                Err(ChallengeError::NoConsent(OTHER_ORIGINS))
            }
            _ => Ok(()),
        }
    }

    /// Its answer must hold the nonce.
    async fn prove(
        &self,
        target: &Arc<SinkTarget>,
        parcel: Parcel,
        challenge: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        let now = self.clock.now().unix_seconds();
        let exchange = match HttpRequest::challenge(Arc::clone(target), parcel, now) {
            Ok(request) => self.exchange(request).await,
            Err(error) => Err(unsendable(&error)),
        };
        let exchange = exchange.map_err(|answer| ChallengeError::NoAnswer(answer.detail))?;
        if kind_of(exchange.status) != AnswerKind::Delivered {
            return Err(ChallengeError::Refused(refusal_of(&exchange, challenge)));
        }
        if let Some(cut) = exchange.cut {
            return Err(ChallengeError::Cut(exchange.status, cut));
        }
        match challenge.reply(&exchange.body) {
            ChallengeReply::Right => Ok(ChallengeAnswer::Proved),
            ChallengeReply::Wrong => Err(ChallengeError::WrongAnswer(RIGHT_ANSWER)),
            ChallengeReply::Nothing => Err(ChallengeError::NotAnswered(RIGHT_ANSWER)),
        }
    }
}

/// The headers of a credential, and those of a request behind them.
fn together(mut headers: HeaderMap, own: &HeaderMap) -> HeaderMap {
    for (name, value) in own {
        headers.append(name, value.clone());
    }
    headers
}

/// A request that cannot be written.
fn unsendable(error: &UnsendableHeader) -> SinkAnswer {
    SinkAnswer::failed(AttemptFailure::Broken, &error.to_string())
}

/// The consumer is told in one word what the log has in full: the causes name what the gateway's
/// resolver and network say.
fn failure(subscription: &SubscriptionId, error: &ExchangeError) -> SinkAnswer {
    let kind = match error {
        ExchangeError::Refused(refused) => return SinkAnswer::not_dialed(*refused),
        ExchangeError::Late => return SinkAnswer::failed(AttemptFailure::Timeout, ""),
        ExchangeError::Connect(_) => AttemptFailure::Connect,
        ExchangeError::Broken(_) => AttemptFailure::Broken,
    };
    tracing::info!(
        subscription.id = %subscription,
        error = %error_chain(error),
        "The sink of subscription {subscription} gives no answer",
    );
    SinkAnswer::unconnected(kind, error.network())
}
