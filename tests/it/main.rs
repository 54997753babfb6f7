//! Promises to users, one file each, and the rules of the house; one binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

mod an_aws_sdk_is_a_producer;
mod architecture;
