//! Resolves the names of AWS's endpoints through the egress guard.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use crate::egress::{Egress, EgressRefusal, Scheme, Unresolved, is_aws_host};

/// The resolver of every client of AWS. Literal addresses are dialed without it, and no consumer can
/// write one: the operator does, as `aws.endpoint-url`, and the SDK's credential chain has those of the
/// metadata services of machines (169.254.169.254) and containers (169.254.170.2, 169.254.170.23), or
/// the one that the environment names.
#[derive(Clone, Debug)]
pub(super) struct EndpointResolver {
    egress: Arc<Egress>,
    /// The host that the operator has named; it is dialed wherever it leads.
    named: Option<Arc<str>>,
}

impl EndpointResolver {
    pub(super) fn new(egress: &Egress, named: Option<&str>) -> Self {
        Self { egress: Arc::new(egress.for_aws_endpoints()), named: named.map(Arc::from) }
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ResolveDnsError> {
        let is_named = self.named.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(name));
        if !is_named && !is_aws_host(name) {
            return Err(ResolveDnsError::new(EgressRefusal::NotAws));
        }
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map_err(|e| ResolveDnsError::new(Unresolved(e.to_string())))?;
        let found: Vec<SocketAddr> = found.collect();
        let allowed = if is_named {
            found
        } else {
            self.egress.sift(Scheme::Https, found).map_err(ResolveDnsError::new)?
        };
        Ok(allowed.iter().map(SocketAddr::ip).collect())
    }
}

impl ResolveDns for EndpointResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(self.addresses(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::EgressConfig;

    #[tokio::test]
    async fn names_of_others_are_not_dialed_unless_the_operator_names_them() {
        let egress = Egress::new(EgressConfig::default());
        let strict = EndpointResolver::new(&egress, None);
        let refused = strict.addresses("localhost").await.unwrap_err();
        assert_eq!(EgressRefusal::among_causes(&refused), Some(EgressRefusal::NotAws));

        let named = EndpointResolver::new(&egress, Some("localhost"));
        assert!(!named.addresses("localhost").await.unwrap().is_empty());
    }
}
