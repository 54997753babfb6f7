//! The template of a queue that the gateway reads, and of the rules that fill it.

use minijinja::Value as Filled;
use serde::Serialize;
use serde_json::Value;

use crate::cli::aws::template::filling::{fill, plain};
use crate::cli::aws::template::principal::GatewayPrincipal;
use crate::event::{EventBusArn, QueueArn, RoleArn};

const TEXT: &str = include_str!("texts/pull.yaml");

/// What the template is made from.
#[derive(Clone, Debug)]
pub struct PullTemplate {
    /// The queue that the gateway reads.
    pub queue: QueueArn,
    /// Where dead letters go, the first of each kind; none: to a queue named after the first.
    pub dead_letter_queues: Vec<QueueArn>,
    /// The buses whose rules fill it; of none, one that the deployment names.
    pub buses: Vec<EventBusArn>,
    /// What the rules ask of `source`.
    pub sources: Vec<Value>,
    /// The role that the gateway takes to read it.
    pub role: Option<RoleArn>,
    /// Seconds that a received message stays invisible.
    pub visibility: u64,
    /// Who the gateway is; nothing: the deployment says so.
    pub principal: Option<GatewayPrincipal>,
}

#[derive(Serialize)]
struct Values<'a> {
    account: Filled,
    region: Filled,
    elsewhere: Vec<Filled>,
    buses: bool,
    principal: Option<&'a GatewayPrincipal>,
    /// The ARN of a queue of its account and region, but for the name.
    place: &'a str,
    queue: &'a str,
    fifo: bool,
    dead_letter_queue: String,
    unwritten_queue: String,
    visibility: u64,
    rules: Vec<RuleValues<'a>>,
    sources: &'a [Value],
    role: Option<RoleValues<'a>>,
}

#[derive(Serialize)]
struct RuleValues<'a> {
    /// Its logical name, which other resources refer to.
    id: Filled,
    bus: Option<&'a str>,
}

/// A role, as templates name it.
#[derive(Serialize)]
pub(super) struct RoleValues<'a> {
    name: &'a str,
    path: String,
}

impl<'a> RoleValues<'a> {
    pub(super) fn of(role: &'a RoleArn) -> Self {
        match role.name().rsplit_once('/') {
            Some((path, name)) => Self { name, path: format!("/{path}/") },
            None => Self { name: role.name(), path: "/".to_owned() },
        }
    }
}

impl PullTemplate {
    /// The buses whose rules cannot be made beside the queue.
    pub fn buses_elsewhere(&self) -> Vec<&EventBusArn> {
        self.buses.iter().filter(|bus| !self.is_here(bus)).collect()
    }

    fn is_here(&self, bus: &EventBusArn) -> bool {
        (bus.account(), bus.region()) == (self.queue.account(), self.queue.region())
    }

    /// Writes the template.
    ///
    /// # Errors
    ///
    /// Ours: the text cannot be filled in.
    pub fn write(&self) -> Result<String, minijinja::Error> {
        let queue = &self.queue;
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.buses.iter().partition(|bus| self.is_here(bus));
        let stem = queue.name().strip_suffix(".fifo");
        let (is_fifo, stem) = (stem.is_some(), stem.unwrap_or(queue.name()));
        // A queue of dead letters is of the kind of what it is for.
        let named = |fifo: bool| {
            let of_kind = |name: &&str| name.strip_suffix(".fifo").is_some() == fifo;
            let mut names = self.dead_letter_queues.iter().map(QueueArn::name);
            names.find(of_kind).map(str::to_owned)
        };
        fill(
            TEXT,
            &Values {
                account: plain(queue.account()),
                region: plain(queue.region()),
                elsewhere: elsewhere.iter().map(|bus| plain(bus.as_str())).collect(),
                buses: !here.is_empty(),
                principal: self.principal.as_ref(),
                place: queue.as_str().trim_end_matches(queue.name()),
                queue: queue.name(),
                fifo: is_fifo,
                dead_letter_queue: named(false).unwrap_or_else(|| derived(stem, "-dead-letters")),
                unwritten_queue: named(true).unwrap_or_else(|| derived(stem, "-unwritten.fifo")),
                visibility: self.visibility,
                rules: rules(&here),
                sources: &self.sources,
                role: self.role.as_ref().map(RoleValues::of),
            },
        )
    }
}

fn rules<'a>(buses: &[&'a EventBusArn]) -> Vec<RuleValues<'a>> {
    if buses.is_empty() {
        return vec![RuleValues { id: plain("Rule"), bus: None }];
    }
    let rule = |(number, bus): (usize, &&'a EventBusArn)| {
        let id = if number == 0 { "Rule".to_owned() } else { format!("Rule{}", number + 1) };
        RuleValues { id: plain(&id), bus: Some(bus.name()) }
    };
    buses.iter().enumerate().map(rule).collect()
}

/// A name made from a queue's own, no longer than a queue's may be.
fn derived(stem: &str, suffix: &str) -> String {
    let room = 80_usize.saturating_sub(suffix.len());
    stem.chars().take(room).chain(suffix.chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> PullTemplate {
        PullTemplate {
            queue: "arn:aws:sqs:eu-west-1:111122223333:gateway-in".parse().unwrap(),
            dead_letter_queues: Vec::new(),
            buses: vec![
                "arn:aws:events:eu-west-1:111122223333:event-bus/eda-demo".parse().unwrap(),
            ],
            sources: vec![json!("order-service")],
            role: None,
            visibility: 60,
            principal: None,
        }
    }

    #[test]
    fn each_bus_of_the_queues_place_has_a_rule_and_the_others_are_told_of() {
        let mut template = template();
        template.buses.push("arn:aws:events:eu-west-1:111122223333:event-bus/b".parse().unwrap());
        let far = "arn:aws:events:eu-west-1:999922223333:event-bus/far";
        template.buses.push(far.parse().unwrap());

        let text = template.write().unwrap();

        assert!(text.contains("  Rule:\n") && text.contains("  Rule2:\n"), "{text}");
        assert!(text.contains("- !GetAtt Rule2.Arn\n") && !text.contains("Rule3"), "{text}");
        assert!(text.contains(&format!("#   {far}\n")), "{text}");
    }

    #[test]
    fn a_fifo_queue_has_dead_letters_of_both_kinds() {
        let mut template = template();
        template.queue = "arn:aws:sqs:eu-west-1:111122223333:in.fifo".parse().unwrap();
        let named = |name: &str| format!("arn:aws:sqs:eu-west-1:111122223333:{name}").parse();
        template.dead_letter_queues = vec![named("dead").unwrap()];

        let text = template.write().unwrap();

        assert!(text.contains("!GetAtt Unwritten.Arn\n        maxReceiveCount"), "{text}");
        assert!(text.contains("QueueName: \"dead\"\n"), "{text}");
        assert!(text.contains("QueueName: \"in-unwritten.fifo\"\n"), "{text}");
        assert!(text.contains("MessageGroupId: \"in.fifo\"\n"), "{text}");

        template.dead_letter_queues.push(named("late.fifo").unwrap());
        let text = template.write().unwrap();
        assert!(text.contains("QueueName: \"dead\"\n"), "{text}");
        assert!(text.contains("QueueName: \"late.fifo\"\n"), "{text}");
    }

    #[test]
    fn a_role_is_made_by_its_name_and_path() {
        let mut template = template();
        template.role = Some("arn:aws:iam::111122223333:role/teams/a/in".parse().unwrap());

        let text = template.write().unwrap();

        assert!(text.contains("RoleName: \"in\"\n      Path: \"/teams/a/\"\n"), "{text}");
        assert!(!text.contains("GatewayReads\n"), "the role's own policy is enough");
    }

    #[test]
    fn every_queue_of_dead_letters_is_named_for_the_settings_and_has_an_alarm() {
        let place = "arn:aws:sqs:eu-west-1:111122223333";
        let told = |queue: &str| {
            let queue = format!("{place}:{queue}").parse().unwrap();
            PullTemplate { queue, ..template() }.write().unwrap()
        };
        let lines = |names: &[&str]| {
            let line = |name: &&str| format!("#     - \"{place}:{name}\"\n");
            let lines: String = names.iter().map(line).collect();
            format!("#   dead-letter-queues:\n{lines}AWSTemplateFormatVersion")
        };

        let text = told("in");
        assert!(text.contains(&lines(&["in-dead-letters"])), "{text}");
        assert!(!text.contains("Unwritten"), "{text}");
        let text = told("in.fifo");
        assert!(text.contains(&lines(&["in-dead-letters", "in-unwritten.fifo"])), "{text}");
        assert!(text.contains("Value: !GetAtt Unwritten.QueueName\n"), "{text}");
        assert!(text.contains("Value: !GetAtt Unwritten.Arn\n"), "{text}");
    }

    #[test]
    fn derived_names_are_no_longer_than_a_queues() {
        assert_eq!(derived(&"q".repeat(80), "-dead-letters").len(), 80);
    }
}
