//! A gateway that has settings for AWS, and nothing there, calls nobody there.

use crate::harness::Process;
use crate::harness::aws::AwsStub;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_queues_and_buses_asks_aws_for_nothing() {
    let stub = AwsStub::start().await;
    let mut gateway = Process::prepare().with_aws(stub.url(), "AKIAGATEWAY");

    gateway.serve().await;
    let ended = gateway.stop().await;

    assert!(ended.success(), "{}", gateway.log());
    assert_eq!(stub.calls().len(), 0);
}
