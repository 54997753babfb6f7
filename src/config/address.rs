//! Whether a gateway can be found under its issuer where it listens.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

/// Why nobody can find a gateway under its issuer, if that is certain.
///
/// What a proxy, a container's port mapping or a name server may lead here is not judged: a public https
/// issuer and a loopback `listen` are a gateway behind a proxy on its machine.
pub(super) fn misfit(issuer: &Url, listen: SocketAddr) -> Option<String> {
    let host = issuer.host()?;
    let port = issuer.port_or_known_default()?;
    let address = address(&host);
    if address.is_some_and(|address| address.is_unspecified()) {
        return Some(format!(
            "issuer is {issuer}, an address that nobody can call; name the one that consumers fetch \
             keys from"
        ));
    }
    let is_loopback = is_loopback(&host, address);
    let is_own_port = port == listen.port() && (is_loopback || address == Some(listen.ip()));
    if issuer.scheme() == "https" {
        return (is_own_port && reaches(listen, is_loopback, address)).then(|| {
            format!(
                "issuer is {issuer} and listen is {listen}, the same port, which speaks plain http; \
                 have a proxy speak https on another port, or write http"
            )
        });
    }
    if !is_loopback && listen.ip().is_loopback() {
        return Some(format!(
            "issuer is {issuer} and listen is {listen}, which only this machine reaches; listen on \
             0.0.0.0:{}, or put a proxy in front and name its https address as issuer",
            listen.port()
        ));
    }
    let is_elsewhere = !listen.ip().is_unspecified() && !listen.ip().is_loopback();
    if is_loopback && (is_elsewhere || (listen.ip().is_loopback() && port != listen.port())) {
        return Some(format!(
            "issuer is {issuer} and listen is {listen}, so keys are not found under the issuer; \
             write the same address in both"
        ));
    }
    None
}

/// Whether a call to the issuer's host on the port of `listen` arrives there.
fn reaches(listen: SocketAddr, is_loopback: bool, address: Option<IpAddr>) -> bool {
    listen.ip().is_unspecified()
        || (is_loopback && listen.ip().is_loopback())
        || address == Some(listen.ip())
}

fn address(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

fn is_loopback(host: &Host<&str>, address: Option<IpAddr>) -> bool {
    let is_local = |name: &str| name == "localhost" || name.ends_with(".localhost");
    address.is_some_and(|address| address.is_loopback())
        || matches!(host, Host::Domain(name) if is_local(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_is_a_misfit() {
        let judge = |issuer: &str, listen: &str| {
            misfit(&issuer.parse().unwrap(), listen.parse().unwrap()).is_some()
        };
        for (issuer, listen) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "[::1]:8080"),
            // A container whose port is mapped.
            ("http://127.0.0.1:9000", "0.0.0.0:8080"),
            ("http://gateway:80", "0.0.0.0:8080"),
            ("http://192.0.2.7:8080", "10.0.0.7:8080"),
            // Proxies that speak https.
            ("https://events.example.com", "127.0.0.1:8080"),
            ("https://events.example.com", "0.0.0.0:443"),
            ("https://localhost:8443", "127.0.0.1:8080"),
        ] {
            assert!(!judge(issuer, listen), "{issuer} {listen}");
        }
        for (issuer, listen) in [
            ("http://0.0.0.0:8080", "0.0.0.0:8080"),
            ("https://[::]:8080", "[::]:8080"),
            ("https://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://localhost:8080", "0.0.0.0:8080"),
            ("https://10.0.0.7:8080", "10.0.0.7:8080"),
            ("http://events.example.com:8080", "127.0.0.1:8080"),
            ("http://10.0.0.7:8080", "[::1]:8080"),
            ("http://127.0.0.1:8080", "127.0.0.1:8081"),
            ("http://localhost", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080", "10.0.0.7:8080"),
        ] {
            assert!(judge(issuer, listen), "{issuer} {listen}");
        }
    }
}
