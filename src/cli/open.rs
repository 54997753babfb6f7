//! `sealway open`: decrypts and verifies one token, offline.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use url::{Host, Url};

use crate::ambient::{Clock, SystemClock};
use crate::cli::{Context, Exit, Failure, Outcome};
use crate::event::Timestamp;
use crate::keys::{OpeningKeys, VerifyingKeys};
use crate::seal::{OpenError, OpenLimits, Opened, Opening, open};

/// What to open, with which keys, and whom to believe.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The token; `-` reads it from standard input
    #[arg(default_value = "-", value_name = "TOKEN")]
    token: String,
    /// The consumer's private key, a JWK or a JWK Set
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The gateway's public keys, a JWK or a JWK Set; with a shared secret, its file again
    #[arg(long, value_name = "FILE|URL")]
    jwks: String,
    /// The only issuer to believe
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The consumer's own name, as in the claim `aud`
    #[arg(long, value_name = "NAME")]
    audience: String,
    /// The only kind of event to accept, as named in the claim `events`
    #[arg(long = "type", value_name = "URI")]
    event_type: Option<String>,
    /// The moment to judge the times of the token at, in RFC 3339; now, if not given
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// Runs the command: prints the claims, or one line that says no.
pub async fn run(args: Args, context: &Context) -> Outcome {
    let token = token(&args.token).map_err(Failure::input)?;
    let keys = private_keys(&args.key).map_err(Failure::input)?;
    let issuer_keys = public_keys(&args.jwks).await.map_err(Failure::input)?;
    match opened(&args, &token, &keys, &issuer_keys) {
        Ok(opened) => {
            context.output().document(opened.claims());
            Ok(Exit::Done)
        }
        Err(error) => {
            context.output().complain(error);
            Ok(Exit::No)
        }
    }
}

fn opened(
    args: &Args,
    token: &str,
    keys: &OpeningKeys,
    issuer_keys: &VerifyingKeys,
) -> Result<Opened, OpenError> {
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let opening = Opening::new(keys, issuer_keys, &args.issuer, &args.audience, now);
    open(token, &Opening { event_type: args.event_type.as_deref(), ..opening })
}

fn token(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let limit = u64::try_from(OpenLimits::default().token)?.saturating_add(2);
    let mut text = String::new();
    std::io::stdin().take(limit).read_to_string(&mut text).context("cannot read the token")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
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
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut response = client.get(address).send().await?;
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
    use crate::event::{EventId, SubscriptionId};
    use crate::keys::{OpeningKey, OpeningKeyKind, SealingKey, SigningAlgorithm, SigningKey};
    use crate::seal::{Claims, Options, cloudevent_type, seal};

    const ISSUER: &str = "https://events.example.com";

    #[tokio::test]
    async fn keys_in_the_clear_are_fetched_from_this_machine_only() {
        let refused = fetch("http://192.0.2.1/jwks.json").await.unwrap_err();

        assert!(refused.to_string().contains("https"), "{refused}");
    }

    #[test]
    fn a_token_opens_with_the_files_of_both_sides_at_its_time_only() {
        let folder = tempfile::tempdir().unwrap();
        let consumer = OpeningKey::generate(OpeningKeyKind::P256).unwrap();
        let signing = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let sealing = SealingKey::from_jwk(consumer.public_jwk().unwrap()).unwrap();
        let issued_at = Timestamp::from_unix_seconds(1_795_282_931);
        let subscription: SubscriptionId = "orders".parse().unwrap();
        let event_type = cloudevent_type(ISSUER);
        let claims = Claims {
            issuer: ISSUER,
            audience: "shop",
            issued_at,
            expires_at: Some(issued_at.after(Duration::from_hours(1))),
            id: EventId::MAX,
            transaction: None,
            occurred_at: issued_at,
            subscription: &subscription,
            place: None,
            replay: None,
            event_type: &event_type,
            event: r#"{"data":{"orderId":"101"}}"#,
        };
        let token = seal(&claims, &signing, &sealing, &Options::default()).unwrap().into_token();
        let (key, jwks) = (folder.path().join("key.json"), folder.path().join("jwks.json"));
        std::fs::write(&key, consumer.private_jwk().expose()).unwrap();
        std::fs::write(&jwks, json!({"keys": [signing.public_jwk()]}).to_string()).unwrap();
        let keys = private_keys(&key).unwrap();
        let issuer_keys = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(public_keys(jwks.to_str().unwrap()))
            .unwrap();
        let args = |at: &str, event_type: Option<&str>| Args {
            token: token.clone(),
            key: key.clone(),
            jwks: jwks.display().to_string(),
            issuer: ISSUER.to_owned(),
            audience: "shop".to_owned(),
            event_type: event_type.map(str::to_owned),
            at: Some(at.parse().unwrap()),
        };
        let says = |args: &Args| opened(args, &args.token, &keys, &issuer_keys);

        let opened = says(&args("2026-11-21T17:42:11Z", Some(&event_type))).unwrap();
        assert_eq!(opened.event()["data"]["orderId"], "101");
        assert!(says(&args("2026-11-21T19:42:11Z", None)).is_err());
        let error = says(&args("2026-11-21T17:42:11Z", Some("another"))).unwrap_err();
        assert_eq!(error.to_string(), "the token cannot be opened");
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
