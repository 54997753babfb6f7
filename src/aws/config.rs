//! Settings of every client of AWS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// How AWS is spoken to. Credentials come as the AWS SDKs find them: from the environment, a profile,
/// a web identity token, or the container or machine that the gateway runs on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The address of every AWS service, for emulators and private endpoints; absent: AWS's own
    /// endpoint in the region that an ARN names.
    #[schemars(with = "Option<String>")]
    pub endpoint_url: Option<Url>,
}

impl Config {
    /// Says in words what is wrong with the settings; nothing if they can be used.
    pub fn problem(&self) -> Option<&'static str> {
        let url = self.endpoint_url.as_ref()?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Some("use an http or https address with a host");
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let is_plain = !has_credentials && url.query().is_none() && url.fragment().is_none();
        (!is_plain).then_some("leave user name, password, query and fragment out of the address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_http_address() {
        let problem = |url: &str| Config { endpoint_url: Some(url.parse().unwrap()) }.problem();

        assert_eq!(Config::default().problem(), None);
        assert_eq!(problem("http://127.0.0.1:4566"), None);
        assert!(problem("ftp://127.0.0.1").is_some());
        assert!(problem("https://me:secret@aws.example.com").is_some());
        assert!(problem("https://aws.example.com/?a=b").is_some());
    }
}
