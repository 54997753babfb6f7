//! Holds producers to their sources: when an event comes in, and when one is let in from quarantine.

use crate::api::{Caller, CallerError, Code, Problem, Services};
use crate::event::{EventProducer, Fault, ProducerKind};
use crate::source::{AdmitRefusal, may_publish_as};

/// The most characters of a source that are shown to whoever may not publish as it.
const MOST_SHOWN: usize = 128;

/// Refuses an event as whose source its caller may not publish; nothing of it is kept.
pub(super) fn foreign_source(caller: &Caller, source: &str) -> Option<AdmitRefusal> {
    let source = (!caller.publishes(source)).then(|| shown(source))?;
    let message = format!(
        "caller `{}` may not publish as `{source}`: that needs the scope `publish:{source}`; nothing of \
         the event is kept",
        caller.id()
    );
    let code = Code::SourceNotAllowed.text();
    Some(AdmitRefusal { fault: Fault::Caller, code, message, violations: Vec::new() })
}

/// Refuses to let in what its producer may not publish any more, by the scopes and settings of this
/// moment, unless an admin decides so. Of what was kept before producers were noted, nobody can tell.
///
/// # Errors
///
/// The caller's turn: the producer has lost the source, or is gone. Ours: the registry failed.
pub(super) async fn check_release(
    services: &Services,
    releaser: &Caller,
    (producer, source): (Option<&EventProducer>, &str),
) -> Result<(), Problem> {
    let Some(producer) = producer.filter(|_| !releaser.is_admin()) else { return Ok(()) };
    if may_publish(services, producer, source).await? {
        return Ok(());
    }
    let (source, more) = (shown(source), gift(producer));
    let detail = format!(
        "{producer} may not publish as `{source}`; {more}, have an admin release the entry, or remove it"
    );
    Err(Problem::new(Code::WrongState, detail))
}

async fn may_publish(
    services: &Services,
    producer: &EventProducer,
    source: &str,
) -> Result<bool, CallerError> {
    if producer.kind != ProducerKind::Caller {
        return Ok(may_publish_as(&services.documents.load().source, producer, source));
    }
    let Ok(id) = producer.name.parse() else { return Ok(false) };
    let caller = services.callers.named(&id).await?;
    Ok(caller.is_some_and(|caller| caller.publishes(source)))
}

/// How a producer is given a source.
const fn gift(producer: &EventProducer) -> &'static str {
    match producer.kind {
        ProducerKind::Caller => "give it a scope for that (`sealway callers change`)",
        ProducerKind::AccessKey | ProducerKind::Queue => "widen its `sources`",
    }
}

/// A source as it is told: short, and on one line.
fn shown(source: &str) -> String {
    let mut characters = source.chars().filter(|one| !one.is_control());
    let mut shown: String = characters.by_ref().take(MOST_SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_short_and_on_one_line() {
        assert_eq!(shown("order-\nservice"), "order-service");
        assert_eq!(shown(&"x".repeat(MOST_SHOWN)), "x".repeat(MOST_SHOWN));
        assert_eq!(shown(&"x".repeat(MOST_SHOWN + 1)), "x".repeat(MOST_SHOWN) + "…");
    }
}
