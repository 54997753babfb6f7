//! Reads the trace that a request belongs to from its headers.

use http::HeaderMap;

use crate::event::TraceContext;

/// The trace of a request: that of `traceparent`, or else that of `X-Amzn-Trace-Id`; none if neither
/// names one.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    header("traceparent")
        .and_then(|text| text.parse().ok())
        .or_else(|| TraceContext::from_aws(header("x-amzn-trace-id")?).ok())
}
