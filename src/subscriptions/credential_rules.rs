//! What a credential may say: names, sizes, counts, and parts that fit together.

use std::collections::BTreeSet;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use url::Url;

use crate::subscriptions::bounds::{address, within};
use crate::subscriptions::credential::authorities;
use crate::subscriptions::{
    ClientAuthentication, CredentialType, Hmac, Invalid, OAuth, Parameter, SecretText,
    SinkCredential, Tls, TokenMethod,
};

/// Parameters in one list, as in EventBridge.
const MOST_PARAMETERS: usize = 100;
/// Bytes of a name.
const LONGEST_NAME: usize = 256;
/// Bytes of a value.
const LONGEST_VALUE: usize = 4096;
/// Bytes of all names and values of one list, which most servers still take as headers or an address.
const LONGEST_LIST: usize = 8192;
/// Bytes of a text in PEM.
const LONGEST_PEM: usize = 64 * 1024;
/// Certificates in one text.
const MOST_CERTIFICATES: usize = 20;

/// Headers that are about one connection, about the body, about who asks, or ours.
const FORBIDDEN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "date",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "max-forwards",
    "origin",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
/// Beginnings of such names.
const FORBIDDEN_BEGINNINGS: &[&str] =
    &["ce-", "content-", "proxy-", "sealway-", "sec-", "trace", "webhook-", "x-forwarded-"];
/// Headers whose values are always secrets.
const SECRET_HEADERS: &[&str] = &["authorization", "cookie"];
/// Parameters of a token request that have members of their own.
const OWN_PARAMETERS: &[&str] = &["grant_type", "client_id", "client_secret", "scope", "audience"];

/// Checks every part of a credential; secrets may be left out, or be in another place.
pub(super) fn check(credential: &SinkCredential, sink: &Url) -> Result<(), Invalid> {
    parts_fit(credential)?;
    within("/sinkcredential/overlap", credential.overlap, 0, 604_800)?;
    if let Some(basic) = &credential.basic {
        user_name(&basic.username)?;
        plain("/sinkcredential/basic/password", basic.password.as_ref())?;
    }
    credential.hmac.as_ref().map_or(Ok(()), signing_secret)?;
    let mut taken = BTreeSet::new();
    if matches!(
        credential.credential_type,
        CredentialType::Basic | CredentialType::OAuthClientCredentials
    ) {
        taken.insert("authorization".to_owned());
    }
    if let Some(key) = &credential.api_key {
        header_name("/sinkcredential/apiKey/name", &key.name, &mut taken)?;
        header_value("/sinkcredential/apiKey/value", key.value.as_ref())?;
    }
    headers("/sinkcredential/headers", &credential.headers, &mut taken)?;
    parameters("/sinkcredential/query", &credential.query, &[])?;
    tls("/sinkcredential/tls", credential.tls.as_ref(), sink)?;
    credential.oauth.as_ref().map_or(Ok(()), oauth)
}

/// Checks that the credential is one that can be used: every secret is here, as a text.
pub(super) fn check_complete(credential: &SinkCredential) -> Result<(), Invalid> {
    for slot in credential.clone().slots() {
        match slot.value {
            Some(SecretText::Text(_)) => {}
            Some(SecretText::Reference(_)) => {
                let problem = "the gateway takes the secret itself; `file` and `env` are for files \
                               that the command line reads";
                return Err(Invalid::new(&slot.pointer, problem));
            }
            None if slot.is_secret() => {
                let problem = "send the secret: none is kept, or what it belongs to has changed \
                               (the sink, the token endpoint, an authority, or its name)";
                return Err(Invalid::new(&slot.pointer, problem));
            }
            None => return Err(Invalid::new(&slot.pointer, "give it a value")),
        }
    }
    Ok(())
}

fn parts_fit(credential: &SinkCredential) -> Result<(), Invalid> {
    let parts = [
        ("basic", CredentialType::Basic, credential.basic.is_some()),
        ("apiKey", CredentialType::ApiKey, credential.api_key.is_some()),
        ("oauth", CredentialType::OAuthClientCredentials, credential.oauth.is_some()),
    ];
    for (name, of, is_there) in parts {
        let is_wanted = credential.credential_type == of;
        if is_wanted == is_there {
            continue;
        }
        let problem = if is_there {
            "goes with the credentialtype of that name, and only with it"
        } else {
            "is missing for this credentialtype"
        };
        return Err(Invalid::new(&format!("/sinkcredential/{name}"), problem));
    }
    let says_nothing = credential.credential_type == CredentialType::None
        && credential.hmac.is_none()
        && credential.headers.is_empty()
        && credential.query.is_empty()
        && credential.tls.is_none();
    if says_nothing {
        let problem =
            "use BASIC, API_KEY or OAUTH_CLIENT_CREDENTIALS, or give hmac, headers, query or tls";
        return Err(Invalid::new("/sinkcredential/credentialtype", problem));
    }
    Ok(())
}

fn user_name(name: &str) -> Result<(), Invalid> {
    let has_bad = name.chars().any(|c| c == ':' || c.is_control());
    if name.is_empty() || name.len() > 512 || has_bad {
        let problem = "use 1 to 512 bytes without colons and control characters";
        return Err(Invalid::new("/sinkcredential/basic/username", problem));
    }
    Ok(())
}

fn signing_secret(hmac: &Hmac) -> Result<(), Invalid> {
    if hmac.secret.as_ref().and_then(SecretText::text).is_some() && hmac.key().is_none() {
        let problem = "use `whsec_` and 24 to 64 random bytes in base64 after it, with padding";
        return Err(Invalid::new("/sinkcredential/hmac/secret", problem));
    }
    Ok(())
}

fn oauth(oauth: &OAuth) -> Result<(), Invalid> {
    let at = |member: &str| format!("/sinkcredential/oauth/{member}");
    let endpoint = address(&at("endpoint"), &oauth.endpoint)?;
    required(&at("clientId"), &oauth.client_id)?;
    plain(&at("clientSecret"), oauth.client_secret.as_ref())?;
    for (member, text) in [("scope", &oauth.scope), ("audience", &oauth.audience)] {
        if let Some(text) = text {
            required(&at(member), text)?;
        }
    }
    if oauth.method == TokenMethod::Get {
        if oauth.client_authentication == ClientAuthentication::Body {
            return Err(Invalid::new(&at("clientAuthentication"), "GET has no body; use basic"));
        }
        if !oauth.body.is_empty() {
            return Err(Invalid::new(&at("body"), "GET has no body; use query"));
        }
    }
    let mut taken = BTreeSet::from(["accept".to_owned()]);
    if oauth.client_authentication == ClientAuthentication::Basic {
        taken.insert("authorization".to_owned());
    }
    headers(&at("headers"), &oauth.headers, &mut taken)?;
    parameters(&at("query"), &oauth.query, OWN_PARAMETERS)?;
    parameters(&at("body"), &oauth.body, OWN_PARAMETERS)?;
    tls(&at("tls"), oauth.tls.as_ref(), &endpoint)
}

fn required(pointer: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > 2048 || text.chars().any(char::is_control) {
        return Err(Invalid::new(pointer, "use 1 to 2048 bytes without control characters"));
    }
    Ok(())
}

/// A secret that is encoded before it is sent, so that nearly every character may stand in it.
fn plain(pointer: &str, value: Option<&SecretText>) -> Result<(), Invalid> {
    let Some(text) = value.and_then(SecretText::text) else { return Ok(()) };
    if text.is_empty() || text.len() > LONGEST_VALUE || text.chars().any(char::is_control) {
        return Err(Invalid::new(pointer, "use 1 to 4096 bytes without control characters"));
    }
    Ok(())
}

fn headers(pointer: &str, list: &[Parameter], taken: &mut BTreeSet<String>) -> Result<(), Invalid> {
    short(pointer, list)?;
    for (index, header) in list.iter().enumerate() {
        let at = |member: &str| format!("{pointer}/{index}/{member}");
        header_name(&at("name"), &header.name, taken)?;
        header_value(&at("value"), header.value.as_ref())?;
        let name = header.name.to_ascii_lowercase();
        if SECRET_HEADERS.contains(&name.as_str()) && !header.secret {
            let problem = "this header is always a secret: say `\"secret\": true`";
            return Err(Invalid::new(&at("secret"), problem));
        }
    }
    Ok(())
}

fn header_name(pointer: &str, name: &str, taken: &mut BTreeSet<String>) -> Result<(), Invalid> {
    let is_token = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    if name.len() > LONGEST_NAME || !is_token {
        let problem = "use 1 to 256 letters, digits and hyphens, as a header's name has them";
        return Err(Invalid::new(pointer, problem));
    }
    let name = name.to_ascii_lowercase();
    let is_forbidden = FORBIDDEN_HEADERS.contains(&name.as_str())
        || FORBIDDEN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    if is_forbidden {
        return Err(Invalid::new(pointer, "this header is the gateway's own to set"));
    }
    if !taken.insert(name) {
        return Err(Invalid::new(pointer, "this header is set twice"));
    }
    Ok(())
}

fn header_value(pointer: &str, value: Option<&SecretText>) -> Result<(), Invalid> {
    let Some(text) = value.and_then(SecretText::text) else { return Ok(()) };
    let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.is_empty() || text.len() > LONGEST_VALUE || !is_visible || text.trim() != text {
        let problem = "use 1 to 4096 visible ASCII characters, without spaces around them";
        return Err(Invalid::new(pointer, problem));
    }
    Ok(())
}

fn parameters(pointer: &str, list: &[Parameter], own: &[&str]) -> Result<(), Invalid> {
    short(pointer, list)?;
    let mut taken = BTreeSet::new();
    for (index, parameter) in list.iter().enumerate() {
        let at = |member: &str| format!("{pointer}/{index}/{member}");
        let name = parameter.name.as_str();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            let problem = "use 1 to 256 bytes without control characters";
            return Err(Invalid::new(&at("name"), problem));
        }
        if own.contains(&name) {
            return Err(Invalid::new(&at("name"), "this one has a member of its own, or is fixed"));
        }
        if !taken.insert(name) {
            return Err(Invalid::new(&at("name"), "this parameter is set twice"));
        }
        plain(&at("value"), parameter.value.as_ref())?;
    }
    Ok(())
}

fn short(pointer: &str, list: &[Parameter]) -> Result<(), Invalid> {
    let bytes = |one: &Parameter| {
        one.name.len() + one.value.as_ref().and_then(SecretText::text).map_or(0, str::len)
    };
    if list.len() > MOST_PARAMETERS || list.iter().map(bytes).sum::<usize>() > LONGEST_LIST {
        return Err(Invalid::new(pointer, "use at most 100 of them, with 8192 bytes in all"));
    }
    Ok(())
}

fn tls(pointer: &str, tls: Option<&Tls>, address: &Url) -> Result<(), Invalid> {
    let Some(tls) = tls else { return Ok(()) };
    if address.scheme() != "https" {
        return Err(Invalid::new(pointer, "goes with an https address only"));
    }
    let at = |member: &str| format!("{pointer}/{member}");
    if let Some(text) = authorities(Some(tls)) {
        let mut trusted = RootCertStore::empty();
        for authority in certificates(&at("authorities"), text)? {
            let problem = "one of the certificates cannot be an authority";
            trusted.add(authority).map_err(|_| Invalid::new(&at("authorities"), problem))?;
        }
    }
    let chain = match &tls.certificates {
        Some(text) => certificates(&at("certificates"), text)?,
        None if tls.private_key.is_some() => {
            return Err(Invalid::new(&at("certificates"), "a private key needs its certificate"));
        }
        None if tls.authorities.is_none() => {
            let problem = "give certificates with a privateKey, or authorities";
            return Err(Invalid::new(pointer, problem));
        }
        None => return Ok(()),
    };
    match tls.private_key.as_ref().and_then(SecretText::text) {
        Some(text) => private_key(&at("privateKey"), text, chain),
        None => Ok(()),
    }
}

fn certificates(pointer: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let refuse = |problem: &str| Invalid::new(pointer, problem);
    if text.len() > LONGEST_PEM {
        return Err(refuse("use at most 64 KiB"));
    }
    // It is kept in the clear and shown.
    if text.contains("PRIVATE KEY") {
        return Err(refuse("there is a private key among the certificates; move it to privateKey"));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Ok(found) if (1..=MOST_CERTIFICATES).contains(&found.len()) => Ok(found),
        _ => Err(refuse("use 1 to 20 certificates in PEM")),
    }
}

/// Says nothing of what the library said, which might repeat a part of the key.
fn private_key(
    pointer: &str,
    text: &str,
    chain: Vec<CertificateDer<'static>>,
) -> Result<(), Invalid> {
    let refuse = |problem: &str| Invalid::new(pointer, problem);
    if text.len() > LONGEST_PEM {
        return Err(refuse("use at most 64 KiB"));
    }
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        refuse("use a private key in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted")
    })?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(refuse("the key is not the one of the first certificate"))
        }
        Err(_) => Err(refuse("the first certificate and its key cannot be used")),
    }
}
