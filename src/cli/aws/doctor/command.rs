//! Goes through the gateway file, call by call.

use crate::aws::AwsRole;
use crate::cli::aws::doctor::calls::AwsCalls;
use crate::cli::aws::doctor::finding::CallFinding;
use crate::cli::aws::doctor::queues::QueueDuty;
use crate::cli::aws::doctor::refusal::FailedPlace;
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
    let mut report = CallReport { context, findings: Vec::new() };
    let mut calls = AwsCalls::new(&config);
    let identity = calls.identify(region).await;
    let has_credentials = identity.place != Some(FailedPlace::Credentials);
    report.tell(vec![identity]);
    if has_credentials {
        for queue in queues {
            queue_of(&calls, queue, args, &mut report).await;
        }
        for permission in buses {
            bus_of(&calls, permission, args, &mut report).await;
        }
    } else {
        context.output().note("nothing else was called: every other call needs credentials, too");
    }
    let findings = report.findings;
    if context.output().is_json() {
        context.output().document(&findings);
    }
    Ok(if findings.iter().all(CallFinding::is_well) { Exit::Done } else { Exit::No })
}

/// The findings so far; people see each when it is made, because calls may take a while.
struct CallReport<'a> {
    context: &'a Context,
    findings: Vec<CallFinding>,
}

impl CallReport<'_> {
    /// Tells of findings; says whether all are well.
    fn tell(&mut self, findings: Vec<CallFinding>) -> bool {
        let mut is_well = true;
        for finding in findings {
            is_well &= finding.is_well();
            if !self.context.output().is_json() {
                self.context.output().item(&finding, CallFinding::in_words);
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

async fn queue_of(calls: &AwsCalls, queue: &QueueSource, args: &Args, report: &mut CallReport<'_>) {
    let role = queue.role.clone().map(|arn| AwsRole { arn, external_id: None });
    if let Some(role) = &role
        && !report.tell(vec![calls.take(role, queue.arn.region()).await])
    {
        let finding =
            calls.finding("sqs:GetQueueUrl", queue.arn.as_str(), (queue.arn.region(), Some(role)));
        report.tell(vec![finding.not_made("the role was not given", "mend the role first")]);
        return;
    }
    let how = (role.as_ref(), args.receive);
    report.tell(calls.queue(&queue.arn, QueueDuty::Inbox, how).await);
    for dead in &queue.dead_letter_queues {
        report.tell(calls.queue(dead, QueueDuty::DeadLetters, (role.as_ref(), false)).await);
    }
}

async fn bus_of(
    calls: &AwsCalls,
    permission: &EventBusPermission,
    args: &Args,
    report: &mut CallReport<'_>,
) {
    let (bus, region) = (&permission.bus, permission.bus.region());
    let role = match &permission.role {
        None => None,
        Some(arn) => match external_id(&permission.consumer, report.context).await {
            Ok(id) => Some(AwsRole { arn: arn.clone(), external_id: Some(id) }),
            Err(failure) => {
                let finding = calls.finding("sts:AssumeRole", arn.as_str(), (region, None));
                let why =
                    format!("the external id of {} is not known: {failure}", permission.consumer);
                let advice =
                    "start the gateway, and name it with --gateway and a key with --caller-key";
                report.tell(vec![finding.not_made(why, advice)]);
                return;
            }
        },
    };
    if let Some(role) = &role
        && !report.tell(vec![calls.take(role, region).await])
    {
        let finding = calls.finding("events:DescribeEventBus", bus.as_str(), (region, Some(role)));
        report.tell(vec![finding.not_made("the role was not given", "mend the role first")]);
        return;
    }
    report.tell(calls.bus(bus, (role.as_ref(), args.put)).await);
}
