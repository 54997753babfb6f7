//! Blocks of IP addresses in CIDR notation.

use std::net::IpAddr;

/// A block such as `10.0.0.0/8`. A block of length 0 is every address of its family, no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Block {
    base: IpAddr,
    length: u8,
}

impl Block {
    /// Reads `address/length`; bits of the address behind the length are ignored. A refusal is in the
    /// words of EventBridge where it has some.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').filter(|(_, length)| !length.contains('/'));
        let (address, length) = parts
            .filter(|(_, length)| !length.is_empty())
            .ok_or("Malformed CIDR, one '/' required")?;
        let plain = length.bytes().all(|b| b.is_ascii_digit())
            && (length.len() == 1 || !length.starts_with('0'));
        if !plain {
            return Err("Malformed CIDR, mask bits must be an integer".to_owned());
        }
        let address: IpAddr =
            address.parse().map_err(|_| format!("Nonstandard IP address: {address}"))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length
            .parse()
            .ok()
            .filter(|&length| length <= bits)
            .ok_or("Malformed CIDR, mask bits must be 0 to 32 for IPv4, 0 to 128 for IPv6")?;
        Ok(Self { base: mask(address, length), length })
    }

    /// The block of some length that an address is in.
    pub(super) fn around(address: IpAddr, length: u8) -> Self {
        Self { base: mask(address, length), length }
    }

    /// How many leading bits are fixed.
    pub(super) const fn length(&self) -> u8 {
        self.length
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && mask(address, self.length) == self.base
    }
}

fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & keep).into())
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(128_u32.saturating_sub(length.into())).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & keep).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(block: &str, address: &str) -> bool {
        Block::parse(block).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_block_holds_the_addresses_that_share_its_leading_bits() {
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.1.2.3/8", "10.9.9.9"));
        assert!(contains("10.0.0.7/32", "10.0.0.7") && !contains("10.0.0.7/32", "10.0.0.6"));
        assert!(contains("0.0.0.0/0", "255.1.1.1") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::1"));
        assert!(contains("::1/128", "0:0:0:0:0:0:0:1"));
        assert!(contains("::/0", "ff::1") && !contains("::/0", "1.2.3.4"));
    }

    #[test]
    fn malformed_blocks_are_refused() {
        for text in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "1.2.3.4/08",
            "/8",
            "1.2.3.4/8/9",
        ] {
            assert!(Block::parse(text).is_err(), "{text}");
        }
    }
}
