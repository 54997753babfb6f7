//! Has AWS send its answers unpacked, as everyone else that the gateway asks.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::egress::ENCODING;

const ACCEPT_ENCODING: &str = "accept-encoding";

/// A client of the SDK's that says in each request that nothing is unpacked here. It says so after the
/// request was signed: the signature covers the fields that it names, and no other.
#[derive(Clone, Debug)]
pub(super) struct PlainAnswers<T>(T);

impl From<SharedHttpClient> for PlainAnswers<SharedHttpClient> {
    fn from(client: SharedHttpClient) -> Self {
        Self(client)
    }
}

impl HttpClient for PlainAnswers<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PlainAnswers(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for PlainAnswers<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        request.headers_mut().insert(ACCEPT_ENCODING, ENCODING);
        self.0.call(request)
    }
}
