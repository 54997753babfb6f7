//! The commands of `sealway aws template`, and what they take from the gateway file.

use std::fmt::Display;

use anyhow::anyhow;
use clap::Subcommand;

use crate::cli::aws::external_id::external_id;
use crate::cli::aws::template::principal::GatewayPrincipal;
use crate::cli::aws::template::pull::PullTemplate;
use crate::cli::aws::template::push::{ConnectionKind, PushTemplate};
use crate::cli::aws::template::receive::ReceiveTemplate;
use crate::cli::aws::template::rule_sources::{rule_sources, wanted_sources};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::Config;
use crate::deliver::EventBusPermission;
use crate::event::{ConsumerId, EventBusArn, QueueArn};
use crate::source::queue::QueueSource;

/// The edges that have a template.
#[derive(Debug, Subcommand)]
pub enum TemplateKind {
    /// For the team's account: rules fill a queue that the gateway reads
    Pull {
        /// Which of `source.queues`; may be left out if there is one
        #[arg(long, value_name = "ARN")]
        queue: Option<QueueArn>,
        /// The role or user that the gateway runs as; a parameter of the template if not given
        #[arg(long, value_name = "ARN")]
        gateway_principal: Option<GatewayPrincipal>,
    },
    /// For the team's account: rules push to the gateway over https, through an API destination
    Push {
        /// How EventBridge shows itself to the gateway
        #[arg(long, value_enum, default_value = "api-key")]
        connection: ConnectionKind,
        /// The name of the bus that the team publishes on
        #[arg(long, value_name = "NAME", default_value = "default")]
        bus: String,
        /// The role or user that the gateway runs as, which may read the rule's dead letters; a
        /// parameter of the template if not given
        #[arg(long, value_name = "ARN")]
        gateway_principal: Option<GatewayPrincipal>,
    },
    /// For a consumer's account: a bus that the gateway puts sealed events on
    Receive {
        /// Whose bus, of `delivery.event-buses`
        #[arg(long, value_name = "NAME")]
        consumer: ConsumerId,
        /// Which of its buses; may be left out if there is one
        #[arg(long, value_name = "ARN")]
        bus: Option<EventBusArn>,
        /// The role or user that the gateway runs as; a parameter of the template if not given
        #[arg(long, value_name = "ARN")]
        gateway_principal: Option<GatewayPrincipal>,
    },
}

/// Runs the command: prints the template.
pub async fn run(kind: TemplateKind, context: &Context) -> CommandResult {
    let config = context.config()?;
    let text = match kind {
        TemplateKind::Pull { queue, gateway_principal } => {
            with_rules(pull(queue.as_ref(), gateway_principal, &config)?, context)?.write()
        }
        TemplateKind::Push { connection, bus, gateway_principal } => {
            push(connection, bus, gateway_principal, &config)?.write()
        }
        TemplateKind::Receive { consumer, bus, gateway_principal } => {
            let permission = permission(&consumer, bus.as_ref(), &config)?;
            receive(permission, gateway_principal, context).await.write()
        }
    };
    context.output().line(text.map_err(Failure::ours)?.trim_end());
    Ok(Exit::Done)
}

/// The template if it has a rule; a rule is made where its bus is, so a bus of another place has none.
fn with_rules(template: PullTemplate, context: &Context) -> Result<PullTemplate, Failure> {
    let elsewhere = template.buses_elsewhere();
    let Some(first) = elsewhere.first() else { return Ok(template) };
    let words = format!(
        "`{first}` is in another account or region than the queue, and a rule is made where its bus is: \
         have a rule there send its events to a bus beside the queue, and name that one in \
         `source.queues[].buses`, too"
    );
    if elsewhere.len() == template.buses.len() {
        return Err(Failure::input(anyhow!(words)));
    }
    context.output().note(words);
    Ok(template)
}

fn pull(
    named: Option<&QueueArn>,
    principal: Option<GatewayPrincipal>,
    config: &Config,
) -> Result<PullTemplate, Failure> {
    let queues = config.source.queues.iter();
    let queues: Vec<&QueueSource> =
        queues.filter(|queue| named.is_none_or(|arn| queue.arn == *arn)).collect();
    let queue = one_of(&queues, |queue| &queue.arn, "`source.queues`", ("--queue", named))?;
    let sources = match &queue.sources {
        Some(sources) => rule_sources(sources),
        None => wanted_sources(config)?,
    };
    Ok(PullTemplate {
        queue: queue.arn.clone(),
        dead_letter_queues: queue.dead_letter_queues.clone(),
        buses: queue.buses.clone(),
        sources,
        role: queue.role.clone(),
        visibility: queue.visibility_timeout.0.as_secs(),
        principal,
    })
}

fn push(
    connection: ConnectionKind,
    bus: String,
    principal: Option<GatewayPrincipal>,
    config: &Config,
) -> Result<PushTemplate, Failure> {
    // EventBridge calls https only; what the issuer is behind a proxy is for the deployment to say.
    let at = |path: &str| {
        let base = config.issuer.as_str().trim_end_matches('/');
        (config.issuer.scheme() == "https").then(|| format!("{base}{path}"))
    };
    Ok(PushTemplate {
        connection,
        endpoint: at("/events"),
        token_endpoint: at("/oauth/token"),
        bus,
        sources: wanted_sources(config)?,
        principal,
    })
}

fn permission<'a>(
    consumer: &ConsumerId,
    named: Option<&EventBusArn>,
    config: &'a Config,
) -> Result<&'a EventBusPermission, Failure> {
    let of_consumer = config.delivery.event_buses.iter().filter(|one| one.consumer == *consumer);
    let found: Vec<_> = of_consumer.filter(|one| named.is_none_or(|arn| one.bus == *arn)).collect();
    let setting = format!("`delivery.event-buses` for the consumer {consumer}");
    one_of(&found, |one| &one.bus, &setting, ("--bus", named)).copied()
}

async fn receive(
    permission: &EventBusPermission,
    principal: Option<GatewayPrincipal>,
    context: &Context,
) -> ReceiveTemplate {
    let mut id = None;
    if permission.role.is_some() {
        match external_id(&permission.consumer, context).await {
            Ok(known) => id = Some(known),
            Err(failure) => context.output().note(format_args!(
                "the external id is a parameter of the template, because the gateway did not tell it: \
                 {failure}"
            )),
        }
    }
    ReceiveTemplate {
        consumer: permission.consumer.clone(),
        bus: permission.bus.clone(),
        role: permission.role.clone(),
        external_id: id,
        principal,
    }
}

/// The only one of a setting, or the one that an option names.
fn one_of<'a, T, A: Display + 'a>(
    found: &'a [T],
    arn: impl Fn(&'a T) -> &'a A,
    setting: &str,
    (option, named): (&str, Option<&A>),
) -> Result<&'a T, Failure> {
    Err(Failure::input(match (found, named) {
        ([one], _) => return Ok(one),
        ([], Some(named)) => anyhow!(
            "the gateway file does not list {named} in {setting}: write it there first, or name \
             another with {option}"
        ),
        ([], None) => {
            anyhow!("the gateway file lists nothing in {setting}: write it there first")
        }
        (several, _) => {
            let arns: Vec<String> = several.iter().map(|one| arn(one).to_string()).collect();
            let arns = arns.join("\n  ");
            anyhow!(
                "the gateway file lists several in {setting}: say which with {option}:\n  {arns}"
            )
        }
    }))
}
