//! Decides whether an address is dialed.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use url::{Host, Url};

use crate::egress::dialed_connections::DialedConnections;
use crate::egress::embedded::{embedded, translated};
use crate::egress::special::{is_metadata, purpose};
use crate::egress::trust::{ReadTrust, SystemTrust, TlsError};
use crate::egress::{EgressConfig, Network};
use crate::event::{Blame, Fault};

/// Why an address is not dialed. The text is shown to consumers, so it does not say what a name
/// resolved to: that would tell them about the gateway's own network.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EgressRefusal {
    /// It is neither an https nor an http address.
    #[error("use an https address")]
    Scheme,
    /// Plain http is not opened for it.
    #[error("plain http is not allowed there; use https")]
    PlainHttp,
    /// It lies in a range that is not for the public, and that is not opened.
    #[error("this gateway sends nothing to {0} addresses, unless its operator opens them")]
    Special(&'static str),
    /// A cloud answers there with the credentials of the machine that asks.
    #[error("this gateway sends nothing to metadata services")]
    Metadata,
    /// It is no endpoint of AWS, and credentials for AWS are sent to nobody else.
    #[error(
        "only AWS's own endpoints are called with credentials for AWS, or what `aws.endpoint-url` names"
    )]
    NotAws,
    /// The operator has excluded it.
    #[error("this gateway sends nothing to that address")]
    Blocked,
}

impl EgressRefusal {
    /// Whether it says where an address lies. Of a name's address this is not told: who chooses names
    /// could ask one after the other which of them the gateway's network has, and where each leads.
    pub const fn is_of_the_place(self) -> bool {
        match self {
            Self::Scheme | Self::PlainHttp | Self::NotAws => false,
            Self::Special(_) | Self::Metadata | Self::Blocked => true,
        }
    }

    /// Finds a refusal among the causes of an error, for example of an HTTP client.
    pub fn among_causes(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref() {
                return Some(*refused);
            }
            cause = inner.source();
        }
        None
    }
}

impl Blame for EgressRefusal {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    /// The scheme of a URL; nothing if it is neither.
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "https" => Some(Self::Https),
            "http" => Some(Self::Http),
            _ => None,
        }
    }
}

/// Which addresses are dialed.
#[derive(Clone, Debug)]
pub struct Egress {
    config: EgressConfig,
    /// The connections of everybody who is guarded.
    open: DialedConnections,
    /// Whom the system trusts, once somebody has asked.
    trust: OnceLock<Arc<SystemTrust>>,
}

impl Egress {
    /// Judges by these settings.
    pub fn new(config: EgressConfig) -> Self {
        Self { config, open: DialedConnections::default(), trust: OnceLock::new() }
    }

    /// Lets so many connections wait for their next request.
    #[cfg(test)]
    pub(super) fn keeping(config: EgressConfig, most: usize) -> Self {
        Self { open: DialedConnections::keeping(most), ..Self::new(config) }
    }

    /// The connections that were made past it.
    pub(super) const fn open(&self) -> &DialedConnections {
        &self.open
    }

    /// Whom the system trusts: one answer for all clients behind this guard.
    pub(super) fn system_trust(&self) -> Result<Arc<SystemTrust>, TlsError> {
        if let Some(trust) = self.trust.get() {
            return Ok(Arc::clone(trust));
        }
        let read = Arc::new(SystemTrust::new()?);
        Ok(Arc::clone(self.trust.get_or_init(|| read)))
    }

    /// Reads anew whom the system trusts; nothing changes yet.
    ///
    /// # Errors
    ///
    /// Ours: the system's certificates cannot be read.
    pub fn read_trust(&self) -> Result<ReadTrust, TlsError> {
        Ok(ReadTrust::of(&self.system_trust()?)?)
    }

    /// The settings that it judges by.
    pub const fn config(&self) -> &EgressConfig {
        &self.config
    }

    /// Judges what can be judged of a URL without a resolver: its scheme, and its host if that is
    /// an address.
    ///
    /// # Errors
    ///
    /// The caller's turn: it is refused whatever a resolver says.
    pub fn judge_url(&self, url: &Url) -> Result<Scheme, EgressRefusal> {
        let scheme = Scheme::of(url).ok_or(EgressRefusal::Scheme)?;
        match url.host() {
            Some(Host::Ipv4(address)) => self.judge(scheme, address.into())?,
            Some(Host::Ipv6(address)) => self.judge(scheme, address.into())?,
            Some(Host::Domain(_)) if scheme == Scheme::Https => {}
            Some(Host::Domain(_)) if self.config.plain_http.is_empty() => {
                return Err(EgressRefusal::PlainHttp);
            }
            Some(Host::Domain(_)) => {}
            None => return Err(EgressRefusal::Scheme),
        }
        Ok(scheme)
    }

    /// Judges an address that is about to be dialed.
    ///
    /// # Errors
    ///
    /// The caller's turn: it is not allowed.
    pub fn judge(&self, scheme: Scheme, address: IpAddr) -> Result<(), EgressRefusal> {
        self.judge_address(address)?;
        let plain_http = &self.config.plain_http;
        if scheme == Scheme::Http && !plain_http.iter().any(|range| range.contains(address)) {
            return Err(EgressRefusal::PlainHttp);
        }
        Ok(())
    }

    /// Keeps the addresses of a name that may be dialed.
    ///
    /// # Errors
    ///
    /// The caller's turn: the name has addresses, and none of them is allowed.
    pub fn sift(
        &self,
        scheme: Scheme,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, EgressRefusal> {
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in addresses {
            match self.judge(scheme, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        match refused {
            Some(reason) if allowed.is_empty() => Err(reason),
            _ => Ok(allowed),
        }
    }

    fn judge_address(&self, address: IpAddr) -> Result<(), EgressRefusal> {
        let EgressConfig { allow, block, .. } = &self.config;
        if block.iter().any(|range| range.contains(address)) {
            return Err(EgressRefusal::Blocked);
        }
        if is_metadata(address) && !allow.iter().any(|range| range.is_only(address)) {
            return Err(EgressRefusal::Metadata);
        }
        let opened: Vec<&Network> = allow.iter().filter(|range| range.contains(address)).collect();
        let Some(purpose) = purpose(address) else { return self.judge_embedded(address) };
        if opened.is_empty() {
            return Err(EgressRefusal::Special(purpose));
        }
        self.judge_embedded(address)?;
        self.judge_translated(address, &opened)
    }

    /// An opened outer range opens no inner address.
    fn judge_embedded(&self, address: IpAddr) -> Result<(), EgressRefusal> {
        let IpAddr::V6(address) = address else { return Ok(()) };
        embedded(address).into_iter().try_for_each(|inner| self.judge_address(inner.into()))
    }

    /// Where local translators keep the IPv4 address depends on the length of their prefix (RFC
    /// 8215), which nobody but the operator knows: it is the length of what `allow` names.
    fn judge_translated(&self, address: IpAddr, opened: &[&Network]) -> Result<(), EgressRefusal> {
        let IpAddr::V6(address) = address else { return Ok(()) };
        let [0x64, 0xff9b, 1, ..] = address.segments() else { return Ok(()) };
        let mut forms =
            opened.iter().filter_map(|range| translated(address, range.prefix_length())).peekable();
        if forms.peek().is_none() {
            return Err(EgressRefusal::Special("translated"));
        }
        forms.try_for_each(|inner| self.judge_address(inner.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn opened(allow: &[&str]) -> Egress {
        Egress::new(EgressConfig { allow: ranges(allow), ..EgressConfig::default() })
    }

    fn judge(egress: &Egress, address: &str) -> Result<(), EgressRefusal> {
        egress.judge(Scheme::Https, address.parse().unwrap())
    }

    const PUBLIC: [&str; 3] = ["8.8.8.8", "2a00:1450:4001:81b::200e", "2606:4700::1111"];

    #[test]
    fn public_addresses_are_dialed_and_special_ones_are_not() {
        let egress = opened(&[]);

        for address in PUBLIC {
            assert_eq!(judge(&egress, address), Ok(()), "{address}");
        }
        for (address, purpose) in [
            ("127.0.0.1", "loopback"),
            ("10.0.0.1", "private"),
            ("fd12::1", "private"),
            ("::ffff:8.8.8.8", "IPv4-mapped"),
            ("64:ff9b::8.8.8.8", "translated"),
            ("2002:808:808::1", "6to4"),
            ("2001::1", "Teredo"),
        ] {
            assert_eq!(judge(&egress, address), Err(EgressRefusal::Special(purpose)), "{address}");
        }
    }

    #[test]
    fn an_opened_range_ends_at_its_borders() {
        let egress = opened(&["10.20.0.0/16", "fd12::/32"]);

        for address in ["10.20.0.0", "10.20.255.255", "fd12::", "fd12:0:ffff::1"] {
            assert_eq!(judge(&egress, address), Ok(()), "{address}");
        }
        for address in ["10.19.255.255", "10.21.0.0", "fd12:1::", "fd11:ffff::"] {
            assert_eq!(
                judge(&egress, address),
                Err(EgressRefusal::Special("private")),
                "{address}"
            );
        }
    }

    #[test]
    fn a_metadata_service_is_opened_by_its_own_address_only() {
        let wide = opened(&["0.0.0.0/0", "::/0"]);
        let exact = opened(&["169.254.169.254"]);

        for address in ["169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200"] {
            assert_eq!(judge(&wide, address), Err(EgressRefusal::Metadata), "{address}");
        }
        assert_eq!(judge(&wide, "169.254.169.253"), Ok(()));
        assert_eq!(judge(&exact, "169.254.169.254"), Ok(()));
        assert_eq!(judge(&exact, "169.254.169.253"), Err(EgressRefusal::Special("link-local")));
    }

    #[test]
    fn an_opened_outer_range_opens_no_inner_address() {
        let egress = opened(&["::/0"]);

        for (address, inner) in [
            ("::ffff:127.0.0.1", "loopback"),
            ("::10.0.0.1", "private"),
            ("64:ff9b::192.168.0.1", "private"),
            ("2002:7f00:1::1", "loopback"),
            // Teredo: a private server, then a client in disguise.
            ("2001:0:a00:1:0:0:f7f7:f7f7", "private"),
            ("2001:0:808:808:0:0:80ff:fffe", "loopback"),
            ("2a00:1450:4001:81b:0:5efe:10.0.0.1", "private"),
        ] {
            assert_eq!(judge(&egress, address), Err(EgressRefusal::Special(inner)), "{address}");
        }
        assert_eq!(judge(&egress, "64:ff9b::169.254.169.254"), Err(EgressRefusal::Metadata));
        assert_eq!(judge(&egress, "64:ff9b::8.8.8.8"), Ok(()));
        assert_eq!(
            judge(&opened(&[]), "2a00::5efe:7f00:1"),
            Err(EgressRefusal::Special("loopback"))
        );
    }

    #[test]
    fn a_local_translator_is_judged_by_the_prefix_that_opens_it() {
        let short = opened(&["64:ff9b:1::/48"]);
        let long = opened(&["64:ff9b:1::/96"]);

        // To a translator with the short prefix this is 127.0.0.1, whatever follows it.
        assert_eq!(
            judge(&short, "64:ff9b:1:7f00:0:100:808:808"),
            Err(EgressRefusal::Special("loopback"))
        );
        assert_eq!(judge(&short, "64:ff9b:1:808:8:800::"), Ok(()));
        assert_eq!(judge(&long, "64:ff9b:1::127.0.0.1"), Err(EgressRefusal::Special("loopback")));
        assert_eq!(judge(&long, "64:ff9b:1::8.8.8.8"), Ok(()));
        let unclear = opened(&["64:ff9b::/32"]);
        assert_eq!(
            judge(&unclear, "64:ff9b:1::8.8.8.8"),
            Err(EgressRefusal::Special("translated"))
        );
    }

    #[test]
    fn what_is_blocked_stays_blocked_also_inside_another_address() {
        let egress = Egress::new(EgressConfig {
            allow: ranges(&["10.0.0.0/8", "64:ff9b::/96"]),
            block: ranges(&["10.9.0.0/16", "8.8.8.0/24"]),
            ..EgressConfig::default()
        });

        assert_eq!(judge(&egress, "10.8.0.1"), Ok(()));
        for address in ["10.9.0.1", "8.8.8.8", "64:ff9b::8.8.8.8"] {
            assert_eq!(judge(&egress, address), Err(EgressRefusal::Blocked), "{address}");
        }
    }

    #[test]
    fn plain_http_needs_an_opening_of_its_own_and_is_none() {
        let egress = Egress::new(EgressConfig {
            allow: ranges(&["10.0.0.0/8"]),
            plain_http: ranges(&["10.1.0.0/16", "127.0.0.0/8"]),
            ..EgressConfig::default()
        });
        let judge = |address: &str| egress.judge(Scheme::Http, address.parse().unwrap());

        assert_eq!(judge("10.1.0.1"), Ok(()));
        assert_eq!(judge("10.2.0.1"), Err(EgressRefusal::PlainHttp));
        assert_eq!(judge("8.8.8.8"), Err(EgressRefusal::PlainHttp));
        assert_eq!(judge("127.0.0.1"), Err(EgressRefusal::Special("loopback")));
    }

    #[test]
    fn urls_are_judged_by_scheme_and_by_literal_host_in_every_spelling() {
        let egress = opened(&[]);
        let judge = |url: &str| egress.judge_url(&url.parse().unwrap());

        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1:8443/",
            "https://127.0.0.1./",
            "https://[::1]/",
        ] {
            assert_eq!(judge(url), Err(EgressRefusal::Special("loopback")), "{url}");
        }
        assert_eq!(judge("https://[::ffff:7f00:1]/"), Err(EgressRefusal::Special("IPv4-mapped")));
        assert_eq!(judge("https://169.254.169.254/latest"), Err(EgressRefusal::Metadata));
        assert_eq!(judge("http://sink.example/"), Err(EgressRefusal::PlainHttp));
        assert_eq!(judge("http://8.8.8.8/"), Err(EgressRefusal::PlainHttp));
        assert_eq!(judge("ftp://8.8.8.8/"), Err(EgressRefusal::Scheme));
        // A name is judged when it is resolved.
        assert_eq!(judge("https://localhost:6379/"), Ok(Scheme::Https));
    }

    #[test]
    fn of_a_name_only_the_allowed_addresses_are_kept() {
        let egress = opened(&[]);
        let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 0);
        let sift = |addresses: &[SocketAddr]| egress.sift(Scheme::Https, addresses.to_vec());

        let mixed = [at("10.0.0.1"), at("8.8.8.8"), at("::1")];
        assert_eq!(sift(&mixed), Ok(vec![at("8.8.8.8")]));
        assert_eq!(sift(&[at("10.0.0.1"), at("::1")]), Err(EgressRefusal::Special("private")));
        assert_eq!(sift(&[]), Ok(Vec::new()));
    }

    /// Looks through ranges bit by bit.
    fn lies_in(address: IpAddr, range: &(IpAddr, u8)) -> bool {
        let bits = |address| match address {
            IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
            IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
        };
        let length = usize::from(range.1);
        address.is_ipv4() == range.0.is_ipv4()
            && bits(address).get(..length) == bits(range.0).get(..length)
    }

    /// Few bits vary, so that addresses meet ranges.
    fn private() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0_u8..4, 0_u8..2, 0_u8..3).prop_map(|(b, c, d)| IpAddr::from([10, b * 64, c, d])),
            (0_u16..3, 0_u16..2).prop_map(|(b, h)| IpAddr::from([0xfd12, b, 0, 0, 0, 0, 0, h])),
        ]
    }

    fn range() -> impl Strategy<Value = (IpAddr, u8)> {
        (private(), 0_u8..=32)
            .prop_map(|(address, length)| (address, length * if address.is_ipv4() { 1 } else { 4 }))
    }

    proptest! {
        #[test]
        fn allowed_means_in_an_opened_and_in_no_blocked_range(
            address in private(),
            allow in prop::collection::vec(range(), 0..3),
            block in prop::collection::vec(range(), 0..2),
        ) {
            let networks = |ranges: &[(IpAddr, u8)]| -> Vec<Network> {
                let network = |(address, length): &(IpAddr, u8)| {
                    match format!("{address}/{length}").parse() {
                        Ok(network) => network,
                        Err(crate::egress::NetworkError::Bits { range, .. }) => range,
                        Err(other) => panic!("{other}"),
                    }
                };
                ranges.iter().map(network).collect()
            };
            let egress = Egress::new(EgressConfig {
                allow: networks(&allow),
                block: networks(&block),
                ..EgressConfig::default()
            });

            let expected = allow.iter().any(|range| lies_in(address, range))
                && !block.iter().any(|range| lies_in(address, range));
            prop_assert_eq!(egress.judge(Scheme::Https, address).is_ok(), expected);
        }
    }
}
