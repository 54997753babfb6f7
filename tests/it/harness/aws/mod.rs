//! What stands in for AWS: two emulators, and a server of our own for what they lack.
//!
//! [`Emulator`] starts moto or ministack, which `make harness` installs: rules, targets, queues and
//! roles as AWS has them, roughly. [`AwsSdk`] is a producer in another language. [`AwsStub`] serves queues, buses and roles in this process: with
//! visibility clocks that really run, faults that a test scripts, and a record of every call in the
//! order in which they took effect.
//!
//! ```ignore
//! let stub = AwsStub::start().await;
//! let dead = stub.queue("arn:aws:sqs:eu-west-1:111122223333:gateway-dead");
//! let queue = stub.queue("arn:aws:sqs:eu-west-1:111122223333:gateway-in")
//!     .with_visibility(Duration::from_secs(2))
//!     .with_redrive(&dead, 3);
//! queue.send(StubMessage::new(envelope).attribute("RULE_ARN", rule));
//! stub.fail("DeleteMessageBatch", [AwsFault::entries([(3, "InternalError")])]);
//! let gateway = Process::prepare().with_aws(stub.url(), "AKIAGATEWAY").with_settings(&source);
//! let client = aws_sdk_sqs::Client::new(&stub.sdk_config("eu-west-1", "AKIATEAM"));
//! queue.wait_until_empty().await;
//! let deleted = stub.calls_of("DeleteMessageBatch");
//! ```
//!
//! The stub verifies no signature: the access key that a request names is who calls.

mod bus;
mod call;
mod emulator;
mod fault;
mod message;
mod producer;
mod queue;
mod server;
mod sqs;
mod state;
mod sts;
mod stub;

pub use bus::StubEntry;
pub use call::{AwsCall, AwsRequest};
pub use emulator::{Emulator, installed};
pub use fault::AwsFault;
pub use message::StubMessage;
pub use producer::{AwsEndpoint, AwsSdk, Put};
pub use queue::QueueCounts;
pub use stub::{AwsStub, StubBus, StubQueue, StubRole};
