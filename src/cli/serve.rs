//! `sealway serve`: runs a gateway until it is told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure};
use crate::config;
use crate::gateway::{self, Machine, Reloader};
use crate::telemetry;

/// What this process does differently from what the gateway file says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address and port of the API, instead of `listen`
    #[arg(long, value_name = "ADDRESS", env = "SEALWAY_LISTEN", value_parser = address)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    data: DataDirectory,
    /// Deliver nothing: events are taken and the log can be looked at, as of a restored copy
    #[arg(long)]
    no_delivery: bool,
    /// Begin a log although the keys know of another: once, because the other is lost or left for good
    #[arg(long)]
    new_log: bool,
}

/// An address to listen on; no name is looked up, since it could be another one tomorrow.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| {
        "use an IP address and a port, such as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for all"
    })
}

/// Runs the command: returns after an interrupt or a termination, when everything is drained, and after a
/// second one at once: the log is whole at any moment.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let mut config = args.data.settings(context)?;
    // From the first moment on: a signal that nobody waits for would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(Failure::ours)?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.no_delivery = args.no_delivery;
    config.new_log = args.new_log;
    telemetry::start_logging(&config.logging, context.log.as_deref()).map_err(Failure::input)?;
    for warning in config::contradictions(&context.config, &config) {
        let place = warning.place.map_or_else(String::new, |(line, at)| format!(":{line}:{at}"));
        tracing::warn!("Settings {}{place}: {}", warning.file, warning.problem);
    }
    let issuer = config.issuer.clone();

    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::ours)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::ours)?;
    let gateway = tokio::select! {
        built = Box::pin(gateway::build(config, Machine::default())) => built.map_err(Failure::blame)?,
        () = told_to_stop(&mut interrupt, &mut terminate) => {
            tracing::info!("Gateway is told to stop before it has started");
            return Ok(Exit::AtOnce);
        }
    };
    let address = gateway.address().map_err(Failure::ours)?;
    let issuer = issuer.as_str().trim_end_matches('/');
    tracing::info!("Gateway of {issuer} listens on {address}");
    let (told, until) = oneshot::channel::<()>();
    let until = async {
        // The sender stays until the gateway has ended.
        let _ = until.await;
    };
    let twice = async {
        told_to_stop(&mut interrupt, &mut terminate).await;
        tracing::info!("Gateway is told to stop; it drains, and ends at once if told again");
        let _ = told.send(());
        told_to_stop(&mut interrupt, &mut terminate).await;
    };
    let reloader = Arc::clone(gateway.reloader());
    tokio::select! {
        ended = Box::pin(gateway.run(until)) => ended.map_err(Failure::ours)?,
        () = twice => {
            tracing::warn!("Gateway ends at once; what was not settled is delivered again");
            return Ok(Exit::AtOnce);
        }
        () = reload_when_told(hangup, &reloader, &context.config) => {}
    }
    tracing::info!("Gateway has stopped");
    Ok(Exit::Done)
}

/// Reloads whenever someone hangs up: what is told during a reload is one more reload, however often.
async fn reload_when_told(mut hangup: Signal, reloader: &Reloader, path: &Path) {
    while hangup.recv().await.is_some() {
        tracing::info!("Gateway is told to reload");
        Box::pin(reloader.reload(path)).await;
    }
    // Nobody can tell it any more; it serves all the same.
    std::future::pending::<()>().await;
}

/// Waits until someone wants the process to end.
async fn told_to_stop(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
