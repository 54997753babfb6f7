//! IPv4 addresses inside IPv6 ones: who dials the outer address reaches the inner one.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Cuts `length` bits out of an address, `from` bits after its beginning.
fn bits(address: Ipv6Addr, from: u32, length: u32) -> u128 {
    let shifted = address.to_bits() >> (128 - from - length);
    shifted & ((1 << length) - 1)
}

#[expect(clippy::cast_possible_truncation, reason = "callers cut out 32 bits")]
fn inner(bits: u128) -> Ipv4Addr {
    Ipv4Addr::from_bits(bits as u32)
}

/// The IPv4 addresses that an address of a fixed form holds: mapped and compatible (RFC 4291,
/// section 2.5.5), translated (RFC 2765, section 2.1; RFC 6052, section 2.1), 6to4 (RFC 3056,
/// section 2), Teredo (RFC 4380, section 4) and ISATAP (RFC 5214, section 6.1).
pub(super) fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let last = bits(address, 96, 32);
    let mut found = match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, ..] if last <= 1 => Vec::new(),
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![inner(last)],
        [0x2002, ..] => vec![inner(bits(address, 16, 32))],
        // The server, and the client in disguise.
        [0x2001, 0, ..] => vec![inner(bits(address, 32, 32)), inner(!last)],
        _ => Vec::new(),
    };
    // An interface of ISATAP can stand behind any prefix, also behind one of the above.
    if let [_, _, _, _, 0 | 0x200, 0x5efe, ..] = address.segments() {
        found.push(inner(last));
    }
    found
}

/// The IPv4 address that a translator with a prefix of this length reads out of an address (RFC
/// 6052, section 2.2); nothing for a length that no translator within `64:ff9b:1::/48` has.
pub(super) fn translated(address: Ipv6Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    // Bits 64 to 71 are skipped, so the address falls into a head before and a tail after them.
    let head = match prefix_length {
        48 => 16,
        56 => 8,
        64 => 0,
        96 => return Some(inner(bits(address, 96, 32))),
        _ => return None,
    };
    let tail = 32 - head;
    Some(inner(bits(address, 64 - head, head) << tail | bits(address, 72, tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &str) -> Vec<String> {
        embedded(address.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_gives_what_it_holds() {
        for (address, expected) in [
            ("::ffff:192.0.2.33", "192.0.2.33"),
            ("::192.0.2.33", "192.0.2.33"),
            ("::ffff:0:192.0.2.33", "192.0.2.33"),
            ("64:ff9b::192.0.2.33", "192.0.2.33"),
            ("2002:c000:221::1", "192.0.2.33"),
            ("2a00:1450:4001:81b:0:5efe:c000:221", "192.0.2.33"),
            ("2a00:1450:4001:81b:200:5efe:c000:221", "192.0.2.33"),
        ] {
            assert_eq!(shown(address), [expected], "{address}");
        }
        // The example of RFC 4380, section 4.
        assert_eq!(shown("2001:0:4136:e378:8000:63bf:3fff:fdd2"), ["65.54.227.120", "192.0.2.45"]);
        assert_eq!(shown("2002:c000:221::5efe:808:808"), ["192.0.2.33", "8.8.8.8"]);
        for address in ["::", "::1", "2a00:1450:4001:81b::200e", "fe80::1"] {
            assert!(shown(address).is_empty(), "{address}");
        }
    }

    /// The table of RFC 6052, section 2.4, with the prefix of local translators.
    #[test]
    fn translators_place_the_address_by_the_length_of_their_prefix() {
        for (address, length) in [
            ("64:ff9b:1:c000:2:2100::", 48),
            ("64:ff9b:1:c0:0:221::", 56),
            ("64:ff9b:1:0:c0:2:2100::", 64),
            ("64:ff9b:1::192.0.2.33", 96),
        ] {
            let found = translated(address.parse().unwrap(), length);
            assert_eq!(found.unwrap().to_string(), "192.0.2.33", "{address}");
        }
        assert_eq!(translated("64:ff9b:1::".parse().unwrap(), 40), None);
    }
}
