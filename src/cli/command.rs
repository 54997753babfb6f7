//! The tree of commands, and the way from the command line to the exit code.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "aws")]
use crate::cli::demo;
use crate::cli::failure::CLOSED_PIPE;
use crate::cli::{
    CommandResult, Context, Exit, Failure, access, actions, apply, aws, callers, check, config,
    consumer_key, contract, dead_letters, events, evidence, exit_codes, export, grants, import,
    issuer, keys, log, open, pattern, quarantine, replay, serve, subscriptions, verify_chain,
    witness,
};

/// A secure cross-domain event gateway: contracts at the border, sealed events for each consumer,
/// replay by ULID range.
#[derive(Debug, Parser)]
#[command(name = "sealway", version, propagate_version = true)]
struct OutputLine {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    command: Command,
}

/// One row for each command; its file holds the rest.
#[derive(Debug, Subcommand)]
enum Command {
    /// Ask to hear a publication, and decide what others ask
    #[command(subcommand)]
    Access(access::Command),
    /// See who changed what, when and why
    Actions(actions::Args),
    /// Make the gateway's grants and subscriptions what files say
    Apply(apply::Args),
    /// Set up and check what lies at AWS: queues, event buses, roles
    #[command(subcommand)]
    Aws(aws::AwsCommand),
    /// Say who may call the API
    Callers(callers::Args),
    /// Find every mistake in settings, contracts, publications and subscriptions, offline
    Check(check::Args),
    /// Show the settings and their schema
    #[command(subcommand)]
    Config(config::Command),
    /// Make a key pair for a consumer
    ConsumerKey(consumer_key::Args),
    /// Look at what contracts allow, offline
    #[command(subcommand)]
    Contract(contract::Command),
    /// Look at deliveries that were given up, and have them made again
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Show the main job on this machine, with real services, and check every claim
    #[cfg(feature = "aws")]
    Demo(demo::Args),
    /// Look at events, or publish them
    #[command(subcommand)]
    Events(events::Command),
    /// Export what a subscription was sent as a file that proves it, and verify such a file offline
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Write who receives, who may hear and who may call, for another gateway; without secrets
    Export(export::Args),
    /// Say who may hear what that is not public
    #[command(subcommand)]
    Grants(grants::Command),
    /// Make what another gateway exported, with ids, chains and secrets of this one
    Import(import::Args),
    /// See what the gateway is called, and tell consumers ahead of another name
    Issuer(issuer::Args),
    /// Look at the gateway's signing keys, turn or revoke them
    #[command(subcommand)]
    Keys(keys::Command),
    /// See who needs the log, check it, copy it while the gateway runs, and bring a copy back
    #[command(subcommand)]
    Log(log::Command),
    /// Decrypt and verify a token, offline
    Open(open::Args),
    /// Try event patterns
    #[command(subcommand)]
    Pattern(pattern::Command),
    /// Look at events that broke their contract, release or drop them
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Deliver a range of the log to a subscription once more
    #[command(subcommand)]
    Replay(replay::Command),
    /// Run the gateway
    Serve(serve::Args),
    /// Say who receives what
    #[command(subcommand)]
    Subscriptions(subscriptions::Command),
    /// Check stored tokens for gaps, doubles, reordering and alteration, offline
    VerifyChain(verify_chain::Args),
    /// Run a witness: cosign the trees of gateways' logs, as long as each begins with the one before
    Witness(witness::Args),
}

impl Command {
    async fn run(self, context: &Context) -> CommandResult {
        match self {
            Self::Access(command) => access::run(command, context).await,
            Self::Actions(args) => actions::run(args, context).await,
            Self::Apply(args) => Box::pin(apply::run(&args, context)).await,
            Self::Aws(command) => Box::pin(aws::run(command, context)).await,
            Self::Callers(args) => callers::run(args, context).await,
            Self::Check(args) => check::run(&args, context).await,
            Self::Config(command) => config::run(&command, context).await,
            Self::ConsumerKey(args) => consumer_key::run(&args, context),
            Self::Contract(command) => contract::run(&command, context),
            Self::DeadLetters(command) => dead_letters::run(command, context).await,
            #[cfg(feature = "aws")]
            Self::Demo(args) => demo::run(&args, context).await,
            Self::Events(command) => events::run(command, context).await,
            Self::Evidence(command) => evidence::run(command, context).await,
            Self::Export(args) => Box::pin(export::run(&args, context)).await,
            Self::Grants(command) => grants::run(command, context).await,
            Self::Import(args) => Box::pin(import::run(&args, context)).await,
            Self::Issuer(args) => issuer::run(&args, context).await,
            Self::Keys(command) => Box::pin(keys::run(&command, context)).await,
            Self::Log(command) => log::run(command, context).await,
            Self::Open(args) => open::run(args, context).await,
            Self::Pattern(command) => pattern::run(&command, context),
            Self::Quarantine(command) => quarantine::run(command, context).await,
            Self::Replay(command) => replay::run(command, context).await,
            Self::Serve(args) => Box::pin(serve::run(args, context)).await,
            Self::Subscriptions(command) => subscriptions::run(command, context).await,
            Self::VerifyChain(args) => verify_chain::run(args, context).await,
            Self::Witness(args) => witness::run(args, context).await,
        }
    }
}

/// The tree of commands, as it reads the command line.
pub(super) fn line() -> clap::Command {
    OutputLine::command()
}

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let matches = exit_codes::described(line(), "").try_get_matches();
    let line = match matches.and_then(|matches| OutputLine::from_arg_matches(&matches)) {
        Ok(line) => line,
        Err(mut error) => {
            leave_out_variables(&mut error, &OutputLine::command());
            // Help and version are no mistakes; clap knows where each belongs.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(line.command.run(&line.context));
            if matches!(outcome, Ok(Exit::AtOnce)) {
                runtime.shutdown_background();
            }
            outcome
        }
        Err(error) => Err(Failure::ours(error).context("cannot start the runtime")),
    };
    match outcome {
        Ok(Exit::Done) if line.context.output().reader_is_gone() => ExitCode::from(CLOSED_PIPE),
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_silent() => ExitCode::from(&failure),
        Err(failure) => {
            line.context.output().complain(format_args!("error: {failure}"));
            ExitCode::from(&failure)
        }
    }
}

/// Takes options out of the usage that a mistake shows which only a variable has set: they would look as if
/// they were demanded.
fn leave_out_variables(error: &mut clap::Error, root: &clap::Command) {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else { return };
    let mut usage = usage.to_string();
    for argument in root.get_arguments().filter(|argument| argument.get_env().is_some()) {
        let Some(option) = argument.get_long().map(|long| format!("--{long}")) else { continue };
        let is_typed = |word: String| word == option || word.starts_with(&format!("{option}="));
        if std::env::args_os().any(|word| is_typed(word.to_string_lossy().into_owned())) {
            continue;
        }
        for value in argument.get_value_names().unwrap_or_default() {
            usage = usage.replace(&format!(" {option} <{value}>"), "");
        }
    }
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_stands_in_the_way_of_another() {
        exit_codes::described(line(), "").debug_assert();
    }
}
