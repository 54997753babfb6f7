//! Access tokens: short-lived proofs that a caller has shown its key, good for publishing only.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::ambient::{Entropy, Secret};
use crate::api::{Caller, CallerError, Callers, Scope};
use crate::event::{CallerId, Timestamp};

/// How an access token begins, so that it is never taken for a key and scanners for leaked secrets
/// know it.
const PREFIX: &str = "sealway-access.";
/// How long an access token is good.
const LIFETIME: Duration = Duration::from_mins(15);

/// Issues access tokens and recognizes them.
///
/// A token is `sealway-access.<expiry>.<caller>.<HMAC-SHA256>`, so nothing is kept for it. The HMAC is
/// taken under a secret of this process, and over the hash of the caller's key: a token ends with its
/// time, with the caller, with its key, and with the process. Whoever reads the registry, where hashes
/// of keys are, can make none.
pub struct AccessTokens {
    callers: Arc<Callers>,
    secret: hmac::Key,
}

impl AccessTokens {
    /// Makes a new secret.
    pub fn new(callers: Arc<Callers>, entropy: &dyn Entropy) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut *secret);
        Self { callers, secret: hmac::Key::new(hmac::HMAC_SHA256, &*secret) }
    }

    /// How long a token is good.
    pub const fn lifetime(&self) -> Duration {
        LIFETIME
    }

    /// Makes a token for a caller that has shown its key; nothing if the caller may not publish.
    pub fn issue(&self, caller: &Caller, now: Timestamp) -> Option<Secret> {
        let caller = publisher(caller)?;
        let expiry = now.after(LIFETIME).unix_seconds();
        let tag = hmac::sign(&self.secret, &signed(&caller, expiry));
        let tag = URL_SAFE_NO_PAD.encode_to_string(tag);
        Some(Secret::new(format!("{PREFIX}{expiry}.{}.{tag}", caller.id)))
    }

    /// Tells whether a text is meant as an access token.
    pub fn is_token(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Finds the caller to whom a token was given, if it is still good. It may publish, and no more.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn identify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Caller>, CallerError> {
        let Some((expiry, id, tag)) = parts(token) else { return Ok(None) };
        if expiry <= now.unix_seconds() || expiry > now.after(LIFETIME).unix_seconds() {
            return Ok(None);
        }
        // `verify` compares in constant time.
        let is_ours =
            |caller: &Caller| hmac::verify(&self.secret, &signed(caller, expiry), &tag).is_ok();
        self.callers.named_with(&id, |caller| publisher(caller).filter(is_ours)).await
    }
}

/// The caller with nothing left to it but publishing, if it may publish.
fn publisher(caller: &Caller) -> Option<Caller> {
    let scopes: Arc<[Scope]> = caller.sources().into_iter().map(Scope::Publish).collect();
    (!scopes.is_empty()).then(|| Caller { scopes, ..caller.clone() })
}

/// What the HMAC is taken over. Only the last part has no fixed length.
fn signed(caller: &Caller, expiry: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32 + 8 + 64);
    bytes.extend(caller.key);
    bytes.extend(expiry.to_be_bytes());
    bytes.extend(caller.id.as_str().as_bytes());
    bytes
}

fn parts(token: &str) -> Option<(i64, CallerId, Vec<u8>)> {
    let (expiry, rest) = token.strip_prefix(PREFIX)?.split_once('.')?;
    // A name may have dots of its own.
    let (id, tag) = rest.rsplit_once('.')?;
    let is_plain = !expiry.is_empty() && expiry.bytes().all(|b| b.is_ascii_digit());
    let expiry = if is_plain { expiry.parse().ok()? } else { return None };
    Some((expiry, id.parse().ok()?, URL_SAFE_NO_PAD.decode_to_vec(tag).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::{HumanDuration, ManualClock, SeededEntropy};
    use crate::eventlog::{LogLimits, MemoryLog};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    struct House {
        callers: Arc<Callers>,
        tokens: AccessTokens,
    }

    impl House {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(NOW));
            let log = MemoryLog::new(
                LogLimits::default(),
                Arc::clone(&clock) as _,
                Arc::new(SeededEntropy::new(1)),
            );
            let callers = Callers::new(log, HumanDuration(Duration::from_secs(5)), clock);
            let callers = Arc::new(callers);
            let tokens = AccessTokens::new(Arc::clone(&callers), &SeededEntropy::new(2));
            Self { callers, tokens }
        }

        async fn add(&self, name: &str, scope: Scope, seed: u64) -> Caller {
            let entropy = SeededEntropy::new(seed);
            let key = self.callers.add(&name.parse().unwrap(), vec![scope], &entropy).await;
            self.callers.identify(key.unwrap().expose()).await.unwrap().unwrap()
        }

        async fn finds(&self, token: &str, now: Timestamp) -> Option<Caller> {
            self.tokens.identify(token, now).await.unwrap()
        }
    }

    fn shop_scope() -> Scope {
        "publish:shop.*".parse().unwrap()
    }

    #[tokio::test]
    async fn a_token_publishes_as_the_sources_of_its_caller() {
        let house = House::new();
        let shop = house.add("shop", shop_scope(), 7).await;
        let token = house.tokens.issue(&shop, NOW).unwrap();

        let found = house.finds(token.expose(), NOW).await.unwrap();

        assert!(found.publishes("shop.eu") && !found.publishes("payment-service"));
    }

    #[tokio::test]
    async fn a_token_is_good_for_its_time_and_for_publishing_only() {
        let house = House::new();
        let admin = house.add("ops.eu", Scope::Admin, 7).await;
        let token = house.tokens.issue(&admin, NOW).unwrap();

        let found = house.finds(token.expose(), NOW).await.unwrap();

        assert_eq!(found.id(), admin.id());
        assert!(found.publishes("anything"));
        assert!(!found.may(&Scope::Operate) && !found.may(&Scope::Admin));
        let last = NOW.after(LIFETIME).before(Duration::from_secs(1));
        assert!(house.finds(token.expose(), last).await.is_some());
        assert!(house.finds(token.expose(), NOW.after(LIFETIME)).await.is_none());
        assert!(house.finds(token.expose(), NOW.before(Duration::from_secs(1))).await.is_none());
    }

    #[tokio::test]
    async fn a_token_ends_with_its_caller_and_with_its_key_and_with_the_process() {
        let house = House::new();
        let shop = house.add("shop", shop_scope(), 7).await;
        let token = house.tokens.issue(&shop, NOW).unwrap();
        let next = AccessTokens::new(Arc::clone(&house.callers), &SeededEntropy::new(3));

        assert!(house.finds(token.expose(), NOW).await.is_some());
        assert!(next.identify(token.expose(), NOW).await.unwrap().is_none());

        house.callers.remove(shop.id()).await.unwrap();
        assert!(house.finds(token.expose(), NOW).await.is_none());
        house.add("shop", shop_scope(), 8).await;
        assert!(house.finds(token.expose(), NOW).await.is_none());
    }

    #[tokio::test]
    async fn who_may_not_publish_gets_no_token() {
        let house = House::new();
        let operator = house.add("ops", Scope::Operate, 7).await;

        assert!(house.tokens.issue(&operator, NOW).is_none());
    }

    #[tokio::test]
    async fn no_part_of_a_token_can_be_changed() {
        let house = House::new();
        let shop = house.add("shop", shop_scope(), 7).await;
        house.add("till", shop_scope(), 8).await;
        let token = house.tokens.issue(&shop, NOW).unwrap();
        let token = token.expose();
        let (expiry, _, _) = parts(token).unwrap();
        let earlier = token.replace(&expiry.to_string(), &(expiry - 1).to_string());

        assert!(house.finds(token, NOW).await.is_some());
        for forged in [
            earlier,
            token.replace(".shop.", ".till."),
            token.replace(".shop.", ".nobody."),
            format!("{token}A"),
            token.chars().take(token.len() - 1).collect(),
            format!("{PREFIX}{expiry}.shop."),
            format!("{PREFIX}+{expiry}.shop.AAAA"),
        ] {
            assert!(house.finds(&forged, NOW).await.is_none(), "{forged}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(sealway-access\\.)?[0-9]{0,22}\\.?[ -~]{0,60}") {
            let _ = parts(&text);
        }
    }
}
