//! A role that the gateway takes to reach what is another account's.

use std::fmt;

use crate::event::RoleArn;

/// A role, and what its owner wants to hear from whom takes it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AwsRole {
    /// Its name.
    pub arn: RoleArn,
    /// The external id that its trust policy asks for, if it does.
    pub external_id: Option<String>,
}

/// Shows its name only.
impl fmt::Debug for AwsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsRole({})", self.arn)
    }
}
