//! One attempt at a sink with a credential: with a new token if the old one is refused, and with the
//! former credential if the new one is.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::deliver::sink::connection::identities::NoClient;
use crate::deliver::sink::connection::keeping::Connections;
use crate::deliver::sink::connection::prepared::PreparedCredential;
use crate::deliver::sink::connection::request::{Token, TokenError};
use crate::deliver::sink::connection::signature::{HEADER, signatures};
use crate::deliver::sink::connection::tokens::Asking;
use crate::deliver::sink::http::HttpDestination;
use crate::deliver::sink::http_answer::HttpExchange;
use crate::deliver::sink::http_request::HttpRequest;
use crate::deliver::sink::{AttemptFailure, SinkAnswer};
use crate::subscriptions::SealedCredential;
use crate::telemetry::{Metric, error_chain};

/// Time for a request to a token endpoint, within the time of the attempt.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of one credential.
struct SinkResponse {
    answer: Result<HttpExchange, SinkAnswer>,
    /// The sink or the token endpoint did not take the credential, so that another may do.
    is_denied: bool,
}

/// A credential made ready, and the attempt that it is for.
struct SinkRequest<'a> {
    destination: &'a HttpDestination,
    connections: &'a Connections,
    wanted: &'a HttpRequest,
    sealed: &'a Arc<str>,
    access: &'a PreparedCredential,
    signature: Option<HeaderValue>,
    deadline: Instant,
}

impl HttpDestination {
    /// Sends a request under its credential.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange); also later: there is no token.
    pub(in crate::deliver) async fn exchange_as(
        &self,
        credential: &SealedCredential,
        wanted: &HttpRequest,
    ) -> Result<HttpExchange, SinkAnswer> {
        let connections = self.connections();
        let deadline = Instant::now() + wanted.target.timeout;
        let (current, former) = (credential.current(), credential.former(connections.now()));
        let first = self.exchange_with(credential, (current, former), wanted, deadline).await;
        let Some(former) = former.filter(|_| first.is_denied) else { return first.answer };
        let second = self.exchange_with(credential, (former, None), wanted, deadline).await;
        if second.is_denied || second.answer.is_err() {
            return first.answer;
        }
        let subscription = credential.subscription();
        let count =
            connections.metrics.counter(Metric::FormerCredentials, &[subscription.as_str()]);
        count.increment();
        tracing::debug!(
            subscription.id = %subscription,
            "The sink of subscription {subscription} takes the former credential and not the new one",
        );
        second.answer
    }

    /// Sends a request under one credential; another one may sign beside it.
    async fn exchange_with(
        &self,
        credential: &SealedCredential,
        (sealed, beside): (&Arc<str>, Option<&Arc<str>>),
        wanted: &HttpRequest,
        deadline: Instant,
    ) -> SinkResponse {
        let connections = self.connections();
        let access = match connections.access(credential, sealed).await {
            Ok(access) => access,
            Err(error) => {
                tracing::error!(
                    subscription.id = %credential.subscription(),
                    error = %error_chain(&error),
                    "The credential of subscription {} cannot be used", credential.subscription(),
                );
                let answer = SinkAnswer::failed(AttemptFailure::Authorization, &error.to_string());
                return SinkResponse { answer: Err(answer), is_denied: false };
            }
        };
        let signature = connections.signature(credential, (&access, beside), wanted).await;
        let attempt = SinkRequest {
            destination: self,
            connections,
            wanted,
            sealed,
            access: &access,
            signature,
            deadline,
        };
        attempt.make().await
    }
}

impl Connections {
    /// Signs a request with the secret of a credential and, so that the sink may know either, with
    /// that of another one.
    async fn signature(
        &self,
        credential: &SealedCredential,
        (access, beside): (&PreparedCredential, Option<&Arc<str>>),
        wanted: &HttpRequest,
    ) -> Option<HeaderValue> {
        let signer = access.signer()?;
        let beside = match beside {
            Some(sealed) => self.access(credential, sealed).await.ok(),
            None => None,
        };
        let other = beside.as_ref().and_then(|access| access.signer());
        signatures(wanted, std::iter::once(signer).chain(other))
    }
}

impl SinkRequest<'_> {
    async fn make(&self) -> SinkResponse {
        let Some(request) = self.access.tokens() else { return self.post(None).await };
        let asking = Asking {
            credential: self.sealed,
            request,
            clients: &self.connections.clients,
            patience: PATIENCE.min(self.remaining()),
        };
        let token = match self.connections.tokens.get(asking).await {
            Ok(token) => token,
            Err(error) => {
                let kind = match *error {
                    TokenError::Refused(_) => AttemptFailure::Refused,
                    _ => AttemptFailure::Authorization,
                };
                let answer = Err(SinkAnswer::failed(kind, &error.to_string()));
                return SinkResponse { answer, is_denied: true };
            }
        };
        let first = self.post(Some(&token)).await;
        if !matches!(&first.answer, Ok(exchange) if matches!(exchange.status, 401 | 407)) {
            return first;
        }
        let asking = Asking { patience: PATIENCE.min(self.remaining()), ..asking };
        match self.connections.tokens.renew(asking, &token).await {
            Some(token) => self.post(Some(&token)).await,
            None => first,
        }
    }

    async fn post(&self, token: Option<&Arc<Token>>) -> SinkResponse {
        let client =
            self.connections.clients.client_for(&self.wanted.target.sink, self.access.tls()).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let kind = match error {
                    NoClient::Refused(_) => AttemptFailure::Refused,
                    NoClient::Identity => AttemptFailure::Authorization,
                };
                let answer = Err(SinkAnswer::failed(kind, &error.to_string()));
                return SinkResponse { answer, is_denied: false };
            }
        };
        let mut headers: HeaderMap = self.access.headers().clone();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.header().clone());
        }
        headers.extend(self.signature.clone().map(|signature| (HEADER, signature)));
        let mut request = self.wanted.clone();
        let target = Arc::make_mut(&mut request.target);
        target.sink = self.access.address(&target.sink);
        target.timeout = self.remaining();
        let answer = self.destination.send(&client, request, headers).await;
        let is_denied = match &answer {
            Ok(exchange) => matches!(exchange.status, 401 | 403 | 407),
            // A server that asks for another certificate ends the connection.
            Err(answer) => self.access.tls().is_some() && answer.is_broken(),
        };
        let answer = answer.map(|exchange| self.without_secrets(exchange, token));
        SinkResponse { answer, is_denied }
    }

    /// What is kept of a refusal may not repeat what was refused.
    fn without_secrets(&self, exchange: HttpExchange, token: Option<&Arc<Token>>) -> HttpExchange {
        if (200..300).contains(&exchange.status) {
            return exchange;
        }
        let body = self.access.hide(token.map(|token| token.expose()), &exchange.body);
        HttpExchange { body, ..exchange }
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
