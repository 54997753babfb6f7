//! A message that has the source and id of an event in the log, and says something else.

use http::HeaderMap;

use crate::event::Violation;
use crate::source::queue::message::QueueMessage;
use crate::source::queue::settings::QueueSource;
use crate::source::{AdmitRefusal, Admitted, Unparsed, intake};

/// The code of an event that has the source and id of another one.
const DIFFERS: &str = "differs";

/// Whether a message was taken for a repeat of an event with another content.
pub(super) fn differs(answer: &Result<Admitted, AdmitRefusal>) -> bool {
    matches!(answer, Ok(Admitted { differs: true, .. }))
}

/// Describes such a message as the quarantine keeps it, since it is left out of the log and would be gone
/// with its deletion.
pub(super) fn set_apart(message: &QueueMessage, queue: &QueueSource) -> Unparsed {
    let message_text = "another event came under its source and id, and has another content: have its \
                        producer send it under an id of its own, and remove the entry";
    Unparsed {
        producer: queue.producer(),
        headers: message.headers(),
        id: intake::told_id(&HeaderMap::new(), message.body.as_bytes()),
        body: message.body.clone().into_bytes(),
        reason: Violation {
            pointer: "/id".to_owned(),
            code: DIFFERS.to_owned(),
            message: message_text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_kept_as_it_was_sent() {
        let queue: QueueSource = serde_json::from_value(serde_json::json!({
            "arn": "arn:aws:sqs:eu-west-1:111122223333:in",
        }))
        .unwrap();
        let body =
            r#"{"id":"o-1","source":"order-service","detail-type":"OrderCreated","detail":2}"#;
        let message = QueueMessage { body: body.to_owned(), ..QueueMessage::default() };

        let kept = set_apart(&message, &queue);

        assert_eq!((kept.body.as_slice(), kept.id.as_deref()), (body.as_bytes(), Some("o-1")));
        assert_eq!((&*kept.producer.name, &*kept.reason.code), (queue.arn.as_str(), "differs"));
        assert!(differs(&Ok(Admitted { differs: true, ..Admitted::default() })));
        assert!(!differs(&Ok(Admitted { repeated: true, ..Admitted::default() })));
    }
}
