//! Ends connections whose client takes next to nothing of what it is sent.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A connection that fails once next to nothing could be written for a while.
///
/// Whoever takes a byte now and then would keep a whole answer in memory, so what waits has to move
/// by a thousand bytes a second.
pub(super) struct Stalled {
    stream: TcpStream,
    patience: Duration,
    /// Runs from when something had to wait until all was written, or enough of it.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What was written since the deadline was set.
    written: u128,
}

impl Stalled {
    /// Watches over a connection.
    pub(super) const fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, deadline: None, written: 0 }
    }

    /// Lets an attempt to write pass, or fails it when they have come to too little for too long.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.written += written.as_ref().map_or(0, |bytes| *bytes as u128);
            // A byte a millisecond.
            if self.written >= self.patience.as_millis() {
                self.rest();
            }
            return Poll::Ready(written);
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Nothing waits any more, or enough was taken.
    fn rest(&mut self) {
        self.deadline = None;
        self.written = 0;
    }
}

impl AsyncRead for Stalled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stalled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for once all that waited was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.rest();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::TcpListener;
    use tokio::time::advance;

    use super::*;

    /// Whether the connection still stands when half its patience is over and so much is written,
    /// and when all of it is over.
    async fn stands_after(bytes: usize) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stalled = Stalled::new(stream, Duration::from_mins(1));
        let mut waits = async |written: Poll<usize>| {
            poll_fn(|context| Poll::Ready(stalled.watch(context, written.map(Ok)).is_pending()))
                .await
        };
        assert!(waits(Poll::Pending).await);
        advance(Duration::from_secs(31)).await;
        assert!(!waits(Poll::Ready(bytes)).await);
        assert!(waits(Poll::Pending).await);
        advance(Duration::from_secs(31)).await;
        waits(Poll::Pending).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_let_go_and_who_takes_enough_is_not() {
        assert!(!stands_after(1).await);
        assert!(!stands_after(59_999).await);
        assert!(stands_after(60_000).await);
    }
}
