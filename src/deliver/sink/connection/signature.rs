//! Signs requests to sinks as Standard Webhooks has it: over their id, time and body.

use std::fmt;

use aws_lc_rs::hmac;
use http::{HeaderName, HeaderValue};

use crate::deliver::sink::connection::unusable::Unusable;
use crate::deliver::sink::http_request::HttpRequest;
use crate::subscriptions::Hmac;

/// Where the signatures stand.
pub(super) const HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs with the secret of one credential.
pub struct WebhookSigner(hmac::Key);

impl WebhookSigner {
    /// Takes the key of a secret.
    ///
    /// # Errors
    ///
    /// Ours: it was checked when it was kept, and cannot be used now.
    pub(super) fn new(settings: &Hmac) -> Result<Self, Unusable> {
        let key = settings.key().ok_or(Unusable::Part)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        format!("v1,{}", base64_simd::STANDARD.encode_to_string(context.sign()))
    }
}

/// Shows nothing of it.
impl fmt::Debug for WebhookSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSigner(…)")
    }
}

/// The signatures of a request by each of these, the present one first; nothing for a request that
/// has no id and time, which is the question of consent.
pub(super) fn signatures<'a>(
    request: &HttpRequest,
    signers: impl IntoIterator<Item = &'a WebhookSigner>,
) -> Option<HeaderValue> {
    let id = request.header("webhook-id")?;
    let timestamp = request.header("webhook-timestamp")?;
    let sign = |signer: &WebhookSigner| signer.sign(id, timestamp, &request.body);
    let mut signatures: Vec<String> = signers.into_iter().map(sign).collect();
    // A secret that did not change with the rest of its credential signs once.
    signatures.dedup();
    HeaderValue::from_str(&signatures.join(" ")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::deliver::sink::SinkTarget;
    use crate::subscriptions::ContentMode;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signer(secret: &str) -> WebhookSigner {
        WebhookSigner::new(&Hmac { secret: Some(secret.into()) }).unwrap()
    }

    fn request(headers: &[(&'static str, &str)]) -> HttpRequest {
        let target = SinkTarget {
            subscription: "shop".parse().unwrap(),
            consumer: "shop".parse().unwrap(),
            sink: "https://shop.example/hook".parse().unwrap(),
            credential: None,
            content_mode: ContentMode::Binary,
            gives_receipts: false,
            timeout: Duration::from_secs(1),
        };
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let headers = headers.iter().map(header);
        HttpRequest {
            method: Method::POST,
            target: Arc::new(target),
            headers: headers.collect(),
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
            awaits_proof: false,
        }
    }

    /// Id, time, body and signature are those of the tests of the Standard Webhooks libraries.
    #[test]
    fn a_request_is_signed_as_the_libraries_expect() {
        let id = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let signed = request(&[id, ("webhook-timestamp", "1614265330")]);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

        let alone = signatures(&signed, [&signer(SECRET)]).unwrap();
        assert_eq!(alone, expected);

        let former = signer("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let both = signatures(&signed, [&former, &signer(SECRET)]).unwrap();
        let both: Vec<_> = both.to_str().unwrap().split(' ').collect();
        assert_eq!((both.len(), both[1]), (2, expected));
        assert_ne!(both[0], expected);

        let same = signatures(&signed, [&signer(SECRET), &signer(SECRET)]).unwrap();
        assert_eq!(same, expected, "one signature for one secret");
        assert_eq!(signatures(&request(&[id]), [&signer(SECRET)]), None);
        assert!(!format!("{:?}", signer(SECRET)).contains("MfKQ"));
    }

    #[test]
    fn a_secret_that_is_none_is_not_signed_with() {
        assert!(WebhookSigner::new(&Hmac { secret: Some("whsec_short".into()) }).is_err());
        assert!(WebhookSigner::new(&Hmac { secret: None }).is_err());
    }
}
