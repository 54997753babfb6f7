//! What keeps events from a subscription, in a sentence, and the command that helps.

use crate::deliver::LagCause;
use crate::eventlog::Attempt;
use crate::subscriptions::Subscription;

/// What it is, in a sentence. Whether there is a publication that it may not hear is told to who sees
/// everything.
pub(super) fn sentence(cause: &LagCause, subscription: &Subscription, sees_all: bool) -> String {
    match cause {
        LagCause::Closed => {
            let why = subscription.reason.as_deref().map(|why| format!(" ({why})"));
            format!(
                "it is closed{}, for ever: remove it, with its dead letters, and create it anew",
                why.unwrap_or_default()
            )
        }
        LagCause::Pending { .. } => pending(cause, subscription),
        LagCause::Paused { by: Some(by), .. } => {
            format!("caller {by} has paused it; its events wait until it is resumed")
        }
        LagCause::Paused { by: None, .. } => {
            let why = subscription.reason.as_deref().map(|why| format!(": {why}"));
            format!("it is paused{}; its events wait until it is resumed", why.unwrap_or_default())
        }
        LagCause::SinkLeftAlone { until, last, .. } => match until {
            Some(until) => format!(
                "its sink does not answer well{}, and is left alone until {until}",
                answered(last.as_ref())
            ),
            None => format!(
                "its sink did not answer well{}; one attempt at a time finds out whether it is well \
                 again",
                answered(last.as_ref())
            ),
        },
        LagCause::SinkFailing { last, .. } => {
            format!("every attempt fails{}", answered(last.as_ref()))
        }
        LagCause::BehindDeadLetter(letter) => format!(
            "dead letter {} (event {}, {}) holds up the later events of its subject, until someone \
             redrives or dismisses it",
            letter.id.0, letter.key.event, letter.reason
        ),
        LagCause::BehindEvent { event, due, .. } => format!(
            "event {event} has failed and is tried again {due}; the later events of its subject wait \
             behind it"
        ),
        LagCause::Retrying { deliveries, due, .. } => {
            let due = due.map(|due| format!(", the oldest {due}")).unwrap_or_default();
            format!("{} tried again{due}", failed(*deliveries))
        }
        LagCause::Rate { rate: Some(1) } => {
            "its rate of one attempt per second keeps attempts back".to_owned()
        }
        LagCause::Rate { rate: Some(rate) } => {
            format!("its rate of {rate} attempts per second keeps attempts back")
        }
        LagCause::Rate { rate: None } => "its rate keeps attempts back".to_owned(),
        LagCause::SlowSink { allowed } => format!(
            "{} in flight, which is all that its sink keeps up with",
            is_or_are(u64::from(*allowed), "attempt")
        ),
        LagCause::NotFetched { events, .. } => {
            let events = is_or_are(*events as u64, "event");
            format!("{events} ready, and not acknowledged by its consumer")
        }
        LagCause::CatchingUp { .. } => {
            "it goes through the log, and its events are on their way".to_owned()
        }
        LagCause::NotEntitled { publication } if sees_all => {
            format!("its consumer has no grant for what its `types` name, such as {publication}")
        }
        LagCause::NoPublication if sees_all => {
            "no publication makes what its `types` name".to_owned()
        }
        LagCause::NotEntitled { .. } | LagCause::NoPublication => {
            "there is nothing that it may hear through its `types`".to_owned()
        }
        LagCause::NothingPublished { .. } => {
            "nothing that it wants was published since it began".to_owned()
        }
        LagCause::GivenUp { letters, .. } => {
            format!("{} given up, to be redriven or dismissed", were(*letters, "delivery"))
        }
    }
}

fn pending(cause: &LagCause, subscription: &Subscription) -> String {
    let LagCause::Pending { attempts, due, .. } = cause else { return String::new() };
    let why = subscription.reason.as_deref().filter(|why| !why.is_empty());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    match (attempts, due) {
        (0, Some(_)) => "its sink is being asked to prove itself".to_owned(),
        (_, Some(due)) => format!("its sink has not proved itself{why}; it is asked again {due}"),
        (_, None) => format!("its sink has not proved itself{why}; it is asked when you say so"),
    }
}

/// How the last attempt ended that failed.
fn answered(last: Option<&Attempt>) -> String {
    match last {
        None => String::new(),
        Some(Attempt { status: Some(status), at, .. }) => {
            format!(" (it answered {status} at {at})")
        }
        Some(Attempt { at, .. }) => format!(" (it did not answer at {at})"),
    }
}

fn is_or_are(count: u64, of: &str) -> String {
    if count == 1 { format!("one {of} is") } else { format!("{count} {of}s are") }
}

fn failed(deliveries: usize) -> String {
    match deliveries {
        1 => "one delivery has failed and is".to_owned(),
        many => format!("{many} deliveries have failed and are"),
    }
}

fn were(count: u64, of: &str) -> String {
    match (count, of.strip_suffix('y')) {
        (1, _) => format!("one {of} was"),
        (_, Some(stem)) => format!("{count} {stem}ies were"),
        (_, None) => format!("{count} {of}s were"),
    }
}

/// The command that helps, for whoever has the command line; nothing where none does.
pub(super) fn command(
    cause: &LagCause,
    subscription: &Subscription,
    sees_all: bool,
) -> Option<String> {
    let name = subscription.qualified_name();
    let on = |command: &str| Some(format!("sealway {command} {name}"));
    match cause {
        LagCause::Closed => on("subscriptions remove"),
        LagCause::Pending { attempts: 0, due: Some(_), .. } => on("subscriptions get"),
        LagCause::Pending { .. } => on("subscriptions verify"),
        LagCause::Paused { .. } => on("subscriptions resume"),
        LagCause::SinkLeftAlone { .. }
        | LagCause::SinkFailing { .. }
        | LagCause::Retrying { .. }
        | LagCause::SlowSink { .. } => on("subscriptions attempts"),
        LagCause::BehindDeadLetter(letter) => {
            Some(format!("sealway dead-letters redrive {name} --id {}", letter.id.0))
        }
        LagCause::BehindEvent { event, .. } => {
            Some(format!("sealway events trace {event} --subscription {name}"))
        }
        LagCause::NotFetched { .. } => on("subscriptions pull"),
        LagCause::NotEntitled { publication } if sees_all => {
            Some(format!("sealway grants give {} {publication}", subscription.consumer))
        }
        LagCause::NotEntitled { .. } | LagCause::NoPublication if !sees_all => {
            Some(format!("sealway access request {} PUBLICATION", subscription.consumer))
        }
        LagCause::Rate { .. } | LagCause::NotEntitled { .. } | LagCause::NoPublication => {
            Some(format!("sealway subscriptions replace {name} FILE"))
        }
        LagCause::GivenUp { .. } => on("dead-letters list"),
        LagCause::CatchingUp { .. } | LagCause::NothingPublished { .. } => None,
    }
}
