//! A listener that knows whether anyone is connected.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};

/// Lives as long as the connection that it was made for.
#[derive(Clone)]
pub struct Connection {
    _present: watch::Receiver<()>,
}

/// Counts the connections that it has accepted and that have not ended.
pub struct CountingListener {
    listener: TcpListener,
    present: watch::Sender<()>,
}

impl CountingListener {
    /// Counts at a listener.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, present: watch::Sender::new(()) }
    }

    /// Tells when nobody is connected.
    pub fn connections(&self) -> Connections {
        Connections { present: self.present.clone() }
    }
}

impl Listener for CountingListener {
    type Io = TcpStream;
    type Addr = watch::Receiver<()>;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        (stream, self.present.subscribe())
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.present.subscribe())
    }
}

impl Connected<IncomingStream<'_, CountingListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CountingListener>) -> Self {
        Self { _present: stream.remote_addr().clone() }
    }
}

/// The connections of a listener.
pub struct Connections {
    present: watch::Sender<()>,
}

impl Connections {
    /// Waits until nobody is connected. Whatever they have sent has been read then.
    pub async fn ended(&self) {
        self.present.closed().await;
    }
}
