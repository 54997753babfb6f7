//! A credential made ready for requests.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::Url;
use zeroize::Zeroizing;

use crate::ambient::Secret;
use crate::deliver::sink::connection::fields::{
    add, add_all, pairs, sensitive, url_encoded, with_query,
};
use crate::deliver::sink::connection::identities::TlsIdentity;
use crate::deliver::sink::connection::request::TokenRequest;
use crate::deliver::sink::connection::signature::WebhookSigner;
use crate::deliver::sink::connection::unusable::Unusable;
use crate::subscriptions::{Basic, Hmac, SecretText, SinkCredential};

/// What takes the place of a secret in a text that is kept.
const HIDDEN: &str = "…";

/// Texts within texts whose escapes are resolved in search of a secret.
const NESTED_ESCAPES: usize = 3;

/// What a credential adds to each request.
pub struct PreparedCredential {
    headers: HeaderMap,
    query: Vec<(String, Secret)>,
    tls: Option<TlsIdentity>,
    tokens: Option<TokenRequest>,
    signer: Option<WebhookSigner>,
    /// Every secret in every form in which it is sent, so that no answer repeats one.
    secrets: Vec<Secret>,
}

impl PreparedCredential {
    /// Makes a credential ready.
    ///
    /// # Errors
    ///
    /// Ours: it was checked when it was kept, and cannot be used now.
    pub fn new(credential: &SinkCredential) -> Result<Self, Unusable> {
        let mut secrets = Vec::new();
        for slot in credential.clone().slots() {
            if let Some(text) = slot.value.as_ref().and_then(SecretText::text)
                && slot.is_secret()
            {
                secrets.push(Secret::new(text.to_owned()));
                secrets.push(Secret::new(url_encoded(text)));
                // As it stands in a JSON text.
                let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
                secrets.push(Secret::new(quoted.trim_matches('"').to_owned()));
            }
        }
        let mut headers = HeaderMap::new();
        if let Some(basic) = &credential.basic {
            let encoded = user_and_password(basic);
            headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", encoded.expose()))?);
            secrets.push(encoded);
        }
        if let Some(key) = &credential.api_key {
            add(&mut headers, &key.name, key.value.as_ref())?;
        }
        add_all(&mut headers, &credential.headers)?;
        let tls = credential.tls.as_ref().map(TlsIdentity::new).transpose();
        let tokens = credential.oauth.as_ref().map(TokenRequest::new).transpose()?;
        if let Some(tokens) = &tokens {
            secrets.extend(tokens.authorization().map(|text| Secret::new(text.to_owned())));
        }
        let signer = credential.hmac.as_ref().map(WebhookSigner::new).transpose()?;
        let encoded = credential.hmac.as_ref().and_then(Hmac::encoded_key);
        secrets.extend(encoded.map(|key| Secret::new(key.to_owned())));
        // One may be a part of another, of which the rest would stay.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Ok(Self {
            headers,
            query: pairs(&credential.query),
            tls: tls.map_err(|_| Unusable::Part)?,
            tokens,
            signer,
            secrets,
        })
    }

    /// The headers of every request to the sink.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The sink's address with the parameters of its query.
    pub fn address(&self, sink: &Url) -> Url {
        with_query(sink, &self.query)
    }

    /// The TLS identity for the sink.
    pub const fn tls(&self) -> Option<&TlsIdentity> {
        self.tls.as_ref()
    }

    /// Where its tokens come from, if it has any.
    pub const fn tokens(&self) -> Option<&TokenRequest> {
        self.tokens.as_ref()
    }

    /// What signs its requests, if they are signed.
    pub const fn signer(&self) -> Option<&WebhookSigner> {
        self.signer.as_ref()
    }

    /// Takes secrets out of what a sink has answered, before any of it is kept.
    ///
    /// A sink that repeats a request's headers may escape them as its language does, perhaps as a
    /// JSON text within another; where a secret shows without its escapes, the text is kept without.
    pub fn hide(&self, token: Option<&str>, answer: &[u8]) -> Vec<u8> {
        let mut text = Zeroizing::new(String::from_utf8_lossy(answer).into_owned());
        self.cover(token, &mut text);
        let mut plain = text.clone();
        for _ in 0..NESTED_ESCAPES {
            let next = Zeroizing::new(unescaped(&plain));
            if *next == *plain {
                break;
            }
            plain = next;
            if self.cover(token, &mut plain) {
                text.clone_from(&plain);
            }
        }
        text.as_bytes().to_vec()
    }

    /// Replaces secrets; says whether there were some.
    fn cover(&self, token: Option<&str>, text: &mut String) -> bool {
        let mut found = false;
        for secret in token.into_iter().chain(self.secrets.iter().map(Secret::expose)) {
            if !secret.is_empty() && text.contains(secret) {
                *text = text.replace(secret, HIDDEN);
                found = true;
            }
        }
        found
    }
}

/// Resolves the escapes of JSON (RFC 8259, section 7) and of HTML, wherever they stand; what is none
/// stays as it is.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        let (character, length) = json_escape(escape)
            .or_else(|| html_escape(escape))
            .unwrap_or_else(|| (if escape.starts_with('&') { '&' } else { '\\' }, 1));
        plain.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character that a JSON escape at the beginning of a text means, and the escape's length.
fn json_escape(text: &str) -> Option<(char, usize)> {
    let escaped = text.strip_prefix('\\')?;
    match escaped.chars().next()? {
        'u' => {
            let code = u32::from_str_radix(escaped.get(1..5)?, 16).ok()?;
            Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
        }
        // White space keeps the words of an excerpt apart.
        'b' | 'f' | 'n' | 'r' | 't' => Some((' ', 2)),
        sign @ ('"' | '\\' | '/') => Some((sign, 2)),
        _ => None,
    }
}

/// The same for a character reference of HTML.
fn html_escape(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.strip_prefix('&')?.split_once(';').filter(|(name, _)| name.len() <= 8)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let hexadecimal = number.strip_prefix(['x', 'X']);
            let code = hexadecimal
                .map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16));
            char::from_u32(code.ok()?)?
        }
    };
    Some((character, name.len() + 2))
}

/// Shows nothing of it.
impl fmt::Debug for PreparedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreparedCredential(…)")
    }
}

/// User name and password as RFC 7617 encodes them.
fn user_and_password(basic: &Basic) -> Secret {
    let password = basic.password.as_ref().and_then(SecretText::text).unwrap_or_default();
    let both = Zeroizing::new(format!("{}:{password}", basic.username));
    Secret::new(base64_simd::STANDARD.encode_to_string(both.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::subscriptions::{SubscriptionDocument, Subscriptions};

    fn document(credential: &Value) -> Option<SubscriptionDocument> {
        serde_json::from_value(json!({
            "consumer": "shop", "sink": "https://shop.example/events?a=b",
            "sinkcredential": credential,
            "config": { "keys": { "jwksUri": "https://shop.example/jwks.json" } },
        }))
        .ok()
    }

    #[test]
    fn secrets_are_hidden_in_every_form_in_which_they_were_sent() {
        let credential: SinkCredential = serde_json::from_value(json!({
            "credentialtype": "BASIC",
            "basic": { "username": "shop", "password": "open sesame" },
            "query": [{ "name": "code", "value": "a/b", "secret": true }],
            "hmac": { "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
        }))
        .unwrap();
        let access = PreparedCredential::new(&credential).unwrap();
        let answer = "no c2hvcDpvcGVuIHNlc2FtZQ== no open sesame no a%2Fb no a/b no token-1 no \
                      whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw no MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

        let hidden = access.hide(Some("token-1"), answer.as_bytes());

        let expected = "no … no … no … no … no … no … no …";
        assert_eq!(String::from_utf8(hidden).unwrap(), expected);
        assert!(!format!("{access:?}").contains("sesame"));
    }

    #[test]
    fn secrets_are_hidden_behind_the_escapes_of_other_languages() {
        let credential: SinkCredential = serde_json::from_value(json!({
            "credentialtype": "API_KEY", "apiKey": { "name": "x-key", "value": "a/b+c&d<e=" },
        }))
        .unwrap();
        let access = PreparedCredential::new(&credential).unwrap();
        let plain = r#"{"no": "\"\u00e9\" &amp; C:\\new"}"#;

        for answer in [
            r#"{"err": "a\/b+c&d<e="}"#,
            r#"{"err": "a/b\u002Bc\u0026d\u003ce="}"#,
            r#"{"err": "{\"inner\": \"a\\\/b\\u002bc&d<e=\"}"}"#,
            "<p>a&#x2F;b&#43;c&amp;d&lt;e=</p>",
        ] {
            let hidden = String::from_utf8(access.hide(None, answer.as_bytes())).unwrap();
            assert!(hidden.contains(HIDDEN) && !hidden.contains("d<e"), "{answer}: {hidden}");
        }
        assert_eq!(access.hide(None, plain.as_bytes()), plain.as_bytes(), "nothing to hide");
    }

    /// Names and values around the border of what is taken.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z0-9!#$&^_.|~ -]{0,12}",
            "\\PC{0,6}",
            "[\\x00-\\x7f]{0,6}",
            Just("Content-Type".to_owned()),
            Just("ce-id".to_owned()),
            Just("x".repeat(5_000)),
        ]
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched(text in "[\\\\&;u0-9a-f#x\\PC]{0,40}") {
            unescaped(&text);
        }

        #[test]
        fn what_is_accepted_can_be_sent(
            (name, value, key, user) in (text(), text(), text(), text()),
            (parameter, inner) in (text(), text()),
        ) {
            let all = [
                json!({ "headers": [{ "name": name, "value": value }] }),
                json!({ "query": [{ "name": parameter, "value": inner }] }),
                json!({ "hmac": { "secret": format!("whsec_{key}") } }),
                json!({
                    "credentialtype": "API_KEY", "apiKey": { "name": name, "value": key },
                    "headers": [{ "name": parameter, "value": value, "secret": true }],
                }),
                json!({
                    "credentialtype": "BASIC", "basic": { "username": user, "password": key },
                }),
                json!({ "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": {
                    "endpoint": "https://id.example/", "clientId": user, "clientSecret": key,
                    "headers": [{ "name": name, "value": value }],
                    "body": [{ "name": parameter, "value": inner }],
                }}),
            ];
            for credential in all {
                let Some(document) = document(&credential) else { continue };
                if Subscriptions::check(&document).is_err() {
                    continue;
                }
                let credential = document.sinkcredential.unwrap();
                let access = PreparedCredential::new(&credential);
                prop_assert!(access.is_ok(), "{credential:?}");
                let access = access.unwrap();
                for name in access.headers().keys().map(HeaderName::as_str) {
                    prop_assert!(!name.starts_with("ce-") && !name.starts_with("content-"));
                }
                let address = access.address(&"https://shop.example/?a=b".parse().unwrap());
                prop_assert_eq!(address.host_str(), Some("shop.example"));
            }
        }
    }
}
