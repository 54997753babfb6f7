//! `sealway witness`: a witness for the logs of others, which cosigns what is consistent and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::ambient::{SystemClock, Tasks};
use crate::api;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::gateway::why_not_listening;
use crate::telemetry;
use crate::transparency::NoteKey;
use crate::witness::{WitnessBook, witness_routes};

/// Who the witness is, and whom it watches.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its name: an address without a scheme that its operator answers for, like
    /// `witness.example.com/w1`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where it keeps its key, which the first start makes, and what it has cosigned. Never set it back,
    /// and begin a new witness where it is lost
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// The address and port that it listens on, over plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The key of a log to watch, as `sealway log key` prints it; again for each
    #[arg(long = "log-key", value_name = "KEY")]
    logs: Vec<NoteKey>,
}

/// Runs the command: prints the witness's key, and serves until an interrupt or a termination.
pub async fn run(args: Args, context: &Context) -> CommandResult {
    let logging = telemetry::Config::default();
    telemetry::start_logging(&logging, context.log.as_deref()).map_err(Failure::input)?;
    let count = args.logs.len();
    let book = WitnessBook::open(&args.directory, &args.name, args.logs).map_err(Failure::blame)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|source| {
        let why = why_not_listening(&source);
        Failure::input(anyhow!("cannot listen on {}: {why}", args.listen))
    })?;
    let address = listener.local_addr().map_err(Failure::ours)?;
    let key = book.key().to_string();
    context.output().item(&json!({ "key": key, "listen": address }), |_| key.clone());
    tracing::info!("Witness {} of {count} logs listens on {address}", args.name);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::ours)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::ours)?;
    let tasks = Tasks::new();
    let routes = witness_routes(Arc::new(book), Arc::new(SystemClock));
    let limits = api::Config::default();
    tokio::select! {
        () = api::serve(&listener, routes, &limits, &tasks) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tasks.drain(std::time::Duration::from_secs(5)).await;
    Ok(Exit::Done)
}
