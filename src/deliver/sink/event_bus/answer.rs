//! What AWS's error codes mean for the event that was put on a bus: the one table of them.

use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::PutEventsResultEntry;

use crate::aws::{AwsFailure, AwsRefusal};
use crate::deliver::sink::excerpt::excerpt;
use crate::deliver::sink::{AnswerKind, AttemptFailure, Health, SinkAnswer};
use crate::egress::NetworkFailure;
use crate::event::RoleArn;

/// The longest word of AWS that is shown: longer than a name of anything there.
const LONGEST_WORD: usize = 256;
/// How a request is refused as too large, whose status may be 400 or 413.
const OVER_THE_LIMIT: &str = "over the limit";

/// What a code means, of an entry or of a whole call.
fn kind_of(code: &str, message: &str, status: Option<u16>) -> AnswerKind {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => AnswerKind::Later(Health::Busy),
        "InternalFailure"
        | "InternalException"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => AnswerKind::Later(Health::Overloaded),
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorizedForSourceException"
        | "NotAuthorizedForDetailTypeException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "OptInRequired" => AnswerKind::Unauthorised,
        "ValidationException" | "ValidationError" if message.contains(OVER_THE_LIMIT) => {
            AnswerKind::TooLarge
        }
        "ResourceNotFoundException"
        | "InvalidAccountIdException"
        | "InvalidArgument"
        | "MalformedDetail"
        | "RedactionFailure"
        | "OperationDisabledException"
        | "ValidationException"
        | "ValidationError" => AnswerKind::Refused,
        "RequestEntityTooLarge" => AnswerKind::TooLarge,
        // Credentials that have ended, also after others were asked for: time heals that.
        _ => match status {
            Some(413) => AnswerKind::TooLarge,
            Some(429) => AnswerKind::Later(Health::Busy),
            Some(503) => AnswerKind::Later(Health::Overloaded),
            Some(500..=599) => AnswerKind::Later(Health::Failed),
            _ => AnswerKind::Later(Health::Declined),
        },
    }
}

/// Whether a call was refused for what one of its entries is, so that others may be taken alone. What
/// is wrong with the bus or its account is wrong for all.
pub(super) fn blames_an_entry(failure: &AwsFailure) -> bool {
    let AwsFailure::Refused(AwsRefusal { status, code, .. }) = failure else { return false };
    let of_entries = [
        "ValidationException",
        "ValidationError",
        "InvalidArgument",
        "MalformedDetail",
        "RequestEntityTooLarge",
    ];
    of_entries.contains(&code.as_str()) || *status == 413
}

/// The answers to the entries of a call that was answered, in order.
pub(super) fn answers_of(output: &PutEventsOutput, count: usize) -> Vec<SinkAnswer> {
    let missing = || SinkAnswer::failed(AttemptFailure::Broken, "AWS answered for fewer entries");
    let each = output.entries().iter().map(of_entry).chain(std::iter::repeat_with(missing));
    each.take(count).collect()
}

/// An entry that failed has no status: that of the call is a yes.
fn of_entry(entry: &PutEventsResultEntry) -> SinkAnswer {
    let code = entry.error_code().unwrap_or_default();
    if code.is_empty() {
        return match entry.event_id() {
            Some(_) => SinkAnswer { status: Some(200), ..SinkAnswer::new(AnswerKind::Delivered) },
            None => SinkAnswer::failed(AttemptFailure::Broken, "AWS answered without an event id"),
        };
    }
    answer(code, entry.error_message().unwrap_or_default(), None)
}

/// What a call means that failed, for each of its entries.
pub(super) fn of_failure(failure: &AwsFailure, role: Option<&RoleArn>) -> SinkAnswer {
    match failure {
        // The names of AWS's endpoints lead where the gateway's own resolver says.
        AwsFailure::Guard(refused) if refused.is_of_the_place() => {
            SinkAnswer::unconnected(AttemptFailure::Connect, Some(NetworkFailure::NameResolution))
        }
        AwsFailure::Guard(refused) => SinkAnswer::not_dialed(*refused),
        AwsFailure::Role(reason) => of_role(reason, role),
        AwsFailure::NoCredentials(_) => {
            let problem = "the gateway has no credentials for AWS";
            SinkAnswer::failed(AttemptFailure::Authorization, problem)
        }
        AwsFailure::Refused(AwsRefusal { status, code, message }) => {
            answer(code, message, Some(*status))
        }
        AwsFailure::Timeout => SinkAnswer::failed(AttemptFailure::Timeout, ""),
        AwsFailure::Unreachable(reason, _) => {
            SinkAnswer::unconnected(AttemptFailure::Connect, *reason)
        }
        AwsFailure::Broken(_) => SinkAnswer::unconnected(AttemptFailure::Broken, None),
    }
}

/// What it means that a role is not given, for this reason: STS is a part of the way to the sink, so
/// its trouble slows the sink down, and its refusal is one of the sink's account.
fn of_role(reason: &AwsFailure, role: Option<&RoleArn>) -> SinkAnswer {
    let AwsFailure::Refused(AwsRefusal { status, code, message }) = reason else {
        let answer = of_failure(reason, None);
        let detail = format!("{}, when a role was asked for", answer.detail).into();
        return SinkAnswer { detail, ..answer };
    };
    let role = role.map(RoleArn::as_str).unwrap_or_default();
    let kind = kind_of(code, message, Some(*status));
    let reason = match kind {
        AnswerKind::Unauthorised if code == "AccessDenied" => {
            "its trust policy has to allow sts:AssumeRole to the gateway's own identity, with this \
             consumer's external id"
        }
        _ if code.is_empty() => "STS gives no reason",
        _ => code,
    };
    let detail = format!("the role {role} is not given to the gateway: {reason}").into();
    // The status is not the sink's.
    SinkAnswer { detail, ..SinkAnswer::new(kind) }
}

fn answer(code: &str, message: &str, status: Option<u16>) -> SinkAnswer {
    let kind = kind_of(code, message, status);
    let detail = match code {
        // It repeats what was sent.
        "ValidationException" | "ValidationError" if !message.contains(OVER_THE_LIMIT) => {
            code.to_owned()
        }
        _ => excerpt(&format!("{code}: {message}"), LONGEST_WORD),
    };
    SinkAnswer { status, detail: detail.into(), ..SinkAnswer::new(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::deliver::outcome::{Policy, Situation};
    use crate::event::Timestamp;

    /// The word of the verdict after one attempt, with patience for one refusal.
    fn verdict(answer: &SinkAnswer) -> &'static str {
        let policy = Policy { give_up_after_refusals: Some(1), ..Policy::default() };
        let now = Timestamp::from_unix_seconds(1000);
        let situation = Situation { made: 1, ages_from: now, now };
        policy.judge(answer, situation, &SeededEntropy::new(1)).word()
    }

    #[test]
    fn every_code_has_its_verdict_and_its_health() {
        for (code, status, expected, health) in [
            ("ThrottlingException", 400, "retry", Health::Busy),
            ("InternalFailure", 500, "retry", Health::Overloaded),
            ("InternalException", 500, "retry", Health::Overloaded),
            ("ServiceUnavailable", 503, "retry", Health::Overloaded),
            ("AccessDeniedException", 400, "refused", Health::Declined),
            ("NotAuthorizedForSourceException", 400, "refused", Health::Declined),
            ("NotAuthorizedForDetailTypeException", 400, "refused", Health::Declined),
            ("ResourceNotFoundException", 400, "refused", Health::Declined),
            ("InvalidAccountIdException", 400, "refused", Health::Declined),
            ("MalformedDetail", 400, "refused", Health::Declined),
            ("UnrecognizedClientException", 403, "refused", Health::Declined),
            ("ValidationException", 400, "refused", Health::Declined),
            ("RequestEntityTooLarge", 413, "refused", Health::Declined),
            ("ExpiredTokenException", 400, "retry", Health::Declined),
            ("Unheard", 400, "retry", Health::Declined),
            ("Unheard", 413, "refused", Health::Declined),
            ("Unheard", 429, "retry", Health::Busy),
            ("", 502, "retry", Health::Failed),
            ("", 503, "retry", Health::Overloaded),
        ] {
            let answer = answer(code, "some words", Some(status));

            assert_eq!((verdict(&answer), answer.health()), (expected, health), "{code} {status}");
            assert!(answer.detail.starts_with(code), "{}", answer.detail);
            assert_eq!(answer.status, Some(status));
        }
    }

    #[test]
    fn only_what_an_entry_can_be_wrong_in_is_blamed_on_one() {
        let blames = |status, code: &str| {
            let (code, message) = (code.to_owned(), String::new());
            blames_an_entry(&AwsFailure::Refused(AwsRefusal { status, code, message }))
        };

        for code in ["ValidationException", "MalformedDetail", "InvalidArgument"] {
            assert!(blames(400, code), "{code}");
        }
        assert!(blames(413, "") && blames(413, "RequestEntityTooLarge"));
        for code in [
            "ResourceNotFoundException",
            "InvalidAccountIdException",
            "OperationDisabledException",
            "AccessDeniedException",
            "ThrottlingException",
        ] {
            assert!(!blames(400, code), "{code}");
        }
        assert!(!blames_an_entry(&AwsFailure::Timeout));
    }

    #[test]
    fn trouble_with_a_role_is_trouble_of_the_sink() {
        let role = "arn:aws:iam::444455556666:role/deliver".parse().unwrap();
        let refused = |status, code: &str| {
            let (code, message) = (code.to_owned(), "some words".to_owned());
            AwsFailure::Refused(AwsRefusal { status, code, message })
        };
        let unreachable =
            AwsFailure::Unreachable(Some(NetworkFailure::Refused), "10.0.0.3".to_owned());
        for (reason, expected, health, words) in [
            (refused(403, "AccessDenied"), "refused", Health::Declined, "its trust policy"),
            (refused(400, "Throttling"), "retry", Health::Busy, "Throttling"),
            (refused(503, "ServiceUnavailable"), "retry", Health::Overloaded, "Unavailable"),
            (refused(502, ""), "retry", Health::Failed, "no reason"),
            (refused(403, "ExpiredToken"), "retry", Health::Declined, "ExpiredToken"),
            (unreachable, "retry", Health::Failed, "connect-failed: refused, when"),
            (AwsFailure::Timeout, "retry", Health::Overloaded, "timeout, when a role"),
            (AwsFailure::NoCredentials(String::new()), "retry", Health::Unasked, "no credentials"),
        ] {
            let answer = of_failure(&AwsFailure::Role(Box::new(reason)), Some(&role));

            assert_eq!((verdict(&answer), answer.health()), (expected, health), "{answer:?}");
            assert!(answer.detail.contains(words), "{}", answer.detail);
            assert_eq!(answer.status, None);
        }
    }

    #[test]
    fn what_repeats_the_request_is_not_shown() {
        let token = "t".repeat(300);
        let echoed = answer("ValidationException", &format!("Value '[{token}]' at"), Some(400));
        assert_eq!(&*echoed.detail, "ValidationException");
        let words = format!("User: arn:aws:iam::111122223333:user/x is not {token} authorized");
        let denied = answer("AccessDeniedException", &words, None);
        assert!(denied.detail.ends_with("user/x is not authorized"), "{}", denied.detail);
        let size = "Total size of the entries in the request is over the limit.";
        let large = answer("ValidationException", size, Some(400));
        assert_eq!(
            (large.kind, &*large.detail),
            (AnswerKind::TooLarge, &*format!("ValidationException: {size}"))
        );
    }

    #[test]
    fn each_entry_has_its_answer_and_none_has_a_failure() {
        let yes = PutEventsResultEntry::builder().event_id("1").build();
        let no = PutEventsResultEntry::builder().error_code("InternalFailure");
        let output = PutEventsOutput::builder()
            .entries(yes)
            .entries(no.error_message("later").build())
            .entries(PutEventsResultEntry::builder().build())
            .build();

        let answers = answers_of(&output, 4);

        let shown: Vec<_> = answers.iter().map(|one| (one.status, &*one.detail)).collect();
        let broken = "connection-broken: AWS answered";
        assert_eq!(shown[..2], [(Some(200), ""), (None, "InternalFailure: later")]);
        assert_eq!(shown[2].1, format!("{broken} without an event id"));
        assert_eq!(shown[3].1, format!("{broken} for fewer entries"));
    }
}
