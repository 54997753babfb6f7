//! Names of things at AWS (Amazon Resource Names), of the kinds that the gateway deals with.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name: longer than any that AWS gives to a thing of these kinds.
const LONGEST: usize = 512;

/// Why a text is no name of the kind that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the ARN of {thing}: write `{form}`")]
pub struct ArnError {
    thing: &'static str,
    form: &'static str,
}

/// A kind of thing, as its names say it.
struct Kind {
    thing: &'static str,
    form: &'static str,
    service: &'static str,
    /// What stands before the name of the thing.
    prefix: &'static str,
    /// Roles are in no region, everything else is in one.
    is_regional: bool,
    is_name: fn(&str) -> bool,
}

/// `arn:partition:service:region:account:resource`, checked for one kind of thing.
///
/// Every part has so few characters that it can stand in a host name or a path as it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Arn {
    text: Box<str>,
    region: (usize, usize),
    account: (usize, usize),
    name: usize,
}

impl Arn {
    fn read(text: &str, kind: &Kind) -> Result<Self, ArnError> {
        Self::parts(text, kind).ok_or(ArnError { thing: kind.thing, form: kind.form })
    }

    fn parts(text: &str, kind: &Kind) -> Option<Self> {
        let mut parts = (text.len() <= LONGEST).then(|| text.splitn(6, ':'))?;
        let is_arn = parts.next() == Some("arn");
        let partition = parts.next()?;
        let is_service = parts.next() == Some(kind.service);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let name = resource.strip_prefix(kind.prefix)?;
        let is_right = is_arn
            && is_service
            && partition.starts_with("aws")
            && is_label(partition)
            && if kind.is_regional { is_label(region) } else { region.is_empty() }
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && (kind.is_name)(name);
        let region_at = "arn:".len() + partition.len() + 1 + kind.service.len() + 1;
        let account_at = region_at + region.len() + 1;
        is_right.then(|| Self {
            text: text.into(),
            region: (region_at, region_at + region.len()),
            account: (account_at, account_at + account.len()),
            name: text.len() - name.len(),
        })
    }

    fn between(&self, (from, to): (usize, usize)) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }
}

/// Lower-case letters, digits and hyphens, as partitions and regions have them.
fn is_label(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_bus_name(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
}

fn is_queue_name(name: &str) -> bool {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    (1..=80).contains(&name.len())
        && !stem.is_empty()
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_role_name(name: &str) -> bool {
    let allowed = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'+' | b'=' | b',' | b'.' | b'@' | b'-' | b'_' | b'/')
    };
    !name.is_empty() && name.bytes().all(allowed) && !name.ends_with('/')
}

/// Makes a type for the names of one kind of thing.
macro_rules! arn_kind {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Deserialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arn);

        impl $name {
            const KIND: Kind = $kind;

            /// The whole name.
            pub fn as_str(&self) -> &str {
                &self.0.text
            }

            /// The region that it is in; empty for what is in none.
            pub fn region(&self) -> &str {
                self.0.between(self.0.region)
            }

            /// The account that it is in: twelve digits.
            pub fn account(&self) -> &str {
                self.0.between(self.0.account)
            }

            /// Its name within its account and region.
            pub fn name(&self) -> &str {
                self.0.text.get(self.0.name..).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = ArnError;

            fn from_str(text: &str) -> Result<Self, ArnError> {
                Arn::read(text, &Self::KIND).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ArnError;

            fn try_from(text: String) -> Result<Self, ArnError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(arn: $name) -> Self {
                arn.0.text.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

arn_kind! {
    /// The name of an EventBridge event bus, of the classic kind.
    EventBusArn,
    Kind {
        thing: "an event bus",
        form: "arn:aws:events:REGION:ACCOUNT:event-bus/NAME",
        service: "events",
        prefix: "event-bus/",
        is_regional: true,
        is_name: is_bus_name,
    }
}

arn_kind! {
    /// The name of an SQS queue.
    QueueArn,
    Kind {
        thing: "a queue",
        form: "arn:aws:sqs:REGION:ACCOUNT:NAME",
        service: "sqs",
        prefix: "",
        is_regional: true,
        is_name: is_queue_name,
    }
}

impl QueueArn {
    /// Whether the queue keeps an order, which its name tells.
    pub fn is_fifo(&self) -> bool {
        self.name().strip_suffix(".fifo").is_some()
    }
}

arn_kind! {
    /// The name of an IAM role.
    RoleArn,
    Kind {
        thing: "a role",
        form: "arn:aws:iam::ACCOUNT:role/NAME",
        service: "iam",
        prefix: "role/",
        is_regional: false,
        is_name: is_role_name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_gives_its_parts() {
        let bus: EventBusArn =
            "arn:aws-cn:events:cn-north-1:123456789012:event-bus/partner.eu".parse().unwrap();
        assert_eq!((bus.region(), bus.account()), ("cn-north-1", "123456789012"));
        assert_eq!(bus.name(), "partner.eu");
        let queue: QueueArn = "arn:aws:sqs:eu-west-1:123456789012:in.fifo".parse().unwrap();
        assert_eq!((queue.region(), queue.name()), ("eu-west-1", "in.fifo"));
        let role: RoleArn = "arn:aws:iam::123456789012:role/path/to/deliver".parse().unwrap();
        assert_eq!((role.region(), role.name()), ("", "path/to/deliver"));
        assert_eq!(role.to_string(), "arn:aws:iam::123456789012:role/path/to/deliver");
    }

    #[test]
    fn other_things_are_refused_with_the_form_that_is_right() {
        for text in [
            "",
            "partner",
            "arn:aws:events:eu-west-1:123456789012:rule/partner",
            "arn:aws:events:eu-west-1:12345:event-bus/partner",
            "arn:aws:events::123456789012:event-bus/partner",
            "arn:aws:events:evil.example.com#:123456789012:event-bus/partner",
            "arn:aws:events:eu-west-1:123456789012:event-bus/",
            "arn:aws:events:eu-west-1:123456789012:event-bus/a b",
            "arn:aws:events:eu-west-1:123456789012:event-busv2/partner/x",
            "arn:aws:sqs:eu-west-1:123456789012:queue",
        ] {
            let error = text.parse::<EventBusArn>().unwrap_err().to_string();
            assert!(error.contains("event-bus/NAME"), "{text}: {error}");
        }
        assert!("arn:aws:sqs:eu-west-1:123456789012:.fifo".parse::<QueueArn>().is_err());
        assert!("arn:aws:iam:eu-west-1:123456789012:role/x".parse::<RoleArn>().is_err());
        assert!("arn:aws:iam::123456789012:user/x".parse::<RoleArn>().is_err());
    }

    proptest! {
        #[test]
        fn a_name_is_kept_as_it_was_written(text in "(arn:aws:(sqs|events|iam):)?[ -~]{0,60}") {
            if let Ok(arn) = text.parse::<QueueArn>() {
                prop_assert_eq!(arn.to_string(), text.clone());
                prop_assert!(text.ends_with(arn.name()));
            }
            let _ = text.parse::<EventBusArn>().map(|arn| arn.name().len());
            let _ = text.parse::<RoleArn>().map(|arn| arn.account().len());
        }
    }
}
