//! Goes through the gateway file, call by call.

use crate::aws::AwsRole;
use crate::cli::aws::doctor::finding::{Finding, Outcome};
use crate::cli::aws::doctor::practice::Practice;
use crate::cli::aws::doctor::queues::QueueDuty;
use crate::cli::aws::external_id::external_id;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::Config;
use crate::deliver::EventBusPermission;
use crate::source::queue::QueueSource;

/// What may be tried beyond asking.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Receive a message from each queue; it is visible again at once, and counts as received once
    #[arg(long)]
    receive: bool,
    /// Put an event on each bus: source `sealway`, detail-type `Sealway Doctor`, an empty detail
    #[arg(long)]
    put: bool,
}

/// Runs the command: done if every call was answered well.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let config = context.config()?;
    let (queues, buses) = (&config.source.queues, &config.delivery.event_buses);
    let Some(region) = first_region(&config) else {
        return Err(Failure::input(anyhow::anyhow!(
            "the gateway file names neither `source.queues` nor `delivery.event-buses`: there is \
             nothing to call"
        )));
    };
    let mut told = Told { context, findings: Vec::new() };
    let mut practice = Practice::new(&config);
    told.all(vec![practice.identify(region).await]);
    for queue in queues {
        queue_of(&practice, queue, args, &mut told).await;
    }
    for permission in buses {
        bus_of(&practice, permission, args, &mut told).await;
    }
    let findings = told.findings;
    if context.output().is_json() {
        context.output().document(&findings);
    }
    let is_well = |one: &Finding| matches!(one.outcome, Outcome::Good | Outcome::Warning);
    Ok(if findings.iter().all(is_well) { Exit::Done } else { Exit::No })
}

/// The findings so far; people see each when it is made, because calls may take a while.
struct Told<'a> {
    context: &'a Context,
    findings: Vec<Finding>,
}

impl Told<'_> {
    /// Tells of findings; says whether all are well.
    fn all(&mut self, findings: Vec<Finding>) -> bool {
        let mut is_well = true;
        for finding in findings {
            is_well &= matches!(finding.outcome, Outcome::Good | Outcome::Warning);
            if !self.context.output().is_json() {
                self.context.output().item(&finding, Finding::in_words);
            }
            self.findings.push(finding);
        }
        is_well
    }
}

fn first_region(config: &Config) -> Option<&str> {
    let queue = config.source.queues.first().map(|queue| queue.arn.region());
    queue.or_else(|| config.delivery.event_buses.first().map(|one| one.bus.region()))
}

async fn queue_of(practice: &Practice, queue: &QueueSource, args: &Args, told: &mut Told<'_>) {
    let role = queue.role.clone().map(|arn| AwsRole { arn, external_id: None });
    if let Some(role) = &role
        && !told.all(vec![practice.take(role, queue.arn.region()).await])
    {
        let finding = practice.finding(
            "sqs:GetQueueUrl",
            queue.arn.as_str(),
            (queue.arn.region(), Some(role)),
        );
        told.all(vec![finding.not_made("the role was not given", "mend the role first")]);
        return;
    }
    let how = (role.as_ref(), args.receive);
    told.all(practice.queue(&queue.arn, QueueDuty::Inbox, how).await);
    if let Some(dead) = &queue.dead_letter_queue {
        told.all(practice.queue(dead, QueueDuty::DeadLetters, (role.as_ref(), false)).await);
    }
}

async fn bus_of(
    practice: &Practice,
    permission: &EventBusPermission,
    args: &Args,
    told: &mut Told<'_>,
) {
    let (bus, region) = (&permission.bus, permission.bus.region());
    let role = match &permission.role {
        None => None,
        Some(arn) => match external_id(&permission.consumer, told.context).await {
            Ok(id) => Some(AwsRole { arn: arn.clone(), external_id: Some(id) }),
            Err(failure) => {
                let finding = practice.finding("sts:AssumeRole", arn.as_str(), (region, None));
                let why =
                    format!("the external id of {} is not known: {failure}", permission.consumer);
                let advice =
                    "start the gateway, and name it with --gateway and a key with --caller-key";
                told.all(vec![finding.not_made(why, advice)]);
                return;
            }
        },
    };
    if let Some(role) = &role
        && !told.all(vec![practice.take(role, region).await])
    {
        let finding =
            practice.finding("events:DescribeEventBus", bus.as_str(), (region, Some(role)));
        told.all(vec![finding.not_made("the role was not given", "mend the role first")]);
        return;
    }
    told.all(practice.bus(bus, (role.as_ref(), args.put)).await);
}
