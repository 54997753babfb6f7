//! What the answers of HTTP sinks mean: the one table of status codes.

use std::time::Duration;

use crate::deliver::sink::answer_body::noted;
use crate::deliver::sink::content::SetError;
use crate::deliver::sink::excerpt::excerpt;
use crate::deliver::sink::{AnswerKind, BodyCut, ChallengeRefusal, Health, SinkAnswer};
use crate::subscriptions::Challenge;

/// The longest word of a body that is shown.
const LONGEST_WORD: usize = 64;

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpExchange {
    /// Its status.
    pub status: u16,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Which origins may post to the sink, if it says so (CloudEvents webhooks, section 4.2).
    pub allowed_origin: Option<String>,
    /// The first 16 KiB of its body, as far as they have come.
    pub body: Vec<u8>,
    /// How the body ended, if that was before its end.
    pub cut: Option<BodyCut>,
}

/// What a status code means for the event that was posted (RFC 9110, section 15).
pub(super) const fn kind_of(status: u16) -> AnswerKind {
    match status {
        200..=299 => AnswerKind::Delivered,
        400 | 404 | 405 | 415 | 422 => AnswerKind::Refused,
        401 | 403 => AnswerKind::Unauthorised,
        410 => AnswerKind::Gone("the sink answered 410 Gone"),
        413 => AnswerKind::TooLarge,
        429 => AnswerKind::Later(Health::Busy),
        503 => AnswerKind::Later(Health::Overloaded),
        500..=599 => AnswerKind::Later(Health::Failed),
        _ => AnswerKind::Later(Health::Declined),
    }
}

/// What a response means, with what the sink says of a refusal: the code and words of RFC 8935, or
/// the beginning of the body. Its status decides, also where the body broke off; what has come of a
/// yes then proves nothing.
pub(super) fn answer_of(exchange: HttpExchange) -> SinkAnswer {
    let HttpExchange { status, retry_after, body, cut, .. } = exchange;
    let error = (status == 400).then(|| SetError::read(&body)).flatten();
    let kind = match &error {
        // The consumer's keys have turned, and the next token is sealed with new ones.
        Some(error) if error.asks_for_another_key() => AnswerKind::OtherKey,
        _ => kind_of(status),
    };
    let answer = SinkAnswer { status: Some(status), retry_after, ..SinkAnswer::new(kind) };
    if answer.is_yes() {
        return match cut {
            None => SinkAnswer { body: body.into(), ..answer },
            Some(cut) => SinkAnswer { detail: cut.word().into(), ..answer },
        };
    }
    let detail = match error {
        Some(SetError { code, description }) => {
            excerpt(&format!("{code}: {description}"), LONGEST_WORD)
        }
        None => excerpt(&String::from_utf8_lossy(&body), LONGEST_WORD),
    };
    SinkAnswer { detail: noted(cut, detail).into(), ..answer }
}

/// What a response means that is no yes to a challenge: its status and, if it has them, the code and
/// words of RFC 8935. Nothing else of its body is shown, because the nonce may be in it.
pub(super) fn refusal_of(exchange: &HttpExchange, challenge: &Challenge) -> ChallengeRefusal {
    let HttpExchange { status, retry_after, body, cut, .. } = exchange;
    let error = SetError::read(body);
    let words = match &error {
        Some(SetError { code, description }) => {
            let said = excerpt(&format!("{code}: {description}"), LONGEST_WORD);
            format!("status {status} instead of 200, {}", challenge.hidden_in(&said))
        }
        None => match cut {
            None => format!("status {status} instead of 200"),
            Some(cut) => format!("status {status} instead of 200, {cut}"),
        },
    };
    let asks_for_another_key =
        *status == 400 && error.as_ref().is_some_and(SetError::asks_for_another_key);
    ChallengeRefusal { words, retry_after: *retry_after, asks_for_another_key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::deliver::outcome::{Policy, Situation};
    use crate::deliver::sink::answer::AttemptFailure;
    use crate::event::Timestamp;
    use crate::seal::ReceiptFault;

    fn response(status: u16, body: &str) -> SinkAnswer {
        let body = body.as_bytes().to_vec();
        answer_of(exchange(status, body, None))
    }

    fn exchange(status: u16, body: Vec<u8>, cut: Option<BodyCut>) -> HttpExchange {
        let retry_after = Some(Duration::from_secs(7));
        HttpExchange { status, retry_after, allowed_origin: None, body, cut }
    }

    /// The word of the verdict after one attempt, without and with patience for refusals.
    fn verdicts(answer: &SinkAnswer) -> [&'static str; 2] {
        let patient = Policy::default();
        let strict = Policy { give_up_after_refusals: Some(1), ..Policy::default() };
        [patient, strict].map(|policy| {
            let now = Timestamp::from_unix_seconds(1000);
            let situation = Situation { made: 1, ages_from: now, now };
            policy.judge(answer, situation, &SeededEntropy::new(1)).word()
        })
    }

    /// What a response was taken for while status codes were judged themselves.
    const fn expected(status: u16) -> ([&'static str; 2], Health) {
        match status {
            200..=299 => (["delivered", "delivered"], Health::Well),
            410 => (["sink-gone", "sink-gone"], Health::Declined),
            400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 => {
                (["retry", "refused"], Health::Declined)
            }
            429 => (["retry", "retry"], Health::Busy),
            503 => (["retry", "retry"], Health::Overloaded),
            500..=599 => (["retry", "retry"], Health::Failed),
            _ => (["retry", "retry"], Health::Declined),
        }
    }

    #[test]
    fn every_status_has_its_verdict_its_health_and_its_words() {
        for status in 100..=599 {
            let answer = response(status, "some words");
            let is_yes = (200..=299).contains(&status);

            assert_eq!((verdicts(&answer), answer.health()), expected(status), "{status}");
            assert_eq!(answer.is_yes(), is_yes, "{status}");
            assert_eq!(answer.status, Some(status));
            let (detail, body) = if is_yes { ("", "some words") } else { ("some words", "") };
            assert_eq!((&*answer.detail, &*answer.body), (detail, body.as_bytes()), "{status}");
            assert!(!answer.is_broken(), "{status}");
        }
    }

    #[test]
    fn every_failure_has_its_verdict_its_health_and_its_word() {
        let failures = [
            (AttemptFailure::Refused, Health::Unasked, "address-not-allowed", false),
            (AttemptFailure::Connect, Health::Failed, "connect-failed", true),
            (AttemptFailure::Timeout, Health::Overloaded, "timeout", false),
            (AttemptFailure::Broken, Health::Failed, "connection-broken", true),
            (AttemptFailure::NoSink, Health::Unasked, "no-sink", false),
            (AttemptFailure::Authorization, Health::Unasked, "authorization-failed", false),
            (AttemptFailure::Seal, Health::Unasked, "cannot-be-sealed", false),
        ];
        for (failure, health, word, is_broken) in failures {
            let answer = SinkAnswer::failed(failure, "");

            assert_eq!((verdicts(&answer), answer.health()), (["retry", "retry"], health));
            assert_eq!((answer.status, answer.is_broken()), (None, is_broken), "{word}");
            assert_eq!(&*answer.detail, word);
            assert_eq!(*SinkAnswer::failed(failure, "why").detail, format!("{word}: why"));
        }
    }

    #[test]
    fn a_receiver_of_security_event_tokens_refuses_for_good_or_asks_for_another_key() {
        for (code, verdict) in [
            ("invalid_request", "refused"),
            ("invalid_key", "retry"),
            ("invalid_issuer", "refused"),
            ("invalid_audience", "refused"),
            ("authentication_failed", "refused"),
            ("access_denied", "refused"),
        ] {
            let body = format!(r#"{{"err":"{code}","description":"kid 7"}}"#);
            let answer = response(400, &body);

            assert_eq!(verdicts(&answer), ["retry", verdict], "{code}");
            assert_eq!(answer.kind == AnswerKind::OtherKey, code == "invalid_key");
            assert_eq!((answer.status, answer.health()), (Some(400), Health::Declined));
            assert_eq!(*answer.detail, format!("{code}: kid 7"));
            // With another status it is a body like any other.
            let answer = response(422, &body);
            assert_eq!((verdicts(&answer), &*answer.detail), (["retry", "refused"], &*body));
        }
    }

    #[test]
    fn a_refused_challenge_says_status_and_words_and_never_the_nonce() {
        let challenge = Challenge::new(Timestamp::EPOCH, &SeededEntropy::new(1));
        let event = challenge.to_event("", Timestamp::EPOCH);
        let nonce = event["data"]["challenge"].as_str().unwrap();
        let refusal = |status, body: &str| {
            refusal_of(&exchange(status, body.as_bytes().to_vec(), None), &challenge)
        };

        assert_eq!(refusal(503, "<html>").words, "status 503 instead of 200");
        assert_eq!(refusal(503, nonce).words, "status 503 instead of 200");
        let said = format!(r#"{{"err":"invalid_key","description":"kid\u001b[7m {nonce}"}}"#);
        let refused = refusal(400, &said);
        assert_eq!(refused.words, "status 400 instead of 200, invalid_key: kid [7m …");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
        assert!(refused.asks_for_another_key && !refusal(401, &said).asks_for_another_key);
        let long = format!(r#"{{"err":"access_denied","description":"{}"}}"#, "no ".repeat(9999));
        assert!(refusal(403, &long).words.len() < 600);
    }

    #[test]
    fn the_status_decides_however_the_body_ends_and_what_has_come_of_a_yes_proves_nothing() {
        for status in 200..=599 {
            let whole = response(status, "");
            for cut in [BodyCut::Broken, BodyCut::Stalled] {
                let body = b"some words".to_vec();
                let answer = answer_of(exchange(status, body, Some(cut)));

                let kept = (answer.kind, answer.status, answer.retry_after);
                assert_eq!(kept, (whole.kind, whole.status, whole.retry_after), "{status}");
                assert!(answer.body.is_empty(), "{status}");
                let words = if answer.is_yes() { "" } else { ": some words" };
                assert_eq!(*answer.detail, format!("{cut}{words}"), "{status}");
            }
        }
        let cut = answer_of(exchange(200, b"a.b.c".to_vec(), Some(BodyCut::Broken)));
        let without = cut.without_receipt(ReceiptFault::Missing);
        assert_eq!(*without.detail, *"no valid receipt: missing (body-cut)");
        let challenge = Challenge::new(Timestamp::EPOCH, &SeededEntropy::new(1));
        let refused = refusal_of(&exchange(503, Vec::new(), Some(BodyCut::Stalled)), &challenge);
        assert_eq!(refused.words, "status 503 instead of 200, body-stalled");
    }

    #[test]
    fn a_yes_without_its_receipt_is_a_failure_of_a_sink_that_is_well() {
        for status in 200..=299 {
            let answer = response(status, "").without_receipt(ReceiptFault::Missing);

            assert_eq!((verdicts(&answer), answer.health()), (["retry", "retry"], Health::Well));
            assert_eq!((answer.status, answer.is_yes()), (Some(status), false));
            assert_eq!(&*answer.detail, "no valid receipt: missing");
        }
    }
}
