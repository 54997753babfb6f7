//! Documents that consumers send: subscriptions and the credentials of their sinks.

use sealway::subscriptions::{SinkCredential, SubscriptionDocument, Subscriptions};

use super::tells_no_secret;

/// A document that is read is written and read again as the same, and shows no secret.
pub fn subscription(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<SubscriptionDocument>(input) else { return };
    if Subscriptions::check(&document).is_err() {
        return;
    }
    let shown = serde_json::to_string(&document.without_secrets()).unwrap();
    let again: SubscriptionDocument = serde_json::from_str(&shown).expect("what is shown is read");
    assert_eq!(serde_json::to_string(&again.without_secrets()).unwrap(), shown);
}

/// Debug of a credential tells none of its secrets; nor does what is said of one that is wrong.
pub fn sink_credential(input: &[u8]) {
    const SECRETS: [&str; 3] = ["password", "clientSecret", "privateKey"];
    let Ok(credential) = serde_json::from_slice::<SinkCredential>(input) else { return };
    let text = String::from_utf8_lossy(input);
    let named = |name: &str| text.matches(&format!("\"{name}\":\"hunter2")).count();
    if text.matches("hunter2").count() == SECRETS.iter().map(|name| named(name)).sum::<usize>() {
        tells_no_secret(&format!("{credential:?}"));
    }
}
