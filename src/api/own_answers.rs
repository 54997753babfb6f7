//! Puts our own words in the place of the bare statuses with which the HTTP library answers what it
//! cannot read as a request: such an answer comes before any route, and would have no id.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ambient::Entropy;
use crate::api::{Code, Problem};

/// The header that names a request in answers, as every answer of a handler has it.
const REQUEST_ID: &[u8] = b"x-request-id";

/// A connection whose answers are all our own.
pub(super) struct OwnAnswers<S, E> {
    stream: S,
    entropy: E,
    /// What is written in the place of an answer, and the length of what it stands for.
    own: Option<(Bytes, usize)>,
}

impl<S, E: Entropy> OwnAnswers<S, E> {
    /// Watches over what is written to a connection.
    pub(super) const fn new(stream: S, entropy: E) -> Self {
        Self { stream, entropy, own: None }
    }

    /// Our own answer in the place of a bare one of the library.
    fn own(&self, bytes: &[u8]) -> Option<Bytes> {
        let code = bare_status(bytes)?;
        let detail = match code {
            Code::HeadTooLarge => "the request line and headers are longer than 64 KiB",
            _ => "this is not a request of HTTP/1.1",
        };
        let problem = Problem::new(code, detail);
        let (status, id) = (code.status(), self.entropy.next_u128());
        let reason = status.canonical_reason().unwrap_or_default();
        let body = problem.to_json();
        let head = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\n\
             x-content-type-options: nosniff\r\ncache-control: no-store\r\n\
             x-request-id: {id:032x}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            status.as_u16(),
            body.len(),
        );
        Some(Bytes::from(head))
    }
}

/// The code for an answer that the library has made by itself: an error with no body and no id.
fn bare_status(bytes: &[u8]) -> Option<Code> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 4").or_else(|| bytes.strip_prefix(b"HTTP/1.0 4"))?;
    let has = |text: &[u8]| bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text));
    if !bytes.ends_with(b"\r\n\r\n") || has(REQUEST_ID) || !has(b"content-length: 0\r\n") {
        return None;
    }
    Some(match rest.get(..2)? {
        b"14" | b"31" => Code::HeadTooLarge,
        _ => Code::BadRequest,
    })
}

impl<S: AsyncRead + Unpin, E: Unpin> AsyncRead for OwnAnswers<S, E> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, E: Entropy + Unpin> AsyncWrite for OwnAnswers<S, E> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.own.is_none() {
            self.own = self.own(bytes).map(|own| (own, bytes.len()));
        }
        while let Some((own, stands_for)) = self.own.take() {
            if own.is_empty() {
                return Poll::Ready(Ok(stands_for));
            }
            self.own = Some((own.clone(), stands_for));
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &own))?;
            self.own = Some((own.slice(written..), stands_for));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare answer is one part.
        match parts {
            [only] => self.poll_write(context, only),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::ambient::{SeededEntropy, Tasks};

    async fn passed(answer: &str) -> String {
        // Smaller than an answer, so that writes are cut.
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut connection = OwnAnswers::new(ours, SeededEntropy::new(1));
        let answer = answer.to_owned();
        let writing = Tasks::new().spawn(async move {
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
        });
        let mut read = String::new();
        theirs.read_to_string(&mut read).await.unwrap();
        writing.await.unwrap();
        read
    }

    #[tokio::test]
    async fn a_bare_answer_becomes_a_problem_with_an_id_and_all_others_stay() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let own = passed(bare).await;
        assert!(own.starts_with("HTTP/1.1 431 "), "{own}");
        assert!(own.contains("\r\nx-request-id: "), "{own}");
        assert!(own.contains("/problems/head-too-large"), "{own}");
        let (head, body) = own.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{own}");

        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nX-Request-Id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 4",
        ] {
            assert_eq!(passed(other).await, other);
        }
    }
}
