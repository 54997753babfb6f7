//! The trace that an event belongs to, carried from producer to consumer (W3C Trace Context).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext(Arc<str>);

impl TraceContext {
    /// The header's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace id: 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// Reads the `Root` and `Parent` of an AWS trace header, `Root=1-5759e988-…;Parent=…;Sampled=1`.
    ///
    /// # Errors
    ///
    /// The caller's turn: the header names no trace.
    pub fn from_aws(header: &str) -> Result<Self, TraceContextError> {
        let field = |name: &str| {
            header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let root =
            field("Root").and_then(|root| root.strip_prefix("1-")).ok_or(TraceContextError)?;
        let parent = field("Parent").unwrap_or("0000000000000001");
        let sampled = if field("Sampled") == Some("1") { "01" } else { "00" };
        format!("00-{}-{parent}-{sampled}", root.replace('-', "")).parse()
    }

    /// Writes the trace as an AWS trace header, `Root=1-5759e988-…;Parent=…;Sampled=1`.
    pub fn to_aws(&self) -> String {
        let part = |range| self.0.get(range).unwrap_or_default();
        let (time, unique, parent) = (part(3..11), part(11..35), part(36..52));
        let flags = u8::from_str_radix(part(53..55), 16).unwrap_or_default();
        format!("Root=1-{time}-{unique};Parent={parent};Sampled={}", flags & 1)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a trace context.
#[derive(Debug, thiserror::Error)]
#[error("not a trace context: expected `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`")]
pub struct TraceContextError;

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|b| b == b'0');
        let parts: Vec<&str> = text.split('-').collect();
        match parts.as_slice() {
            ["00", trace, parent, flags]
                if hex(trace, 32)
                    && hex(parent, 16)
                    && hex(flags, 2)
                    && !zero(trace)
                    && !zero(parent) =>
            {
                Ok(Self(Arc::from(text)))
            }
            _ => Err(TraceContextError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aws_trace_header_becomes_a_traceparent() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

        let trace = TraceContext::from_aws(header).unwrap();

        assert_eq!(trace.as_str(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert_eq!(trace.trace_id(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(trace.to_aws(), header);
        let unsampled: TraceContext = trace.as_str().replace("-01", "-02").parse().unwrap();
        assert!(unsampled.to_aws().ends_with(";Parent=53995c3f42cd8ad8;Sampled=0"));
    }

    #[test]
    fn zero_ids_and_unknown_versions_are_refused() {
        let zero = format!("00-{}-53995c3f42cd8ad8-01", "0".repeat(32));
        for text in [zero.as_str(), "01-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01", ""] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }
}
