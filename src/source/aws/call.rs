//! One HTTP request, as the embedded bus needs to see it.

use std::net::IpAddr;

use http::HeaderMap;

use crate::source::BodyRoom;

/// One HTTP request, as the embedded bus needs to see it: unchanged, because it is signed.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The query without `?`, as sent.
    pub query: &'a str,
    /// The authority of an HTTP/2 request, which has no `host` header.
    pub authority: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
    /// Who is at the other end of the connection.
    pub peer: Option<IpAddr>,
    /// Where the body is counted.
    pub room: &'a dyn BodyRoom,
}
