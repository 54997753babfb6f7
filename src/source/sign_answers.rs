//! The signed answer: what a producer may ask for beside the answer itself, as proof against who gave it.

use async_trait::async_trait;
use http::HeaderMap;

use crate::event::{EventProducer, SentDigest};
use crate::source::Admitted;

/// The header by which a producer asks (RFC 7240).
const PREFER: &str = "prefer";
/// The preference.
pub const RECEIPT: &str = "receipt";

/// What a producer is answered about one entry of its request.
#[derive(Clone, Debug)]
pub struct EntryAnswer {
    /// The entry as it was sent.
    pub sent: SentDigest,
    /// What became of it; the code of the reason where nothing of it was stored.
    pub outcome: Result<Admitted, &'static str>,
}

/// Signs answers to producers with the gateway's own key.
#[async_trait]
pub trait SignAnswers: Send + Sync {
    /// Signs what became of the entries of one request, in their order: a compact JWS. Whatever they became
    /// must be durable.
    ///
    /// Nothing if that fails, which is logged: what was taken is taken, and a producer that misses the
    /// signature sends again.
    async fn sign(&self, producer: &EventProducer, entries: Vec<EntryAnswer>) -> Option<String>;
}

/// Whether a request asks for a signed answer: `Prefer: receipt`, among other preferences or alone.
pub fn prefers_receipt(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(preferences).any(|preference| {
        let token = preference.split([';', '=']).next().unwrap_or_default();
        token.trim().eq_ignore_ascii_case(RECEIPT)
    })
}

/// Splits a list at the commas that stand outside of quoted texts.
fn preferences(list: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.split(move |c| {
        let is_border = c == ',' && !is_quoted;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        is_border
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asks(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        prefers_receipt(&headers)
    }

    #[test]
    fn the_preference_is_found_among_others() {
        for values in [
            &["receipt"][..],
            &["Receipt"],
            &["respond-async, receipt"],
            &["wait=10", "receipt"],
            &["receipt; a=b, wait=1"],
            &["receipt=\"\""],
            &[r#"note="a, b \" c", receipt"#],
        ] {
            assert!(asks(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["receipts"],
            &["return=receipt"],
            &["wait=1; receipt"],
            &[r#"note="a, receipt, b""#],
            &[r#"note="\", receipt"#],
        ] {
            assert!(!asks(values), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_client_prefers_is_read(value in "[ -~]{0,60}") {
            let is_named = value.to_ascii_lowercase().contains(RECEIPT);
            prop_assert!(!asks(&[&value]) || is_named);
            if !value.contains(['"', '\\']) {
                let listed = format!("{value}, receipt");
                prop_assert!(asks(&[&listed]));
            }
        }
    }
}
