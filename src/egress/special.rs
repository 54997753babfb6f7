//! The special-purpose parts of the address space, after the IANA registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// A range that begins with these two groups; the others are zero.
const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// IPv4: what is not for the public, and what each range is for (RFC 6890 and its successors).
const IPV4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmark"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// The one part of IPv6 from which public addresses are given out.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

/// IPv6: ranges with a name of their own; the first that fits counts.
const IPV6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "IPv4-mapped"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96), "translated"),
    (v6(0, 0, 96), "IPv4-compatible"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96), "translated"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48), "translated"),
    (v6(0x100, 0, 64), "discard"),
    (v6(0x2001, 0, 32), "Teredo"),
    (v6(0x2001, 2, 48), "benchmark"),
    (v6(0x2001, 0x10, 28), "ORCHID"),
    (v6(0x2001, 0x20, 28), "ORCHID"),
    (v6(0x2001, 0, 23), "protocol"),
    (v6(0x2001, 0xdb8, 32), "documentation"),
    (v6(0x2002, 0, 16), "6to4"),
    (v6(0x3fff, 0, 20), "documentation"),
    (v6(0xfc00, 0, 7), "private"),
    (v6(0xfe80, 0, 10), "link-local"),
    (v6(0xfec0, 0, 10), "private"),
    (v6(0xff00, 0, 8), "multicast"),
];

/// Where clouds answer with the credentials of the machine that asks. Some of these lie in public
/// or in widely opened ranges, so that each stands for itself.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // Credentials of containers.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Says what an address is for, if it is not for the public.
pub(super) fn purpose(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => named(IPV4, |range| range.contains(&address)),
        IpAddr::V6(address) => named(IPV6, |range| range.contains(&address))
            .or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("reserved")),
    }
}

fn named<R>(ranges: &[(R, &'static str)], holds: impl Fn(&R) -> bool) -> Option<&'static str> {
    ranges.iter().find(|(range, _)| holds(range)).map(|(_, purpose)| *purpose)
}

/// Tells whether a cloud's metadata service answers at an address.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// First and last address of each range, what it is for, and its neighbors on both sides where
    /// those are public.
    const BORDERS: &[(&str, &str, &str, &str, &str)] = &[
        ("", "0.0.0.0", "unspecified", "0.255.255.255", "1.0.0.0"),
        ("9.255.255.255", "10.0.0.0", "private", "10.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.64.0.0", "shared", "100.127.255.255", "100.128.0.0"),
        ("126.255.255.255", "127.0.0.0", "loopback", "127.255.255.255", "128.0.0.0"),
        ("169.253.255.255", "169.254.0.0", "link-local", "169.254.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.16.0.0", "private", "172.31.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.0.0", "protocol", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "documentation", "192.0.2.255", "192.0.3.0"),
        ("192.88.98.255", "192.88.99.0", "relay", "192.88.99.255", "192.88.100.0"),
        ("192.167.255.255", "192.168.0.0", "private", "192.168.255.255", "192.169.0.0"),
        ("198.17.255.255", "198.18.0.0", "benchmark", "198.19.255.255", "198.20.0.0"),
        ("198.51.99.255", "198.51.100.0", "documentation", "198.51.100.255", "198.51.101.0"),
        ("203.0.112.255", "203.0.113.0", "documentation", "203.0.113.255", "203.0.114.0"),
        ("223.255.255.255", "224.0.0.0", "multicast", "239.255.255.255", ""),
        ("", "240.0.0.0", "reserved", "255.255.255.254", ""),
        ("", "255.255.255.255", "broadcast", "255.255.255.255", ""),
        ("", "::", "unspecified", "::", ""),
        ("", "::1", "loopback", "::1", ""),
        ("", "::2", "IPv4-compatible", "::ffff:ffff", ""),
        ("", "::1:0:0", "reserved", "::fffe:ffff:ffff", ""),
        ("", "::ffff:0:0", "IPv4-mapped", "::ffff:ffff:ffff", ""),
        ("", "::ffff:0:0:0", "translated", "::ffff:0:ffff:ffff", ""),
        ("", "64:ff9b::", "translated", "64:ff9b::ffff:ffff", ""),
        ("", "64:ff9b::1:0:0", "reserved", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "64:ff9b:1::", "translated", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "100::", "discard", "100::ffff:ffff:ffff:ffff", ""),
        ("", "100:0:0:1::", "reserved", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
        (
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001::",
            "Teredo",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
            "",
        ),
        ("", "2001:1::", "protocol", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "2001:2::", "benchmark", "2001:2:0:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "2001:10::", "ORCHID", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "2001:30::", "protocol", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
        (
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "documentation",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ),
        (
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002::",
            "6to4",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
        ),
        (
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff::",
            "documentation",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ),
        (
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000::",
            "reserved",
            "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "",
        ),
        ("", "fc00::", "private", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "fe00::", "reserved", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "fe80::", "link-local", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "fec0::", "private", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "ff00::", "multicast", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
    ];

    #[test]
    fn every_range_is_known_at_both_of_its_ends_and_not_beyond_them() {
        for (before, first, expected, last, after) in BORDERS {
            for inside in [first, last] {
                assert_eq!(purpose(inside.parse().unwrap()), Some(*expected), "{inside}");
            }
            for outside in [before, after].into_iter().filter(|address| !address.is_empty()) {
                assert_eq!(purpose(outside.parse().unwrap()), None, "{outside}");
            }
        }
    }

    #[test]
    fn the_table_of_borders_has_every_range() {
        let is_tested = |first: IpAddr| {
            BORDERS.iter().any(|border| {
                let within = border.1.parse::<IpAddr>().unwrap()..=border.3.parse().unwrap();
                within.contains(&first)
            })
        };

        assert!(IPV4.iter().all(|(range, _)| is_tested(range.network().into())));
        assert!(IPV6.iter().all(|(range, _)| is_tested(range.network().into())));
    }

    #[test]
    fn metadata_services_are_known_by_their_address() {
        for address in ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"] {
            assert!(is_metadata(address.parse().unwrap()), "{address}");
        }
        assert!(!is_metadata("169.254.169.253".parse().unwrap()));
    }

    /// The same question answered from the first and last addresses of the table of the tests.
    fn by_borders(address: IpAddr) -> bool {
        BORDERS.iter().any(|(_, first, _, last, _)| {
            let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
            first.is_ipv4() == address.is_ipv4() && first <= address && address <= last
        })
    }

    /// Addresses anywhere, and those near a border, where mistakes are.
    fn address() -> impl Strategy<Value = IpAddr> {
        let near = (0..BORDERS.len(), any::<bool>(), -2_i32..=2).prop_map(|(place, end, step)| {
            let border = if end { BORDERS[place].1 } else { BORDERS[place].3 };
            match border.parse().unwrap() {
                IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).wrapping_add_signed(step).into()),
                IpAddr::V6(v6) => {
                    IpAddr::V6(u128::from(v6).wrapping_add_signed(step.into()).into())
                }
            }
        });
        let anywhere = prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            // Where the named ranges are.
            (0x2000_u16..0x4000, any::<[u16; 7]>()).prop_map(|(a, [b, c, d, e, f, g, h])| {
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
            }),
        ];
        prop_oneof![near, anywhere]
    }

    proptest! {
        #[test]
        fn masks_and_borders_agree_on_any_address(address in address()) {
            // What stands in no row: most of what is not given out, and parts of 2001::/23.
            let unnamed = match address {
                IpAddr::V6(v6) => match v6.segments() {
                    [0x2001, second, ..] => second < 0x200,
                    [first, ..] => !(0x2000..0x4000).contains(&first),
                },
                IpAddr::V4(_) => false,
            };
            prop_assert_eq!(purpose(address).is_some(), by_borders(address) || unnamed);
        }
    }
}
