//! How the gateway shows itself to a sink, as people write it: `sinkcredential`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::subscriptions::secret_text::without_quotes;
use crate::subscriptions::{Hmac, SecretText};

/// How long a former credential is tried beside a new one, if the document does not say.
const OVERLAP_SECONDS: u32 = 24 * 60 * 60;

/// How the gateway shows itself to the sink of a subscription: the `sinkcredential` of CloudEvents
/// Subscriptions, with the types of connections of Amazon EventBridge.
///
/// Secrets are kept encrypted and left out of every answer. A document that leaves one out keeps the
/// one that is there, as long as the address that it goes to stays the same.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkCredential {
    /// The kind of authorization; `NONE` where signatures, headers, query or TLS say it all.
    #[serde(default, rename = "credentialtype")]
    pub credential_type: CredentialType,
    /// User name and password: with `BASIC`, and only with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A header with a key: with `API_KEY`, and only with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// Where tokens come from: with `OAUTH_CLIENT_CREDENTIALS`, and only with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuth>,
    /// Signatures over each request, beside any kind of authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Hmac>,
    /// More headers of every request to the sink, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub headers: Vec<Parameter>,
    /// More query parameters of every request to the sink, at most 100. There are none for the body,
    /// because that is the token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub query: Vec<Parameter>,
    /// The client certificate for the sink, and whom to trust there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// For how many seconds the former credential is tried after this one was refused, 0 to 604,800;
    /// 86,400 (a day) if missing. 0 forgets the former one at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 604_800))]
    pub overlap: Option<u32>,
}

/// The kind of authorization, in the words of Amazon EventBridge.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CredentialType {
    /// Nothing but the signatures, the headers, the query and the certificate that are given.
    #[default]
    None,
    /// HTTP basic authentication (RFC 7617).
    Basic,
    /// A header with a key.
    ApiKey,
    /// A bearer token (RFC 6750) from a token endpoint (RFC 6749, section 4.4).
    #[serde(rename = "OAUTH_CLIENT_CREDENTIALS")]
    OAuthClientCredentials,
}

/// User name and password.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Basic {
    /// The user name, without a colon.
    pub username: String,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
}

/// A header with a key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    /// The name of the header, for example `x-api-key`.
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretText>,
}

/// Where tokens come from (RFC 6749, section 4.4).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OAuth {
    /// The address of the token endpoint.
    pub endpoint: String,
    /// The method of the request; `POST` if missing.
    #[serde(default)]
    pub method: TokenMethod,
    /// Who asks.
    pub client_id: String,
    /// Its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretText>,
    /// Where the client's name and secret stand; `basic` if missing.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// The `scope` that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The `audience` that is asked for, where the endpoint knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// More headers of the token request, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub headers: Vec<Parameter>,
    /// More query parameters of the token request, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub query: Vec<Parameter>,
    /// More form parameters of the token request, at most 100; not with `GET`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub body: Vec<Parameter>,
    /// The client certificate for the token endpoint, and whom to trust there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// The method of a token request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TokenMethod {
    /// Parameters in the query.
    Get,
    /// Parameters in the body, as a form.
    #[default]
    Post,
    /// Parameters in the body, as a form.
    Put,
}

/// Where a client's name and secret stand (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// Among the parameters of the body; not with `GET`.
    Body,
}

/// A header, a query parameter or a form parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretText>,
    /// Keep the value encrypted and never show it; EventBridge's `IsValueSecret`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// A client certificate, and whom to trust; texts in PEM.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The client certificate, followed by those that vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
    /// The private key of the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretText>,
    /// The authorities that vouch for the server; they alone are trusted then. The ones that the
    /// machine trusts if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
}

/// A place of a value in a credential, and whether the value is a secret by nature or by wish.
pub struct SecretSlot<'a> {
    /// JSON Pointer in the document of the subscription.
    pub pointer: String,
    /// The value; nothing where it is left out.
    pub value: &'a mut Option<SecretText>,
    /// Where the wish for secrecy stands; nothing where the value is a secret by nature.
    wish: Option<&'a mut bool>,
}

impl SecretSlot<'_> {
    /// Whether the value is kept encrypted and never shown.
    pub fn is_secret(&self) -> bool {
        self.wish.as_ref().is_none_or(|wish| **wish)
    }

    /// Has the value kept encrypted.
    pub fn make_secret(&mut self) {
        if let Some(wish) = &mut self.wish {
            **wish = true;
        }
    }
}

impl SinkCredential {
    /// The former credential is tried for so many seconds.
    pub fn overlap_seconds(&self) -> u32 {
        self.overlap.unwrap_or(OVERLAP_SECONDS)
    }

    /// Every place where a secret stands, or may stand.
    pub fn slots(&mut self) -> Vec<SecretSlot<'_>> {
        let mut slots = Vec::new();
        let mut fixed = |pointer: &str, value| {
            let pointer = format!("/sinkcredential/{pointer}");
            slots.push(SecretSlot { pointer, value, wish: None });
        };
        if let Some(basic) = &mut self.basic {
            fixed("basic/password", &mut basic.password);
        }
        if let Some(key) = &mut self.api_key {
            fixed("apiKey/value", &mut key.value);
        }
        if let Some(hmac) = &mut self.hmac {
            fixed("hmac/secret", &mut hmac.secret);
        }
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.has_identity()) {
            fixed("tls/privateKey", &mut tls.private_key);
        }
        let mut lists = vec![("headers", &mut self.headers), ("query", &mut self.query)];
        if let Some(oauth) = &mut self.oauth {
            fixed("oauth/clientSecret", &mut oauth.client_secret);
            if let Some(tls) = oauth.tls.as_mut().filter(|tls| tls.has_identity()) {
                fixed("oauth/tls/privateKey", &mut tls.private_key);
            }
            lists.extend([
                ("oauth/headers", &mut oauth.headers),
                ("oauth/query", &mut oauth.query),
                ("oauth/body", &mut oauth.body),
            ]);
        }
        for (list, parameters) in lists {
            for (index, parameter) in parameters.iter_mut().enumerate() {
                slots.push(SecretSlot {
                    pointer: format!("/sinkcredential/{list}/{index}/value"),
                    value: &mut parameter.value,
                    wish: Some(&mut parameter.secret),
                });
            }
        }
        slots
    }

    /// What is kept in the clear and shown: everything but the secrets. What lies in another place
    /// is one.
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        for mut slot in shown.slots() {
            if matches!(slot.value, Some(SecretText::Reference(_))) {
                slot.make_secret();
            }
            if slot.is_secret() {
                *slot.value = None;
            }
        }
        shown
    }

    /// Whether a secret is here, as a text or by its place.
    pub fn has_secrets(&self) -> bool {
        *self != self.without_secrets()
    }

    /// Fills in the secrets that are left out from the credential that it replaces at the same sink,
    /// wherever they go to the same place as before.
    ///
    /// A token goes to the sink as well, so nothing at all is filled in when another authority may
    /// vouch for the sink.
    pub fn fill_from(&mut self, before: &Self) {
        if authorities(self.tls.as_ref()) != authorities(before.tls.as_ref()) {
            return;
        }
        if let (Some(basic), Some(before)) = (&mut self.basic, &before.basic)
            && basic.username == before.username
        {
            fill(&mut basic.password, before.password.as_ref());
        }
        if let (Some(key), Some(before)) = (&mut self.api_key, &before.api_key)
            && key.name.eq_ignore_ascii_case(&before.name)
        {
            fill(&mut key.value, before.value.as_ref());
        }
        if let (Some(hmac), Some(before)) = (&mut self.hmac, &before.hmac) {
            fill(&mut hmac.secret, before.secret.as_ref());
        }
        fill_identity(&mut self.tls, before.tls.as_ref());
        fill_all(&mut self.headers, &before.headers);
        fill_all(&mut self.query, &before.query);
        if let (Some(oauth), Some(before)) = (&mut self.oauth, &before.oauth)
            && oauth.endpoint == before.endpoint
            && authorities(oauth.tls.as_ref()) == authorities(before.tls.as_ref())
        {
            if oauth.client_id == before.client_id {
                fill(&mut oauth.client_secret, before.client_secret.as_ref());
            }
            fill_identity(&mut oauth.tls, before.tls.as_ref());
            fill_all(&mut oauth.headers, &before.headers);
            fill_all(&mut oauth.query, &before.query);
            fill_all(&mut oauth.body, &before.body);
        }
    }
}

impl Tls {
    fn has_identity(&self) -> bool {
        self.certificates.is_some() || self.private_key.is_some()
    }
}

/// Whom to trust instead of the machine's authorities.
pub(super) fn authorities(tls: Option<&Tls>) -> Option<&str> {
    tls.and_then(|tls| tls.authorities.as_deref())
}

fn fill(value: &mut Option<SecretText>, before: Option<&SecretText>) {
    if value.is_none() {
        *value = before.cloned();
    }
}

fn fill_identity(tls: &mut Option<Tls>, before: Option<&Tls>) {
    if let (Some(tls), Some(before)) = (tls, before)
        && tls.certificates.is_some()
        && tls.certificates == before.certificates
    {
        fill(&mut tls.private_key, before.private_key.as_ref());
    }
}

fn fill_all(parameters: &mut [Parameter], before: &[Parameter]) {
    for parameter in parameters.iter_mut().filter(|one| one.secret) {
        let same = before.iter().find(|former| former.secret && former.name == parameter.name);
        fill(&mut parameter.value, same.and_then(|former| former.value.as_ref()));
    }
}

/// A credential that stands alone, as a body or in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialAlone(pub SinkCredential);

impl<'de> Deserialize<'de> for CredentialAlone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let credential = SinkCredential::deserialize(deserializer);
        credential.map(Self).map_err(unquoted)
    }
}

/// Reads a credential; what is told of a value in the wrong place does not repeat it.
pub(super) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<SinkCredential>>, D::Error> {
    Option::<Box<SinkCredential>>::deserialize(deserializer).map_err(unquoted)
}

fn unquoted<E: serde::de::Error>(error: E) -> E {
    without_quotes(&error.to_string()).map_or(error, E::custom)
}
