//! `sealway open`: decrypts and verifies one token, offline.

use std::io::Read as _;

use anyhow::Context as _;

use crate::ambient::{Clock, SystemClock};
use crate::cli::token_keys::{Parties, TokenKeys};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::Timestamp;
use crate::seal::{OpenLimits, Opened, Opening, open, refusal};

/// What is said of a text that is no token at all.
const NO_TOKEN: &str = "this is no token: one has five parts with dots between them; of an event on a bus, give `detail.data`";

/// What to open, with which keys, and whom to believe.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The token; `-` reads it from standard input
    #[arg(default_value = "-", value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    parties: Parties,
    /// The only kind of event to accept, as named in the claim `events`
    #[arg(long = "type", value_name = "URI")]
    event_type: Option<String>,
    /// The moment to judge the times of the token at, in RFC 3339; now, if not given
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Say which check a token does not pass. Only for yourself: whoever sent it learns from that what to
    /// try next
    #[arg(long)]
    explain: bool,
}

/// Runs the command: prints the claims, or one line that says no.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let token = token(&args.token).map_err(Failure::input)?;
    // Judged before any key is read, so it tells nothing of keys.
    if !has_form(&token) {
        context.output().complain(NO_TOKEN);
        return Ok(Exit::No);
    }
    let keys = args.parties.keys().await?;
    match opened(&args, &token, &keys) {
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

/// Opens it for the first issuer that fits; what an issuer has signed that cannot be true is told.
fn opened(args: &Args, token: &str, keys: &TokenKeys) -> Result<Opened, String> {
    let event_type = args.event_type.as_deref();
    let mut refused = "the token cannot be opened".to_owned();
    for opening in args.parties.openings(keys, args.at.unwrap_or_else(|| SystemClock.now())) {
        match open(token, &Opening { event_type, ..opening }) {
            Ok(opened) => return Ok(opened),
            Err(error) if error.claim().is_some() => refused = error.to_string(),
            Err(_) => {}
        }
    }
    if args.explain {
        return Err(format!("the token cannot be opened: {}", explained(args, token, keys)));
    }
    Err(refused)
}

/// Which check it does not pass; with several issuers, for the one that it came farthest with.
fn explained(args: &Args, token: &str, keys: &TokenKeys) -> String {
    let event_type = args.event_type.as_deref();
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let openings = args.parties.openings(keys, now);
    let refusals: Vec<_> =
        openings.filter_map(|opening| refusal(token, &Opening { event_type, ..opening })).collect();
    let is_of_issuer = |refusal: &&String| refusal.starts_with("`iss` is ");
    match refusals.iter().find(|refusal| !is_of_issuer(refusal)) {
        Some(one) => one.clone(),
        None => refusals.join("; "),
    }
}

fn token(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let limit = u64::try_from(OpenLimits::default().token)?.saturating_add(2);
    let mut text = String::new();
    std::io::stdin().take(limit).read_to_string(&mut text).context("cannot read the token")?;
    let text = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!text.is_empty(), "standard input is empty: there is no token");
    Ok(text.to_owned())
}

/// Whether a text is five parts of base64url, as an encrypted token is (RFC 7516, section 7.1); parts may be
/// empty.
fn has_form(text: &str) -> bool {
    let of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = text.split('.');
    text.split('.').count() == 5 && parts.all(|part| part.bytes().all(of_alphabet))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::event::{EventId, SubscriptionId};
    use crate::keys::{OpeningKey, OpeningKeyKind, SealingKey, SigningAlgorithm, SigningKey};
    use crate::seal::{Claims, Options, cloudevent_type, seal};

    #[test]
    fn what_is_no_token_is_told_by_its_form() {
        // With a key agreement the second part is empty.
        assert!(has_form("eyJh..aXY.dGV4dA.dGFn"));
        for text in [
            "",
            "null",
            "a.b.c",
            "a.b.c.d.e.f",
            "a.b.c.d.{e}",
            r#"{"detail":{"data":"a.b.c.d.e"}}"#,
        ] {
            assert!(!has_form(text), "{text}");
        }
    }

    const ISSUER: &str = "https://events.example.com";

    #[tokio::test]
    async fn a_token_opens_with_the_files_of_both_sides_at_its_time_only() {
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
            expires_at: issued_at.after(Duration::from_hours(1)),
            id: EventId::MAX,
            transaction: None,
            occurred_at: None,
            subscription: &subscription,
            place: None,
            replay: None,
            salted: None,
            incarnation: 1,
            event_type: &event_type,
            event: r#"{"data":{"orderId":"101"}}"#,
        };
        let token = seal(&claims, &signing, &sealing, &Options::default()).unwrap().into_token();
        let (key, jwks) = (folder.path().join("key.json"), folder.path().join("jwks.json"));
        std::fs::write(&key, consumer.private_jwk().expose()).unwrap();
        std::fs::write(&jwks, json!({"keys": [signing.public_jwk()]}).to_string()).unwrap();
        let args = |at: &str, event_type: Option<&str>| Args {
            token: token.clone(),
            parties: Parties {
                key: key.clone(),
                jwks: jwks.display().to_string(),
                issuer: vec!["https://earlier.example.com".to_owned(), ISSUER.to_owned()],
                audience: "shop".to_owned(),
            },
            event_type: event_type.map(str::to_owned),
            at: Some(at.parse().unwrap()),
            explain: false,
        };
        let keys = args("2026-11-21T17:42:11Z", None).parties.keys().await.unwrap();
        let says = |args: &Args| opened(args, &args.token, &keys);

        let opened = says(&args("2026-11-21T17:42:11Z", Some(&event_type))).unwrap();
        assert_eq!(opened.event()["data"]["orderId"], "101");
        assert!(says(&args("2026-11-21T19:42:11Z", None)).is_err());
        assert!(says(&args("2026-11-21T17:42:11Z", Some("another"))).is_err());

        let late = Args { explain: true, ..args("2026-11-21T19:42:11Z", None) };
        let told = says(&late).unwrap_err();
        assert!(told.contains("it expired: `exp` is 2026-11-21T18:42:11Z"), "{told}");
        let mut strange = Args { explain: true, ..args("2026-11-21T17:42:11Z", None) };
        strange.parties.issuer.pop();
        let told = says(&strange).unwrap_err();
        assert!(told.contains("`iss` is \"https://events.example.com\""), "{told}");
        let told = says(&Args { explain: false, ..strange }).unwrap_err();
        assert_eq!(told, "the token cannot be opened");
    }
}
