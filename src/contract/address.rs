//! Where a schema is served: one address for each domain, event and version, for ever.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::contract::Catalog;
use crate::enrich::{Publication, Publications};
use crate::event::decode_segment;

/// The path of a schema below `/schemas/`: `{domain}/{event}/{version}`, each percent-encoded as one
/// segment of a path (RFC 3986, section 3.3), so that no two have the same.
///
/// Gateways of before gave addresses of two segments, `{message}/{version}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaAddress(Arc<str>);

impl SchemaAddress {
    /// The address of a domain's event in one version.
    pub fn new(domain: &str, event: &str, version: &str) -> Self {
        Self::of_segments([domain, event, version])
    }

    /// The address with these segments, which are not encoded yet.
    pub fn of_segments<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut path = String::new();
        for (index, segment) in segments.into_iter().enumerate() {
            if index > 0 {
                path.push('/');
            }
            encode(segment, &mut path);
        }
        Self(path.into())
    }

    /// The address that a client asks for who was given `{message}/{version}` as a gateway of before
    /// wrote it, without any encoding: what follows a `#` or `?` is not sent.
    pub fn of_before(message: &str, version: &str) -> Self {
        let written = format!("{message}/{version}");
        let sent = written.split(['#', '?']).next().unwrap_or_default();
        let segments: Vec<_> = sent.split('/').map(decode_segment).collect();
        Self::of_segments(segments.iter().map(AsRef::as_ref))
    }

    /// Its text.
    pub const fn text(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for SchemaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What events of each publication have as `dataschema`, made once.
#[derive(Clone, Debug, Default)]
pub struct SchemaAddresses {
    base: Arc<str>,
    by_publication: HashMap<Arc<str>, (SchemaAddress, Arc<str>)>,
}

impl SchemaAddresses {
    /// Makes the addresses of all publications below the URI where schemas are served, which is
    /// without a slash at its end: `https://events.example.com/schemas`.
    pub fn new(base: &str, catalog: &Catalog, publications: &Publications) -> Self {
        let of = |publication: &Arc<Publication>| {
            let address = catalog.schema_address(publication)?;
            let whole = Arc::from(format!("{base}/{address}"));
            Some((Arc::clone(publication.name()), (address, whole)))
        };
        Self { base: base.into(), by_publication: publications.iter().filter_map(of).collect() }
    }

    /// Where schemas are served, without a slash at its end.
    pub const fn base(&self) -> &Arc<str> {
        &self.base
    }

    /// The address of a publication's schema; nothing if it has no message.
    pub fn address_of(&self, publication: &Publication) -> Option<&SchemaAddress> {
        self.by_publication.get(publication.name()).map(|(address, _)| address)
    }

    /// What its events have as `dataschema`.
    pub fn dataschema_of(&self, publication: &Publication) -> Option<&Arc<str>> {
        self.by_publication.get(publication.name()).map(|(_, whole)| whole)
    }
}

impl Catalog {
    /// Where the schema of a publication's data is served; nothing if no message describes it.
    pub fn schema_address(&self, publication: &Publication) -> Option<SchemaAddress> {
        let message = self.message_of(publication)?;
        Some(SchemaAddress::new(publication.domain(), publication.event(), message.version()))
    }
}

/// Letters, digits and `-._~` stay (RFC 3986, section 2.3), except in `.` and `..`, which would name
/// another place.
fn encode(segment: &str, to: &mut String) {
    let is_dots = matches!(segment, "." | "..");
    for byte in segment.bytes() {
        let stays = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
        if stays && !is_dots {
            to.push(char::from(byte));
        } else {
            to.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(digit.into(), 16).unwrap_or_default();
                to.push(digit.to_ascii_uppercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_a_version_holds_is_one_segment() {
        let address =
            |version: &str| SchemaAddress::new("pay", "Order.Created", version).to_string();

        for (version, encoded) in [
            ("1.0.0", "1.0.0"),
            ("1.0.0+b#7", "1.0.0%2Bb%237"),
            ("2 beta/3", "2%20beta%2F3"),
            ("50%?ü", "50%25%3F%C3%BC"),
            ("..", "%2E%2E"),
        ] {
            assert_eq!(address(version), format!("pay/Order.Created/{encoded}"));
        }
    }

    #[test]
    fn two_domains_never_share_an_address() {
        let one = SchemaAddress::new("a", "M", "1.0.0");

        assert_ne!(one, SchemaAddress::new("b", "M", "1.0.0"));
        assert_ne!(SchemaAddress::new("a", "b/M", "1"), SchemaAddress::new("a/b", "M", "1"));
    }

    #[test]
    fn an_address_of_before_is_what_a_client_asks_for() {
        let sent = |message: &str, version: &str| SchemaAddress::of_before(message, version);

        assert_eq!(sent("Order.Created", "1.0.0").to_string(), "Order.Created/1.0.0");
        assert_eq!(sent("M", "1.0.0+b#7").to_string(), "M/1.0.0%2Bb");
        assert_eq!(sent("M", "1 a").to_string(), "M/1%20a");
        assert_eq!(sent("M", "1%20a").to_string(), "M/1%20a");
        assert_eq!(sent("M", "100%").to_string(), "M/100%25");
        assert_eq!(sent("user/signedup", "1").to_string(), "user/signedup/1");
    }

    proptest! {
        #[test]
        fn segments_come_back_from_their_encoding(segments in prop::collection::vec(".*", 3)) {
            let address = SchemaAddress::of_segments(segments.iter().map(String::as_str));
            let uri = format!("https://gw.example/schemas/{address}");

            let parsed = url::Url::parse(&uri).unwrap();
            prop_assert!(parsed.query().is_none() && parsed.fragment().is_none());
            let text = address.to_string();
            let back: Vec<_> = text.split('/').map(decode_segment).collect();
            prop_assert_eq!(&back, &segments);
            // Dots alone are a place of their own to a browser, however they are written.
            if segments.iter().all(|segment| !matches!(segment.as_str(), "." | "..")) {
                prop_assert_eq!(parsed.as_str(), uri);
            }
        }
    }
}
