//! `sealway grants`: who may hear what that is not public.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::access::{GrantDocument, GrantId, GrantReference, GrantedPublication, History};
use crate::api::{GrantListQuery, ListAnswer, RecallQuery};
use crate::cli::answer::{ListColumn, column, list, show};
use crate::cli::client::segment;
use crate::cli::{CommandResult, Context, Exit};
use crate::event::{ConsumerId, Timestamp};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the grants that you may see
    List {
        /// Only those of this consumer
        #[arg(long)]
        consumer: Option<ConsumerId>,
        /// Only those of this publication, as `domain/event`
        #[arg(long)]
        publication: Option<String>,
        /// Only those that stand so: planned, active, expired or recalled
        #[arg(long)]
        state: Option<String>,
        /// Only those after this one
        #[arg(long, value_name = "ID")]
        after: Option<GrantId>,
    },
    /// Show one
    Get {
        /// The grant: `domain/name`, or its name alone
        id: GrantReference,
    },
    /// Let a consumer hear a publication
    Give {
        /// Who may hear
        consumer: ConsumerId,
        /// What: `domain/event`, or `domain/*` for all of a domain
        publication: GrantedPublication,
        /// Its name among the grants of the domain; the gateway makes one up if it is missing
        #[arg(long)]
        id: Option<GrantReference>,
        /// How far back: from-grant, all, or a duration such as 30days
        #[arg(long, default_value = "from-grant")]
        history: History,
        /// When it begins, in RFC 3339; at once if missing
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// When it ends, in RFC 3339; never by itself if missing
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Move the end of one
    Extend {
        /// The grant: `domain/name`, or its name alone
        id: GrantReference,
        /// When it ends from now on, in RFC 3339; never by itself if missing
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Take one back: nothing of it begins any more
    Recall {
        /// The grant: `domain/name`, or its name alone
        id: GrantReference,
        /// Why; the consumer is told
        #[arg(long)]
        reason: Option<String>,
    },
}

/// What a list shows of a grant.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Grant", "/id"),
    column("Consumer", "/consumer"),
    column("Publication", "/publication"),
    column("History", "/history"),
    column("State", "/state"),
    column("Until", "/until"),
    column("Ends soon", "/endsSoon"),
    column("Decided by", "/decidedBy"),
    column("Reason", "/reason"),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List { consumer, publication, state, after } => {
            let query = GrantListQuery {
                consumer: consumer.map(|consumer| consumer.to_string()),
                publication,
                state,
                after: after.map(|after| after.to_string()),
                limit: None,
            };
            list((&client, output), "/grants", &query, (ListAnswer::GRANTS, COLUMNS)).await?;
        }
        Command::Get { id } => show(output, &client.get(&path(&id)?).await?),
        Command::Give { consumer, publication, id, history, from, until, reason } => {
            let document =
                GrantDocument { id, consumer, publication, history, from, until, reason };
            let given = client.call(Method::POST, "/grants", Some(&document)).await?;
            show(output, &given);
            if let Some(warning) = given.get("warning").and_then(Value::as_str) {
                output.note(format_args!("warning: {warning}"));
            }
        }
        Command::Extend { id, until } => {
            let change = json!({ "until": until });
            show(output, &client.call(Method::PUT, &path(&id)?, Some(&change)).await?);
        }
        Command::Recall { id, reason } => {
            let request = client.request(Method::DELETE, &path(&id)?)?;
            show(output, &client.read(request.query(&RecallQuery { reason })).await?);
        }
    }
    Ok(Exit::Done)
}

fn path(id: &GrantReference) -> Result<String, crate::cli::Failure> {
    Ok(format!("/grants/{}", segment(&id.to_string())?))
}
