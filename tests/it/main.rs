//! Promises to users, one file each, and the rules of the house; one binary, so that it links once.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

mod an_aws_sdk_is_a_producer;
mod architecture;
mod consumer_in_rust;
mod mistakes_are_found_offline;
mod only_the_consumer_can_read;
mod other_ecosystems;
mod the_consumers_guide;
mod the_settings_are_described;
