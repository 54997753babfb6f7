//! The commands of `sealway aws template`.

use clap::Subcommand;

use crate::cli::aws::template::push::{ConnectionKind, PushTemplate};
use crate::cli::aws::template::rule_sources::wanted_sources;
use crate::cli::{CommandResult, Context, Exit, Failure};

/// The edges that have a template.
#[derive(Debug, Subcommand)]
pub enum TemplateKind {
    /// Of the team's account: rules push to the gateway over https, through an API destination
    Push {
        /// How EventBridge shows itself to the gateway
        #[arg(long, value_enum, default_value = "api-key")]
        connection: ConnectionKind,
        /// The name of the bus that the team publishes on
        #[arg(long, value_name = "NAME", default_value = "default")]
        bus: String,
    },
}

/// Runs the command: prints the template.
pub async fn run(kind: TemplateKind, context: &Context) -> CommandResult {
    let config = context.config()?;
    let text = match kind {
        TemplateKind::Push { connection, bus } => {
            let sources = wanted_sources(&config)?;
            let at = |path: &str| {
                let is_https = config.issuer.scheme() == "https";
                let base = config.issuer.as_str().trim_end_matches('/');
                is_https.then(|| format!("{base}{path}"))
            };
            let (endpoint, token_endpoint) = (at("/events"), at("/oauth/token"));
            PushTemplate { connection, endpoint, token_endpoint, bus, sources }.write()
        }
    };
    context.output().line(text.map_err(Failure::ours)?.trim_end());
    Ok(Exit::Done)
}
