//! Reads the body of a request that brings events, up to a limit, and says no before it comes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::ambient::Size;
use crate::api::body_budget::BodyShare;
use crate::api::{Code, Problem};
use crate::source::{BodyRoom as _, CodingError, ContentCoding};

/// How long the rest of a body is passed over for which there is no room.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnreadBody {
    /// It is longer than allowed.
    TooLong,
    /// It broke off, or its chunks cannot be told apart.
    Broken,
    /// There is no room for it among the bodies of others.
    NoRoom,
}

/// Reads the body of a request, or refuses it before it comes where the headers say already that it is
/// not taken. Where what cannot be read `is_kept`, a content coding is no reason to.
pub(super) async fn receive(
    request: Request,
    (limit, share): (Size, &BodyShare),
    is_kept: bool,
) -> Result<(HeaderMap, Bytes), Response> {
    let (parts, body) = request.into_parts();
    if let Err(error) = ContentCoding::of(&parts.headers)
        && !is_kept
    {
        discard(&parts.headers, body, limit.bytes()).await;
        return Err(unsupported(&error));
    }
    match read(&parts.headers, body, limit.bytes(), share).await {
        Ok(body) => Ok((parts.headers, body)),
        Err(UnreadBody::TooLong) => {
            let problem = Problem::new(Code::TooLarge, format!("the body is over {limit}"));
            Err(closing(problem.into_response()))
        }
        Err(UnreadBody::Broken) => {
            let detail = "the body did not come to its end; send the request again";
            Err(Problem::new(Code::BadRequest, detail).into_response())
        }
        Err(UnreadBody::NoRoom) => Err(closing(crowded().into_response())),
    }
}

/// Sends away who may come again once there is room.
pub(super) fn crowded() -> Problem {
    Problem::new(Code::Busy, CodingError::NoRoom.to_string())
}

/// Refuses a content coding, and names those that are read (RFC 9110, section 15.5.16).
fn unsupported(error: &CodingError) -> Response {
    let problem = Problem::new(Code::UnsupportedMediaType, error.to_string());
    let mut response = problem.into_response();
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// Reads a whole body of at most `limit` bytes, as far as there is room for it.
///
/// A body that says itself that it is longer is not begun, so a client that waits for `100 Continue`
/// keeps it (RFC 9110, section 10.1.1).
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    share: &BodyShare,
) -> Result<Bytes, UnreadBody> {
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limit) {
        discard(headers, body, limit).await;
        return Err(UnreadBody::TooLong);
    }
    let mut chunks = body.into_data_stream();
    let mut whole: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| UnreadBody::Broken)?;
        if chunk.len() > limit - whole.len() {
            return Err(UnreadBody::TooLong);
        }
        let length = whole.len() + chunk.len();
        if length > whole.capacity() {
            // Twice as much each time, as a vector grows, and counted before it is there.
            let wanted = (whole.capacity() * 2).min(declared.unwrap_or(limit)).max(length);
            if !share.take(wanted - whole.capacity()) {
                drop((whole, chunk));
                share.give_back();
                let rest = discard(headers, Body::from_stream(chunks), limit);
                // Whoever withholds the rest is not waited for.
                let _ = timeout(PATIENCE, rest).await;
                return Err(UnreadBody::NoRoom);
            }
            whole.reserve_exact(wanted - whole.len());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// Passes over a body that is refused unread, so that a client which sends it before it reads the
/// answer comes to read it. One that waits for `100 Continue` has not begun; a very long one is
/// left, and the connection ends.
pub(super) async fn discard(headers: &HeaderMap, body: Body, limit: usize) {
    let most = limit.saturating_mul(2);
    let is_bearable = declared_length(headers).is_some_and(|length| length <= most);
    if headers.contains_key(header::EXPECT) || !is_bearable {
        return;
    }
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

/// Says that the connection ends, because a part of the request was not read.
pub(super) fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;
    use crate::api::BodyBudget;

    /// A body in chunks of ten bytes, and how many of them were taken.
    fn body(chunks: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let chunks = stream::iter(0..chunks).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(&[b' '; 10]))
        });
        (Body::from_stream(chunks), taken)
    }

    fn share() -> BodyShare {
        BodyBudget::new(Size(1000)).share_of([])
    }

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs.map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_whether_it_declares_its_length_or_not() {
        for declared in [headers(&[]), headers(&[(header::CONTENT_LENGTH, "30")])] {
            assert_eq!(read(&declared, body(3).0, 30, &share()).await.unwrap().len(), 30);
            assert_eq!(read(&declared, body(3).0, 29, &share()).await, Err(UnreadBody::TooLong));
        }
        let (endless, taken) = body(usize::MAX);
        assert_eq!(read(&headers(&[]), endless, 25, &share()).await, Err(UnreadBody::TooLong));
        assert_eq!(taken.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_client_that_waits_for_a_word_is_refused_before_its_body() {
        let waiting = [(header::CONTENT_LENGTH, "30"), (header::EXPECT, "100-continue")];
        for (declared, expected) in [
            (headers(&waiting), 0),
            (headers(&[(header::CONTENT_LENGTH, "30")]), 3),
            (headers(&[(header::CONTENT_LENGTH, "41")]), 0),
        ] {
            let (body, taken) = body(3);
            assert_eq!(read(&declared, body, 20, &share()).await, Err(UnreadBody::TooLong));
            assert_eq!(taken.load(Ordering::Relaxed), expected, "{declared:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_called_too_long() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(io::Error::other("gone"))]);
        let refused = read(&headers(&[]), Body::from_stream(broken), 30, &share()).await;
        assert_eq!(refused, Err(UnreadBody::Broken));
    }

    #[tokio::test]
    async fn a_body_for_which_there_is_no_room_is_passed_over_and_its_room_is_free_again() {
        let budget = BodyBudget::new(Size(45));
        let held = budget.share_of([]);
        assert!(held.take(20));
        for declared in [headers(&[]), headers(&[(header::CONTENT_LENGTH, "50")])] {
            let share = budget.share_of([]);
            let (body, taken) = body(5);
            assert_eq!(read(&declared, body, 50, &share).await, Err(UnreadBody::NoRoom));
            let passed_over = if declared.is_empty() { 3 } else { 5 };
            assert_eq!(taken.load(Ordering::Relaxed), passed_over);
        }
        drop(held);
        assert_eq!(
            read(&headers(&[]), body(4).0, 50, &budget.share_of([])).await.unwrap().len(),
            40
        );
    }
}
