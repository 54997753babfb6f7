//! What to do about an error.

use crate::aws::{EXPIRED, UNKNOWN_CREDENTIALS};
use crate::cli::aws::doctor::refusal::{CallRefusal, FailedPlace};

const HAVE_EXPIRED: &str = "the credentials have expired, or the clock of this machine is wrong";
const ARE_UNKNOWN: &str =
    "AWS does not know these credentials: look at the environment and the profile";

/// Endings of codes that mean the same, and what to do; the first one that fits counts.
const BY_CODE: &[(&[&str], &str)] = &[
    (
        &["NonExistentQueue", "QueueDoesNotExist"],
        "there is no such queue, or it is not shown to this identity: `sealway aws template pull` \
         makes it",
    ),
    (
        &["ResourceNotFoundException"],
        "there is no such event bus: `sealway aws template receive` makes it",
    ),
    (EXPIRED, HAVE_EXPIRED),
    (&["RequestExpired"], HAVE_EXPIRED),
    (UNKNOWN_CREDENTIALS, ARE_UNKNOWN),
    (
        &[
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "AuthFailure",
            "InvalidAccessKeyId",
        ],
        ARE_UNKNOWN,
    ),
    (
        &["Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequestsException"],
        "AWS asks for fewer calls: try again",
    ),
    (
        &["KMS.AccessDeniedException", "KmsAccessDenied"],
        "allow this identity `kms:Decrypt` with the queue's key",
    ),
];

/// What to do about the refusal of a call; nothing where AWS's own words must do.
pub fn advice(call: &str, refusal: &CallRefusal) -> Option<&'static str> {
    match refusal.place {
        Some(FailedPlace::Credentials) => Some(
            "there are no credentials: give this process some, as docs/aws/README.md lists them, and \
             set AWS_EC2_METADATA_DISABLED=true outside of AWS",
        ),
        Some(FailedPlace::Guard) => Some("docs/egress.md says which addresses are dialed"),
        Some(FailedPlace::Network) => {
            Some("look at the network, at `aws.endpoint-url`, and at endpoints of the VPC")
        }
        None => by_code(call, refusal.code.as_deref()?),
    }
}

fn by_code(call: &str, code: &str) -> Option<&'static str> {
    let is_named = |(codes, _): &&(&[&str], _)| codes.iter().any(|end| code.ends_with(end));
    if let Some((_, advice)) = BY_CODE.iter().find(is_named) {
        return Some(advice);
    }
    code.starts_with("AccessDenied").then_some(match call {
        "sts:AssumeRole" => {
            "the role's trust policy must name this identity and the external id, and this identity \
             needs `sts:AssumeRole` on the role"
        }
        "events:DescribeEventBus" => {
            "nothing but this look needs it: allow `events:DescribeEventBus`, or see with `--put` \
             whether events can be put"
        }
        "events:PutEvents" => {
            "allow `events:PutEvents` with the source `sealway`: in the role's policy, or without a \
             role in the bus's policy and in that of this identity"
        }
        _ => {
            "allow this call in the policy of this identity and, for a queue of another account, in \
             the queue's policy, too"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(call: &str, code: &str) -> Option<&'static str> {
        let refusal = CallRefusal { code: Some(code.into()), message: String::new(), place: None };
        advice(call, &refusal)
    }

    #[test]
    fn the_same_refusal_has_another_reason_in_another_call() {
        assert!(said("sts:AssumeRole", "AccessDenied").unwrap().contains("trust policy"));
        assert!(said("sqs:GetQueueUrl", "AccessDeniedException").unwrap().contains("queue's"));
        let missing = "AWS.SimpleQueueService.NonExistentQueue";
        assert!(said("sqs:GetQueueUrl", missing).unwrap().contains("template pull"));
        assert_eq!(said("sqs:GetQueueUrl", "SomethingNew"), None);
    }
}
