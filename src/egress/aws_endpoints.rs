//! The guard of AWS's own endpoints, which the gateway calls with credentials of its operator.

use crate::egress::{Egress, EgressConfig, Network};

/// The domains below which AWS serves its endpoints, in its public partitions: `aws`, `aws-us-gov`,
/// `aws-cn` and `aws-eusc`. Those of the isolated partitions are not public; `aws.endpoint-url` names one.
const DOMAINS: [&str; 6] = [
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
];

/// Whether a host is one of AWS's: below its domains, in letters that cannot mean another.
pub fn is_aws_host(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    DOMAINS.iter().any(|domain| host.strip_suffix(domain).is_some_and(|rest| !rest.is_empty()))
}

impl Egress {
    /// The guard of AWS's endpoints: an interface endpoint (AWS PrivateLink) has a private address
    /// in the gateway's own network, so private ranges are open besides. Loopback, link-local
    /// addresses and metadata services stay closed, and what the operator blocks stays blocked.
    #[must_use]
    pub fn for_aws_endpoints(&self) -> Self {
        let config = self.config();
        let allow = config.allow.iter().chain(&Network::PRIVATE).copied().collect();
        Self::new(EgressConfig { allow, ..config.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Scheme;

    #[test]
    fn only_names_below_the_domains_of_aws_are_its_own() {
        for host in [
            "sqs.eu-west-1.amazonaws.com",
            "events.cn-north-1.amazonaws.com.cn",
            "vpce-0a1b.events.eu-west-1.vpce.amazonaws.com",
            "sqs.eu-west-1.api.aws",
            "sqs.us-gov-west-1.amazonaws.com",
            "events.eusc-de-east-1.amazonaws.eu",
            "sqs.eusc-de-east-1.api.amazonwebservices.eu",
            "sqs.cn-north-1.api.amazonwebservices.com.cn",
            "STS.amazonaws.com.",
        ] {
            assert!(is_aws_host(host), "{host}");
        }
        let strangers =
            ["evil-amazonaws.com", "amazonaws.com.example", "a.aws", "a.amazonwebservices.eu"];
        for host in strangers.into_iter().chain(["amazonaws.com", "amazonaws.eu", ""]) {
            assert!(!is_aws_host(host), "{host}");
        }
    }

    #[test]
    fn private_addresses_are_open_and_nothing_else_is() {
        let block = vec!["10.9.0.0/16".parse().unwrap()];
        let egress = Egress::new(EgressConfig { block, ..EgressConfig::default() });
        let egress = egress.for_aws_endpoints();
        let judge = |address: &str| egress.judge(Scheme::Https, address.parse().unwrap()).is_ok();

        for open in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "52.94.5.1"] {
            assert!(judge(open), "{open}");
        }
        for closed in ["127.0.0.1", "169.254.169.254", "169.254.1.1", "::1", "10.9.0.1", "0.0.0.0"]
        {
            assert!(!judge(closed), "{closed}");
        }
    }
}
