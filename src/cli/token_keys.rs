//! What it takes to open tokens on the command line: the keys of both sides, and whom to believe.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http::header::ACCEPT_ENCODING;
use url::{Host, Url};

use crate::cli::Failure;
use crate::egress::{AGENT, ENCODING};
use crate::event::{DocumentAsk, Timestamp};
use crate::keys::{OpeningKeys, VerifyingKeys};
use crate::proof::ChainTrust;
use crate::seal::Opening;

/// With which keys to open, and whom to believe.
#[derive(Debug, clap::Args)]
pub struct Parties {
    /// The consumer's private key, a JWK or a JWK Set
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The gateway's public keys, a JWK or a JWK Set; with a shared secret, its file again
    #[arg(long, value_name = "FILE|URL")]
    pub jwks: String,
    /// The only issuer to believe; again for each name that it had before
    #[arg(long, value_name = "URL", required = true)]
    pub issuer: Vec<String>,
    /// The consumer's own name, as in the claim `aud`
    #[arg(long, value_name = "NAME")]
    pub audience: String,
}

/// The keys of both sides.
pub struct TokenKeys {
    /// The consumer's private keys.
    pub own: OpeningKeys,
    /// The issuer's public keys.
    pub issuer: VerifyingKeys,
}

impl Parties {
    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// The caller's turn: a file or an address cannot be read, or holds no keys.
    pub async fn keys(&self) -> Result<TokenKeys, Failure> {
        let own = private_keys(&self.key).map_err(Failure::input)?;
        let issuer = public_keys(&self.jwks).await.map_err(Failure::input)?;
        Ok(TokenKeys { own, issuer })
    }

    /// What to expect of tokens at a moment, for each issuer that is believed.
    pub fn openings<'a>(
        &'a self,
        keys: &'a TokenKeys,
        now: Timestamp,
    ) -> impl Iterator<Item = Opening<'a>> {
        self.issuer
            .iter()
            .map(move |issuer| Opening::new(&keys.own, &keys.issuer, issuer, &self.audience, now))
    }

    /// Whom to believe at a moment about what was stored.
    pub fn trust<'a>(
        &'a self,
        keys: &'a TokenKeys,
        documents: &'a [DocumentAsk],
        now: Timestamp,
    ) -> ChainTrust<'a> {
        ChainTrust {
            keys: &keys.own,
            issuer_keys: &keys.issuer,
            issuers: &self.issuer,
            audience: &self.audience,
            documents,
            now,
        }
    }
}

fn private_keys(path: &Path) -> anyhow::Result<OpeningKeys> {
    let place = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {place}"))?;
    OpeningKeys::from_json(&bytes).with_context(|| format!("cannot use {place}"))
}

async fn public_keys(place: &str) -> anyhow::Result<VerifyingKeys> {
    if place.starts_with("https://") || place.starts_with("http://") {
        let bytes = fetch(place).await.with_context(|| format!("cannot fetch {place}"))?;
        return VerifyingKeys::from_json(&bytes).with_context(|| format!("cannot use {place}"));
    }
    let bytes = std::fs::read(place).with_context(|| format!("cannot read {place}"))?;
    VerifyingKeys::from_json_with_secrets(&bytes).with_context(|| format!("cannot use {place}"))
}

/// The longest key set that is fetched, in bytes.
const LARGEST_SET: usize = 64 * 1024;

async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let address = Url::parse(url)?;
    let local = match address.host() {
        Some(Host::Ipv4(host)) => host.is_loopback(),
        Some(Host::Ipv6(host)) => host.is_loopback(),
        Some(Host::Domain(host)) => host == "localhost",
        None => false,
    };
    if address.scheme() != "https" && !local {
        // Whoever is on the way could answer with keys of their own, and be believed.
        bail!("use an https address: what these keys sign is believed");
    }
    let client = reqwest::Client::builder()
        .user_agent(AGENT)
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut response = client.get(address).header(ACCEPT_ENCODING, ENCODING).send().await?;
    if !response.status().is_success() {
        bail!("the server answered {}", response.status());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_SET {
            return Err(anyhow!("the key set is longer than {LARGEST_SET} bytes"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;
    use serde_json::json;

    use super::*;
    use crate::keys::{SigningAlgorithm, SigningKey};

    #[tokio::test]
    async fn keys_in_the_clear_are_fetched_from_this_machine_only() {
        let refused = fetch("http://192.0.2.1/jwks.json").await.unwrap_err();

        assert!(refused.to_string().contains("https"), "{refused}");
    }

    #[tokio::test]
    async fn a_key_set_is_fetched_without_redirects_secrets_or_excess() {
        let signing = SigningKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let set = json!({"keys": [signing.public_jwk()]}).to_string();
        let secret =
            json!({"kty": "oct", "alg": "HS256", "kid": "m", "k": "A".repeat(43)}).to_string();
        let routes = axum::Router::new()
            .route("/jwks", get(|| async move { set }))
            .route("/secret", get(|| async move { secret }))
            .route("/moved", get(|| async { Redirect::temporary("/jwks") }))
            .route("/gone", get(|| async { StatusCode::GONE }))
            .route("/large", get(|| async { " ".repeat(LARGEST_SET + 1) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = crate::ambient::Tasks::new();
        tasks.spawn(async move { axum::serve(listener, routes).await });
        let ask = |path: &str| format!("http://{address}/{path}");

        let keys = public_keys(&ask("jwks")).await.unwrap();
        assert!(keys.get(signing.kid()).is_some());
        for path in ["secret", "moved", "gone", "large"] {
            let error = public_keys(&ask(path)).await.unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
