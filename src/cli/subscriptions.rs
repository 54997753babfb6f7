//! `sealway subscriptions`: who receives what, at a running gateway.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::header::{ETAG, IF_MATCH};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::api::{
    AttemptListQuery, ChallengeResponse, DEFAULT_LIMIT, ListAnswer, ReceiptListQuery,
    SubscriptionListQuery,
};
use crate::cli::answer::{ListColumn, column, list, show, text};
use crate::cli::pull::PullArgs;
use crate::cli::subscription_changes::{
    DropArgs, SecretArgs, drop_retries, rotate_secret, show_with_warnings,
};
use crate::cli::{
    Client, CommandResult, Context, Exit, Failure, pull, subscription_file, subscriptions_why,
};
use crate::event::{ConsumerId, EventId, QualifiedName, SubscriptionReference};
use crate::subscriptions::{SubscriptionDocument, SubscriptionState};

/// How often a replacement is begun anew because someone else wrote meanwhile.
const TRIES: usize = 5;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the subscriptions that the caller may see, its own first
    List(ListArgs),
    /// Show one, with its state and how far it has come
    Get {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Say whether one is behind, why, since when, whose turn it is, and which command helps
    Why {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Create one; its sink is then asked to prove itself
    ///
    /// A shared secret, if the document asks for one, is in this answer only.
    Create {
        /// The document in YAML or JSON; `-` for standard input
        file: PathBuf,
    },
    /// Replace the document of one
    ///
    /// Another sink or other keys have to prove themselves again; other types or filters apply to
    /// events from now on.
    Replace {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
        /// The document in YAML or JSON; `-` for standard input
        file: PathBuf,
    },
    /// Replace how the gateway shows itself to the sink of one, or take it away
    ///
    /// Secrets that the file leaves out are kept. The former credential is tried for a day, or as
    /// `overlap` says, where the new one is refused.
    Credential(CredentialArgs),
    /// End one, and forget its position, retries and dead letters
    Remove {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Ask the sink of one to prove itself now, or answer in its place
    Verify {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
        /// The nonce of the challenge that the sink was sent, where the sink cannot answer
        #[arg(long, value_name = "NONCE")]
        challenge: Option<String>,
    },
    /// Stop delivery for a while; events wait in the log
    Pause {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Deliver again, beginning with what has waited
    Resume {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Make another shared secret for one, and show it once
    ///
    /// The former one is good beside it for a day, or as `--overlap` says: install the new one beside
    /// it meanwhile.
    Secret(SecretArgs),
    /// Give up what waits for another attempt; a redrive brings it back
    ///
    /// What is dropped is a dead letter with the reason `dropped`.
    DropRetries(DropArgs),
    /// Print a signed token that says how far one has come
    Checkpoint {
        /// The subscription: its name, `consumer/name`, or its id
        id: SubscriptionReference,
    },
    /// Fetch sealed events, a token on each line
    ///
    /// What is written is then acknowledged, if the subscription has no sink.
    Pull(PullArgs),
    /// List the attempts to deliver to one, newest first
    Attempts(AttemptsArgs),
    /// List the signed receipts of deliveries to one, oldest first
    Receipts(ReceiptsArgs),
}

/// Which subscriptions to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only those that stand there: pending, active, paused or closed
    #[arg(long, value_name = "STATE")]
    state: Option<SubscriptionState>,
    /// Only those of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<ConsumerId>,
    /// Only those with this text in their id or name
    #[arg(long, short = 'q', value_name = "TEXT")]
    query: Option<String>,
    /// Only those after this one: the end of the list before
    #[arg(long, value_name = "CONSUMER/NAME")]
    after: Option<QualifiedName>,
    /// The most subscriptions, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT)]
    limit: u16,
}

impl From<ListArgs> for SubscriptionListQuery {
    fn from(args: ListArgs) -> Self {
        Self {
            state: args.state,
            consumer: args.consumer.map(|consumer| consumer.to_string()),
            q: args.query,
            after: args.after.map(|after| after.to_string()),
            limit: Some(args.limit.into()),
        }
    }
}

/// Which credential to replace with which.
#[derive(Debug, clap::Args)]
pub struct CredentialArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// The credential in YAML or JSON, its secrets as `{ file: … }` or `{ env: … }`; `-` for
    /// standard input
    #[arg(required_unless_present_any = ["remove", "former_file"])]
    file: Option<PathBuf>,
    /// Take it away: the token alone says who sent it
    #[arg(long, conflicts_with_all = ["file", "former_file"])]
    remove: bool,
    /// How the file was named before
    #[arg(long = "file", value_name = "FILE", hide = true, conflicts_with = "file")]
    former_file: Option<PathBuf>,
}

/// Which attempts to list.
#[derive(Debug, clap::Args)]
pub struct AttemptsArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// Only those of this event
    #[arg(long, value_name = "ULID")]
    event: Option<EventId>,
    /// The most attempts, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT)]
    limit: u16,
}

/// Which receipts to list.
#[derive(Debug, clap::Args)]
pub struct ReceiptsArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// Only those of this event
    #[arg(long, value_name = "ULID")]
    event: Option<EventId>,
    /// Only those after this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most receipts, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT)]
    limit: u16,
}

/// What a list shows of a subscription.
pub(super) const COLUMNS: &[ListColumn] = &[
    column("Name", "/name"),
    column("Consumer", "/consumer"),
    column("Id", "/id"),
    column("State", "/state"),
    column("Types", "/types").shown_by(types),
    column("Sink", "/sink"),
    column("Sequence", "/progress/sequence"),
    column("Behind", "/progress/behind"),
    column("Retrying", "/progress/retrying"),
    column("Failing since", "/progress/failingSince"),
    column("Dead letters", "/deadLetters"),
    column("Breaker", "/progress/breaker"),
];

/// What a list shows of an attempt.
pub(super) const ATTEMPTS: &[ListColumn] = &[
    column("At", "/at"),
    column("Event", "/event"),
    column("Attempt", "/number"),
    column("Replay", "/replay"),
    column("Status", "/status"),
    column("Milliseconds", "/durationMs"),
    column("Verdict", "/verdict"),
    column("Receipt", "/receipt"),
    column("Detail", "/detail"),
];

/// What a list shows of a receipt.
pub(super) const RECEIPTS: &[ListColumn] = &[
    column("Id", "/id"),
    column("At", "/at"),
    column("Event", "/event"),
    column("Sequence", "/sequence"),
    column("Replay", "/replay"),
    column("Token", "/tokenSha256"),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    match command {
        Command::List(args) => {
            let query = SubscriptionListQuery::from(args);
            let shown = (ListAnswer::SUBSCRIPTIONS, COLUMNS);
            list((&client, output), "/subscriptions", &query, shown).await?;
        }
        Command::Get { id } => show(output, &client.get(&path(&id)).await?),
        Command::Why { id } => return subscriptions_why::run(&id, context).await,
        Command::Create { file } => {
            show_with_warnings(output, &create(&client, &subscription_file::read(&file)?).await?);
        }
        Command::Replace { id, file } => {
            let document = subscription_file::read(&file)?;
            show_with_warnings(output, &replace(&client, &id, &document).await?);
        }
        Command::Credential(CredentialArgs { id, file, former_file, remove: _ }) => {
            let path = path(&id) + "/sink-credential";
            let answer = match file.or(former_file) {
                Some(file) => {
                    let credential = subscription_file::read_credential(&file)?;
                    put(&client, &id, &path, &credential).await?
                }
                None => client.call::<()>(Method::DELETE, &path, None).await?,
            };
            show(output, &answer);
        }
        Command::Remove { id } => {
            client.call::<()>(Method::DELETE, &path(&id), None).await?;
            output.note(format_args!("subscription `{id}` is removed"));
        }
        Command::Verify { id, challenge } => verify(&id, challenge, context).await?,
        Command::Pause { id } => step(&id, "pause", context).await?,
        Command::Resume { id } => step(&id, "resume", context).await?,
        Command::Secret(args) => show(output, &rotate_secret(&client, args).await?),
        Command::DropRetries(args) => drop_retries(&client, output, args).await?,
        Command::Checkpoint { id } => {
            let request = client.request(Method::GET, &(path(&id) + "/checkpoint"))?;
            let token = client.send(request).await?.text().await.map_err(Failure::ours)?;
            output.item(&token, Clone::clone);
        }
        Command::Pull(args) => return pull::run(args, context).await,
        Command::Attempts(AttemptsArgs { id, event, limit }) => {
            let event = event.map(|event| event.to_string());
            let query = AttemptListQuery { limit: Some(limit.into()), event };
            let (path, shown) = (path(&id) + "/attempts", (ListAnswer::ATTEMPTS, ATTEMPTS));
            list((&client, output), &path, &query, shown).await?;
        }
        Command::Receipts(ReceiptsArgs { id, event, after, limit }) => {
            let event = event.map(|event| event.to_string());
            let query = ReceiptListQuery { event, after: Some(after), limit: Some(limit.into()) };
            let (path, shown) = (path(&id) + "/receipts", (ListAnswer::RECEIPTS, RECEIPTS));
            list((&client, output), &path, &query, shown).await?;
        }
    }
    Ok(Exit::Done)
}

async fn verify(
    id: &SubscriptionReference,
    challenge: Option<String>,
    context: &Context,
) -> Result<(), Failure> {
    let response = challenge.is_some().then_some(ChallengeResponse { challenge });
    let path = path(id) + "/verify";
    let answer = context.client()?.call(Method::POST, &path, response.as_ref()).await?;
    context.output().item(&answer, |answer| {
        let (state, reason) = (text(answer, "/state"), text(answer, "/reason"));
        let why = if state == "pending" { format!(": {reason}") } else { String::new() };
        format!("subscription `{id}` is {state}{why}")
    });
    Ok(())
}

async fn step(id: &SubscriptionReference, verb: &str, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let path = format!("{}/{verb}", path(id));
    let answer = context.client()?.call::<()>(Method::POST, &path, None).await?;
    output.item(&answer, |answer| format!("subscription `{id}` is {}", text(answer, "/state")));
    Ok(())
}

/// Creates a subscription and gives the gateway's answer, with a shared secret if it made one.
///
/// # Errors
///
/// The caller's turn: the gateway refused the document. Ours: it cannot be reached or failed.
pub async fn create(client: &Client, document: &SubscriptionDocument) -> Result<Value, Failure> {
    client.call(Method::POST, "/subscriptions", Some(document)).await
}

/// Replaces a document, whatever it was, and gives the gateway's answer.
///
/// # Errors
///
/// As [`create`].
pub async fn replace(
    client: &Client,
    id: &SubscriptionReference,
    document: &SubscriptionDocument,
) -> Result<Value, Failure> {
    put(client, id, &path(id), document).await
}

/// Replaces a subscription or a part of it, whatever it was.
async fn put(
    client: &Client,
    id: &SubscriptionReference,
    to: &str,
    body: &(impl Serialize + Sync),
) -> Result<Value, Failure> {
    for _ in 0..TRIES {
        let current = client.send(client.request(Method::GET, &path(id))?).await?;
        let mut request = client.request(Method::PUT, to)?.json(body);
        if let Some(etag) = current.headers().get(ETAG) {
            request = request.header(IF_MATCH, etag.clone());
        }
        let response = client.exchange(request).await?;
        if response.status() != StatusCode::PRECONDITION_FAILED {
            return read(Client::accept(response).await?).await;
        }
    }
    let problem = anyhow::anyhow!("subscription `{id}` changes all the time; try again");
    Err(Failure::ours(problem))
}

async fn read(response: Response) -> Result<Value, Failure> {
    response.json().await.map_err(|error| Failure::ours(error.without_url()))
}

fn path(id: &SubscriptionReference) -> String {
    format!("/subscriptions/{}", id.segment())
}

fn types(subscription: &Value, pointer: &str) -> String {
    let types = subscription.pointer(pointer).and_then(Value::as_array);
    let texts: Vec<&str> = types.into_iter().flatten().filter_map(Value::as_str).collect();
    if texts.is_empty() { "*".to_owned() } else { texts.join(" ") }
}
