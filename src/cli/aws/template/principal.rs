//! Who the gateway is at AWS.

use std::str::FromStr;

use serde::Serialize;

/// The longest name of a user or a role, with its path.
const LONGEST: usize = 2048;

/// The ARN of the role or the user that the gateway runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayPrincipal(String);

/// A text that names neither a role nor a user.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is not the ARN of a role or user: write `arn:aws:iam::ACCOUNT:role/NAME`, also where \
     `GetCallerIdentity` shows `assumed-role/NAME/SESSION`"
)]
pub struct PrincipalError;

impl FromStr for GatewayPrincipal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let mut parts = text.splitn(6, ':');
        let mut is = |test: fn(&str) -> bool| parts.next().is_some_and(test);
        let is_principal = is(|arn| arn == "arn")
            && is(|partition| partition.starts_with("aws"))
            && is(|service| service == "iam")
            && is(str::is_empty)
            && is(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
            && is(|name| {
                let name = name.strip_prefix("role/").or_else(|| name.strip_prefix("user/"));
                name.is_some_and(|name| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
                })
            });
        let is_short = text.len() <= LONGEST;
        (is_principal && is_short).then(|| Self(text.to_owned())).ok_or(PrincipalError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_or_a_user_can_be_trusted_and_nothing_wider() {
        let reads = |text: &str| text.parse::<GatewayPrincipal>().is_ok();

        assert!(reads("arn:aws:iam::111122223333:role/teams/sealway"));
        assert!(reads("arn:aws-cn:iam::111122223333:user/sealway"));
        for text in [
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:sts::111122223333:assumed-role/sealway/session",
        ] {
            assert!(!reads(text), "{text}");
        }
    }
}
