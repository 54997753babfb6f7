//! `sealway serve`: runs the gateway until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Context, Exit, Failure, Outcome};
use crate::gateway::{Machine, build};
use crate::telemetry::start_logging;

/// Runs the command.
pub async fn run(context: &Context) -> Outcome {
    let config = context.config()?;
    start_logging(&config.logging, context.log.as_deref()).map_err(Failure::input)?;
    let issuer = config.issuer.clone();
    let gateway = build(config, Machine::default()).await.map_err(Failure::blame)?;
    let address = gateway.address().map_err(Failure::ours)?;
    tracing::info!(address = %address, issuer = %issuer, "The gateway listens on {address}");
    gateway.run(told_to_stop()).await.map_err(Failure::ours)?;
    tracing::info!("The gateway has stopped; nothing is under way");
    Ok(Exit::Done)
}

/// Waits for Ctrl-C or for the signal that process managers send.
async fn told_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
