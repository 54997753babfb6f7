//! Settings of the queues that are read.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;
use crate::event::{EventBusArn, EventProducer, ProducerKind, QueueArn, RoleArn};
use crate::source::SourceRule;
use crate::source::received::is_own_source;
use crate::source::source_rule::is_allowed;

/// The most pollers of one queue.
const MOST_POLLERS: u8 = 16;
/// How long a message may stay invisible, as SQS has it.
const VISIBILITY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(12);

/// An SQS queue that the gateway reads.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueueSource {
    /// The queue's ARN, which tells its region and account.
    pub arn: QueueArn,
    /// The event buses whose rules fill the queue: none of them may be a sink.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buses: Vec<EventBusArn>,
    /// The `source`s that its events may have; a `*` at the end stands for any rest. Absent: every
    /// source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceRule>>,
    /// The role that the gateway takes to read it; absent: the gateway's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleArn>,
    /// How many batches are asked for at once, 1 to 16.
    #[serde(default = "pollers")]
    #[schemars(range(min = 1, max = 16))]
    pub pollers: u8,
    /// How long a message stays invisible after the gateway has it or is gone, 1s to 12h. It is extended
    /// while the log is slow.
    #[serde(default = "visibility_timeout")]
    #[schemars(extend("x-range" = ["1s", "12h"]))]
    pub visibility_timeout: HumanDuration,
    /// The dead-letter queues of its rules and of the queue itself, which `sealway aws drain` reads. Each
    /// is of one queue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letter_queues: Vec<QueueArn>,
    /// What a body is that carries no source and no type of its own; absent: it is quarantined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawEvents>,
}

/// What a body is that carries no source and no type of its own: what an input transformer made, or raw
/// data.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawEvents {
    /// The `source` of its events.
    pub source: String,
    /// The `detail-type` of its events.
    pub detail_type: String,
}

const fn pollers() -> u8 {
    1
}

const fn visibility_timeout() -> HumanDuration {
    HumanDuration(Duration::from_mins(1))
}

impl QueueSource {
    /// The queue, as what comes of it names it.
    pub(super) fn producer(&self) -> EventProducer {
        EventProducer { kind: ProducerKind::Queue, name: self.arn.as_str().into() }
    }

    /// Says in words what is wrong with the settings of this queue alone.
    fn problems(&self) -> Vec<String> {
        let raw = self.raw.as_ref();
        let may_raw = |raw: &RawEvents| is_allowed(self.sources.as_deref(), &raw.source);
        let wrong = [
            (!(1..=MOST_POLLERS).contains(&self.pollers), "`pollers` is 1 to 16"),
            (!VISIBILITY.contains(&self.visibility_timeout.0), "`visibility-timeout` is 1s to 12h"),
            (self.sources.as_ref().is_some_and(Vec::is_empty), "`sources` is empty: leave it out"),
            (
                raw.is_some_and(|raw| raw.source.is_empty() || raw.detail_type.is_empty()),
                "`raw` needs a `source` and a `detail-type`",
            ),
            (
                raw.is_some_and(|raw| is_own_source(&raw.source)),
                "`raw.source` must not be `sealway`, which the gateway's own events have",
            ),
            (raw.is_some_and(|raw| !may_raw(raw)), "`sources` does not name `raw.source`"),
        ];
        let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong);
        let wrong = wrong.map(|(_, problem)| problem.to_owned());
        let dead = self.dead_letter_queues.iter().filter_map(|dead| self.problem_of_place(dead));
        wrong.chain(dead).map(|problem| format!("queue `{}`: {problem}", self.arn)).collect()
    }

    /// Says in words why a dead-letter queue cannot be where it is: SQS wants its own beside the queue, and
    /// EventBridge that of a rule in the region of the rule, which is that of the queue.
    fn problem_of_place(&self, dead: &QueueArn) -> Option<String> {
        if dead.region() != self.arn.region() {
            return Some(format!("the dead-letter queue `{dead}` is in another region"));
        }
        let mut accounts = self.buses.iter().map(EventBusArn::account).chain([self.arn.account()]);
        let is_known = accounts.any(|account| account == dead.account());
        (!is_known).then(|| {
            format!(
                "the dead-letter queue `{dead}` is in another account than the queue and the rules of \
                 its `buses`"
            )
        })
    }

    #[cfg(test)]
    pub(crate) fn example(arn: &str) -> Self {
        Self {
            arn: arn.parse().unwrap(),
            buses: Vec::new(),
            sources: None,
            role: None,
            pollers: pollers(),
            visibility_timeout: visibility_timeout(),
            dead_letter_queues: Vec::new(),
            raw: None,
        }
    }
}

/// Says in words what is wrong with the settings of all queues.
pub fn problems(queues: &[QueueSource]) -> Vec<String> {
    let mut problems: Vec<String> = queues.iter().flat_map(QueueSource::problems).collect();
    if cfg!(not(feature = "aws")) && !queues.is_empty() {
        problems.push(format!("`queues`: {}", crate::aws::WITHOUT_AWS));
    }
    for (at, queue) in queues.iter().enumerate() {
        if queues.iter().take(at).any(|other| other.arn == queue.arn) {
            problems.push(format!("queue `{}` is there twice", queue.arn));
        }
    }
    problems.extend(problems_of_dead_letters(queues));
    problems
}

/// A dead-letter queue is of one queue, whose settings its messages are read by.
fn problems_of_dead_letters(queues: &[QueueSource]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known: Vec<(&QueueArn, &QueueArn)> = Vec::new();
    let named = queues.iter();
    let named =
        named.flat_map(|queue| queue.dead_letter_queues.iter().map(|dead| (dead, &queue.arn)));
    for (dead, queue) in named {
        if queues.iter().any(|other| other.arn == *dead) {
            problems.push(format!(
                "queue `{queue}`: `{dead}` of `dead-letter-queues` is a queue that is read: it needs no \
                 draining"
            ));
        }
        match known.iter().find(|(other, _)| *other == dead) {
            Some((_, first)) if *first == queue => {
                problems.push(format!("queue `{queue}`: `dead-letter-queues` names `{dead}` twice"));
            }
            Some((_, first)) => problems.push(format!(
                "queue `{queue}`: `{dead}` of `dead-letter-queues` is of queue `{first}` already: its \
                 messages can be read by the settings of one queue only"
            )),
            None => known.push((dead, queue)),
        }
    }
    problems
}

/// Says in words what is missing from the settings of queues that work without it.
pub fn warnings(queues: &[QueueSource]) -> impl Iterator<Item = String> {
    queues.iter().filter(|queue| queue.buses.is_empty()).map(|queue| {
        format!(
            "queue `{}` names no `buses`, so nothing keeps the gateway from delivering to a bus \
             whose rules fill it",
            queue.arn
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
    #[cfg(feature = "aws")]
    const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-dead";

    #[test]
    fn a_queue_needs_its_arn_alone() {
        let queue: QueueSource = serde_json::from_str(&format!(r#"{{"arn":"{IN}"}}"#)).unwrap();

        assert_eq!(queue, QueueSource::example(IN));
        assert!(serde_json::from_str::<QueueSource>(r#"{"arn":"gateway-in"}"#).is_err());
    }

    #[cfg(feature = "aws")]
    #[test]
    fn mistakes_are_named_with_their_queue() {
        let raw = |source: &str| Some(RawEvents { source: source.into(), detail_type: "A".into() });
        let queue = || QueueSource::example(IN);
        let arn = |text: &str| -> QueueArn { text.parse().unwrap() };
        let cases = [
            (QueueSource { pollers: 17, ..queue() }, "1 to 16"),
            (QueueSource { pollers: 0, ..queue() }, "1 to 16"),
            (
                QueueSource { visibility_timeout: HumanDuration(Duration::ZERO), ..queue() },
                "1s to 12h",
            ),
            (QueueSource { sources: Some(vec![]), ..queue() }, "leave it out"),
            (QueueSource { raw: raw(""), ..queue() }, "needs a `source`"),
            (QueueSource { raw: raw("Sealway"), ..queue() }, "must not be `sealway`"),
            (
                QueueSource { raw: raw("a"), sources: Some(vec!["b".parse().unwrap()]), ..queue() },
                "does not name `raw.source`",
            ),
            (QueueSource { dead_letter_queues: vec![arn(IN)], ..queue() }, "needs no draining"),
            (QueueSource { dead_letter_queues: vec![arn(DEAD), arn(DEAD)], ..queue() }, "twice"),
        ];
        for (queue, expected) in cases {
            let found = problems(&[queue]).join("\n");
            assert!(found.contains(IN) && found.contains(expected), "{expected}: {found}");
        }
        let dead = |arn: &str| {
            let bus = "arn:aws:events:eu-west-1:444455556666:event-bus/eda-demo".parse().unwrap();
            let source: QueueSource =
                serde_json::from_value(serde_json::json!({ "arn": IN })).unwrap();
            let known = QueueSource { buses: vec![bus], ..source };
            known.problem_of_place(&arn.parse().unwrap()).unwrap_or_default()
        };
        assert_eq!(dead("arn:aws:sqs:eu-west-1:111122223333:dead"), "");
        assert_eq!(
            dead("arn:aws:sqs:eu-west-1:444455556666:dead"),
            "",
            "a rule's is in its account"
        );
        assert!(dead("arn:aws:sqs:eu-west-2:111122223333:dead").contains("another region"));
        assert!(dead("arn:aws:sqs:eu-west-1:999922223333:dead").contains("another account"));
        assert!(problems(&[queue(), queue()]).join("\n").contains("there twice"));
        assert_eq!(problems(&[queue()]), Vec::<String>::new());
    }

    #[cfg(feature = "aws")]
    #[test]
    fn a_queue_may_have_several_dead_letter_queues_and_shares_none() {
        let of = |queue: &str, dead: &[&str]| QueueSource {
            dead_letter_queues: dead.iter().map(|arn| arn.parse().unwrap()).collect(),
            ..QueueSource::example(queue)
        };
        let (other, second) = (IN.replace("-in", "-other"), format!("{DEAD}.fifo"));

        let apart = [of(IN, &[DEAD, &second]), of(&other, &[])];
        assert_eq!(problems(&apart), Vec::<String>::new());
        let found = problems(&[of(IN, &[DEAD]), of(&other, &[&second, DEAD])]);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(found.contains(&format!("`{DEAD}`")), "{found}");
        assert!(found.contains(&format!("of queue `{IN}` already")), "{found}");
    }

    #[cfg(not(feature = "aws"))]
    #[test]
    fn a_build_without_aws_says_so() {
        assert_eq!(problems(&[]), Vec::<String>::new());
        let found = problems(&[QueueSource::example(IN)]).join("\n");
        assert!(found.contains(crate::aws::WITHOUT_AWS), "{found}");
    }

    #[test]
    fn a_queue_without_buses_is_warned_of() {
        let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/eda-demo";
        let known = QueueSource { buses: vec![bus.parse().unwrap()], ..QueueSource::example(IN) };

        assert_eq!(warnings(&[known]).count(), 0);
        assert!(warnings(&[QueueSource::example(IN)]).next().unwrap().contains(IN));
    }
}
