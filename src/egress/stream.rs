//! Connections on which an answer has a bound: one that gets longer ends them.
//!
//! The client library bounds what it keeps of an answer, but not what it reads and throws away:
//! interim answers (RFC 9110, section 15.2) and messages of TLS without content may follow each other
//! without end. Here each byte counts that comes over the wire.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::egress::dialed_connections::DialedConnection;

/// How many bytes may come over the wire from the end of one answer to the end of the next: as much as the
/// longest head, the longest body that anyone reads, and what surrounds them, greetings of TLS included.
const LONGEST_ANSWER: usize = 160 * 1024;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("more than {LONGEST_ANSWER} bytes came as one answer")]
struct AnswerTooLong;

/// What has come since the last answer was whole.
///
/// Only that begins the count anew. Nothing that is written does: a server takes a long request as slowly as
/// it likes, and answers meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedBytes(Arc<AtomicUsize>);

impl ReceivedBytes {
    fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Notes that an answer is whole.
    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The read that passes the bound still counts as an answer; the next one does not happen.
    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            ..=LONGEST_ANSWER => Ok(()),
            _ => Err(io::Error::other(AnswerTooLong)),
        }
    }
}

/// A connection that counts what it reads, below TLS if there is some.
#[derive(Debug)]
pub(super) struct CountedTcp {
    tcp: TcpStream,
    received: ReceivedBytes,
    open: DialedConnection,
}

impl CountedTcp {
    pub(super) fn new(tcp: TcpStream, open: DialedConnection) -> Self {
        Self { tcp, received: ReceivedBytes::default(), open }
    }
}

impl AsyncRead for CountedTcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.received.check()?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.tcp).poll_read(cx, buf))?;
        this.received.add(buf.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CountedTcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

/// What requests are written to and answers are read from.
#[derive(Debug)]
pub(super) enum GuardedStream {
    /// In the clear.
    Plain(CountedTcp),
    /// Over TLS.
    Tls(Box<TlsStream<CountedTcp>>),
}

/// Does the same for both kinds of stream.
macro_rules! delegate {
    ($stream:expr, $method:ident $(, $argument:expr)*) => {
        match $stream.get_mut() {
            GuardedStream::Plain(plain) => Pin::new(plain).$method($($argument),*),
            GuardedStream::Tls(tls) => Pin::new(tls.as_mut()).$method($($argument),*),
        }
    };
}

impl GuardedStream {
    fn tcp(&self) -> &CountedTcp {
        match self {
            Self::Plain(plain) => plain,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}

impl Connection for GuardedStream {
    fn connected(&self) -> Connected {
        let CountedTcp { received, open, .. } = self.tcp();
        let connected = Connected::new().extra(received.clone());
        if !open.is_kept() {
            connected.poison();
        }
        connected
    }
}
