//! Ranges of addresses as people write them: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A range of addresses in CIDR notation (RFC 4632, section 3.1; RFC 4291, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// A text that is not a range of addresses.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NetworkError {
    /// It is neither an address nor a range.
    #[error("expected a range of addresses such as 10.0.0.0/8 or fd00::/8, found `{0}`")]
    Form(String),
    /// It names an address within a range, so that it is not clear which of the two is meant.
    #[error("`{found}` names an address within a range: write {range} for the range")]
    Bits {
        /// What was written.
        found: String,
        /// The range that the address is in.
        range: Network,
    },
}

impl Network {
    /// This machine itself, by IPv4.
    pub(super) const LOOPBACK_4: Self =
        Self(IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8));
    /// This machine itself, by IPv6.
    pub(super) const LOOPBACK_6: Self =
        Self(IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128));
    /// Networks of people's own (RFC 1918, section 3; RFC 4193, section 8).
    pub(super) const PRIVATE: [Self; 4] = [
        Self(IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8)),
        Self(IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12)),
        Self(IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16)),
        Self(IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7)),
    ];

    /// Tells whether an address lies in the range; no IPv4 address lies in an IPv6 range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Tells whether the range is this one address.
    pub fn is_only(&self, address: IpAddr) -> bool {
        self.0 == IpNet::from(address)
    }

    /// How many leading bits all addresses of the range share.
    pub fn prefix_length(&self) -> u8 {
        self.0.prefix_len()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let range: IpNet = range.map_err(|_| NetworkError::Form(text.to_owned()))?;
        if range != range.trunc() {
            return Err(NetworkError::Bits { found: text.to_owned(), range: Self(range.trunc()) });
        }
        Ok(Self(range))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description = "a range of addresses such as 10.0.0.0/8 or fd00::/8, or one address";
        json_schema!({ "type": "string", "description": description })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_and_an_address_are_read_and_written() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_what_would_be_one() {
        let refused = |text: &str| text.parse::<Network>().unwrap_err().to_string();

        assert_eq!(
            refused("10.1.2.3/8"),
            "`10.1.2.3/8` names an address within a range: write 10.0.0.0/8 for the range"
        );
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0-10.0.0.9", "::/129"] {
            assert!(refused(text).contains("expected a range"), "{text}");
        }
    }

    #[test]
    fn a_range_holds_addresses_of_its_own_family_only() {
        let everything: Network = "::/0".parse().unwrap();

        assert!(everything.contains("::1".parse().unwrap()));
        assert!(!everything.contains("127.0.0.1".parse().unwrap()));
    }
}
