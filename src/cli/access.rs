//! `sealway access`: ask to hear a publication, and decide what others ask.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::access::{AccessDecision, AccessRequestDocument, GrantedPublication, History};
use crate::api::{AccessRequestListQuery, ListAnswer, WithdrawQuery};
use crate::cli::answer::{ListColumn, column, list, show};
use crate::cli::client::segment;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::{AccessRequestId, ConsumerId, Timestamp};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask the owner of a publication for a grant
    Request {
        /// For whom
        consumer: ConsumerId,
        /// What: `domain/event`, or `domain/*` for all of a domain
        publication: GrantedPublication,
        /// How far back: from-grant, all, or a duration such as 30days
        #[arg(long, default_value = "from-grant")]
        history: History,
        /// What for
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List the access requests that you may see
    List {
        /// Only those that stand so: open, approved, refused or withdrawn
        #[arg(long)]
        state: Option<String>,
    },
    /// Approve one: the consumer has its grant at once
    Approve {
        /// The request
        id: AccessRequestId,
        /// How far back, if other than asked for
        #[arg(long)]
        history: Option<History>,
        /// When the grant ends, in RFC 3339; never by itself if missing
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Take one of your own back, while nobody has decided it
    Withdraw {
        /// The request
        id: AccessRequestId,
        /// Why; the owner is told
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse one
    Refuse {
        /// The request
        id: AccessRequestId,
        /// Why; the consumer is told
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// What a list shows of an access request.
const COLUMNS: &[ListColumn] = &[
    column("Request", "/id"),
    column("Consumer", "/consumer"),
    column("Publication", "/publication"),
    column("History", "/history"),
    column("State", "/state"),
    column("Reason", "/reason"),
    column("Answer", "/answer"),
    column("Created", "/created"),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::Request { consumer, publication, history, reason } => {
            let wish = AccessRequestDocument { consumer, publication, history, reason };
            show(output, &client.call(Method::POST, "/access-requests", Some(&wish)).await?);
        }
        Command::List { state } => {
            let (query, shown) =
                (AccessRequestListQuery { state }, (ListAnswer::ACCESS_REQUESTS, COLUMNS));
            list((&client, output), "/access-requests", &query, shown).await?;
        }
        Command::Approve { id, history, until, reason } => {
            let decision = AccessDecision { history, until, reason };
            show(
                output,
                &client.call(Method::POST, &path(&id, "approve")?, Some(&decision)).await?,
            );
        }
        Command::Withdraw { id, reason } => {
            let path = format!("/access-requests/{}", segment(id.as_str())?);
            let request = client.request(Method::DELETE, &path)?;
            show(output, &client.read(request.query(&WithdrawQuery { reason })).await?);
        }
        Command::Refuse { id, reason } => {
            let refusal = json!({ "reason": reason });
            show(output, &client.call(Method::POST, &path(&id, "refuse")?, Some(&refusal)).await?);
        }
    }
    Ok(Exit::Done)
}

fn path(id: &AccessRequestId, step: &str) -> Result<String, Failure> {
    Ok(format!("/access-requests/{}/{step}", segment(id.as_str())?))
}
