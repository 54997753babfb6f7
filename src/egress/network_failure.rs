//! In which word a consumer is told why the network carried nothing.
//!
//! A consumer chooses the names and addresses that are dialed. The texts of resolvers, sockets and TLS
//! stacks would tell it of the gateway's network, so it hears one word of a closed list; the operator
//! has the whole error in the log.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Why the network carried nothing, as far as that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFailure {
    /// The name has no address, or none that may be dialed.
    NameResolution,
    /// Nothing takes connections there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The TLS handshake failed: the certificate, its name, its authority, or the versions.
    Tls,
    /// The other side ended the connection.
    Closed,
}

/// A name without an address that may be dialed. Its text is for operators.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub String);

impl NetworkFailure {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NameResolution => "name-resolution",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Closed => "closed",
        }
    }

    /// The word after a colon, as the end of a sentence; nothing if it is not known.
    pub fn after_colon(reason: Option<Self>) -> String {
        reason.map(|reason| format!(": {}", reason.word())).unwrap_or_default()
    }

    /// The word for an error, by the outermost of its causes that tells; nothing if none does.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            let socket = cause.downcast_ref::<io::Error>();
            let found = if cause.is::<Unresolved>() {
                Some(Self::NameResolution)
            } else if cause.is::<rustls::Error>() {
                Some(Self::Tls)
            } else {
                socket.and_then(|error| Self::of_kind(error.kind()))
            };
            if found.is_some() {
                return found;
            }
            // What a socket's error holds is not among its sources.
            next = match socket.and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => cause.source(),
            };
        }
        None
    }

    const fn of_kind(kind: ErrorKind) -> Option<Self> {
        Some(match kind {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Self::Unreachable,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Closed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: String,
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    }

    fn outer(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Outer {
        Outer { text: "error sending request".to_owned(), cause: cause.into() }
    }

    #[test]
    fn the_cause_is_found_behind_others_and_within_an_error_of_a_socket() {
        let unresolved = || Unresolved("lookup of db.internal".to_owned());
        let tls = || rustls::Error::HandshakeNotComplete;
        for (error, expected) in [
            (outer(unresolved()), Some("name-resolution")),
            (outer(outer(unresolved())), Some("name-resolution")),
            (outer(io::Error::other(unresolved())), Some("name-resolution")),
            (outer(io::Error::other(tls())), Some("tls")),
            (outer(io::Error::new(ErrorKind::InvalidData, tls())), Some("tls")),
            (outer(io::Error::from(ErrorKind::ConnectionRefused)), Some("refused")),
            (outer(io::Error::from_raw_os_error(113)), Some("unreachable")),
            (outer(io::Error::from_raw_os_error(111)), Some("refused")),
            (outer(io::Error::from(ErrorKind::TimedOut)), Some("timeout")),
            (outer(io::Error::from(ErrorKind::ConnectionReset)), Some("closed")),
            (outer(io::Error::other("10.0.0.3")), None),
            (outer("anything else"), None),
        ] {
            assert_eq!(NetworkFailure::of(&error).map(NetworkFailure::word), expected, "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_an_error_is_a_part_of_the_word(
            text in "\\PC{1,40}",
            depth in 0_usize..5,
            number in 0_i32..140,
        ) {
            let mut error = outer(io::Error::from_raw_os_error(number));
            for _ in 0..depth {
                error = Outer { text: text.clone(), cause: Box::new(error) };
            }
            let words = ["name-resolution", "refused", "unreachable", "timeout", "tls", "closed"];
            let word = NetworkFailure::of(&error).map(NetworkFailure::word);
            prop_assert!(word.is_none_or(|word| words.contains(&word)));
        }
    }
}
