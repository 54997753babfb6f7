//! `sealway aws doctor` says of each call what AWS answered, and changes nothing unasked.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::aws::{AwsFault, AwsStub, StubMessage, StubQueue};
use crate::harness::{TestGateway, program};

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in-dead";
const BUS: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";
const ROLE: &str = "arn:aws:iam::444455556666:role/sealway-deliver";
const GATEWAY: &str = "arn:aws:iam::111122223333:user/AKIAGATEWAY";

/// AWS with a queue, a bus and a role; a gateway that makes external ids; and the file that names them.
struct AwsBesideGateway {
    stub: AwsStub,
    gateway: TestGateway,
    key: String,
    queue: StubQueue,
    directory: TempDir,
}

/// What doctor found, and how it ended.
struct Found {
    code: i32,
    findings: Vec<Value>,
}

impl Found {
    /// The finding about a call; there is one.
    #[track_caller]
    fn of(&self, call: &str, about: &str) -> &Value {
        let is_it = |one: &&Value| one["call"] == call && one["about"] == about;
        let all: Vec<&Value> = self.findings.iter().filter(is_it).collect();
        assert_eq!(all.len(), 1, "{call} {about}: {:#?}", self.findings);
        all[0]
    }

    #[track_caller]
    fn assert(&self, (call, about): (&str, &str), outcome: &str, advice: &str) {
        let found = self.of(call, about);
        assert_eq!(found["outcome"], outcome, "{found}");
        let said = found["advice"].as_str().unwrap_or_default();
        assert!(said.contains(advice), "{found}");
    }
}

impl AwsBesideGateway {
    async fn open() -> Self {
        let (stub, gateway) = (AwsStub::start().await, TestGateway::start().await);
        let queue = stub.queue(QUEUE);
        stub.queue(DEAD);
        stub.bus(BUS);
        let key = gateway.add_caller("operator", &["operate"]).await;
        let id = gateway.get("/external-ids/ledger").await;
        stub.role(ROLE).trusting(GATEWAY).with_external_id(id["externalId"].as_str().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "aws: {{ endpoint-url: \"{}\" }}\nsource:\n  queues:\n    - arn: {QUEUE}\n      \
             dead-letter-queues: [{DEAD}]\ndelivery:\n  event-buses:\n    - consumer: ledger\n      \
             bus: {BUS}\n      role: {ROLE}\n",
            stub.url()
        );
        fs::write(directory.path().join("gateway.yaml"), text).unwrap();
        Self { stub, gateway, key, queue, directory }
    }

    fn command(&self, options: &[&str]) -> std::process::Command {
        let mut command = program();
        command
            .arg("--config")
            .arg(self.directory.path().join("gateway.yaml"))
            .args(["aws", "doctor"])
            .args(options)
            .env("SEALWAY_GATEWAY", self.gateway.issuer())
            .env("SEALWAY_CALLER_KEY", &self.key)
            .env("AWS_ACCESS_KEY_ID", "AKIAGATEWAY")
            .env("AWS_SECRET_ACCESS_KEY", "a secret that nobody is shown")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it beside the stub, which answers in this process.
    async fn ask(&self, options: &[&str]) -> Found {
        let mut command = self.command(options);
        command.args(["--output", "json"]);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        let remarks = String::from_utf8(ended.stderr).unwrap();
        assert!(!said.contains("nobody is shown") && !remarks.contains("nobody is shown"));
        let findings = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{remarks}"));
        Found { code: ended.status.code().unwrap(), findings }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_told_with_who_called_and_nothing_is_changed() {
    let aws = AwsBesideGateway::open().await;
    aws.queue.send(StubMessage::new("{}"));

    let found = aws.ask(&[]).await;

    assert_eq!(found.code, 0, "{:#?}", found.findings);
    let identity = found.of("sts:GetCallerIdentity", "");
    assert_eq!((&identity["answer"], &identity["region"]), (&GATEWAY.into(), &"eu-west-1".into()));
    let asked = found.of("sqs:GetQueueAttributes", QUEUE);
    assert!(asked["answer"].as_str().unwrap().starts_with("1 waiting, 0 in flight"), "{asked}");
    assert_eq!(asked["identity"], GATEWAY);
    found.assert(("sqs:GetQueueAttributes", QUEUE), "warning", "no redrive policy");
    let taken = found.of("sts:AssumeRole", ROLE);
    assert!(taken["answer"].as_str().unwrap().ends_with("with an external id"), "{taken}");
    let bus = found.of("events:DescribeEventBus", BUS);
    assert_eq!((&bus["outcome"], &bus["identity"]), (&"good".into(), &ROLE.into()));
    let calls = aws.stub.calls();
    let reads = [
        "GetCallerIdentity",
        "GetQueueUrl",
        "GetQueueAttributes",
        "AssumeRole",
        "DescribeEventBus",
    ];
    for call in calls {
        assert!(reads.contains(&call.asked.operation.as_str()), "{}", call.asked.operation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_on_demand_is_harmless() {
    let aws = AwsBesideGateway::open().await;
    aws.queue.send(StubMessage::new(r#"{"a":1}"#));

    let found = aws.ask(&["--receive", "--put"]).await;

    assert_eq!(found.code, 0, "{:#?}", found.findings);
    let received = found.of("sqs:ReceiveMessage", QUEUE);
    assert_eq!(received["answer"], "a message of 7 bytes");
    let receives = aws.stub.calls_of("ReceiveMessage");
    assert_eq!(receives[0].asked.body["WaitTimeSeconds"], 0, "the queue's own wait does not count");
    assert_eq!(aws.queue.counts().visible, 1, "it is visible again at once");
    let entries = aws.stub.bus(BUS).entries();
    assert_eq!(entries.len(), 1);
    assert_eq!((&*entries[0].source, &*entries[0].detail_type), ("sealway", "Sealway Doctor"));
    assert_eq!(entries[0].principal, ROLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_is_told_with_its_code_and_what_to_do() {
    let aws = AwsBesideGateway::open().await;
    aws.stub.role(ROLE).with_external_id("of another");
    aws.stub.fail("GetQueueUrl", [AwsFault::throttled(), AwsFault::access_denied()]);

    let found = aws.ask(&[]).await;

    assert_eq!(found.code, 1);
    let throttled = found.of("sqs:GetQueueUrl", QUEUE);
    assert_eq!(throttled["code"], "ThrottlingException");
    assert_eq!(throttled["answer"], "Rate exceeded");
    found.assert(("sqs:GetQueueUrl", QUEUE), "bad", "try again");
    found.assert(("sqs:GetQueueUrl", DEAD), "bad", "policy of this identity");
    found.assert(("sts:AssumeRole", ROLE), "bad", "trust policy");
    found.assert(("events:DescribeEventBus", BUS), "not-made", "mend the role first");
    let calls = aws.stub.calls_of("GetQueueUrl");
    assert_eq!(calls.len(), 2, "nothing is asked twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_only_doctor_needs_may_be_missing() {
    let aws = AwsBesideGateway::open().await;
    aws.stub.fail("DescribeEventBus", [AwsFault::access_denied()]);

    let found = aws.ask(&["--put"]).await;

    found.assert(("events:DescribeEventBus", BUS), "bad", "nothing but this look needs it");
    found.assert(("events:PutEvents", BUS), "good", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_a_network_or_a_gateway_it_says_which_is_missing() {
    let aws = AwsBesideGateway::open().await;
    let run = |mut command: std::process::Command| {
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stdout).unwrap()
    };
    let (mut alone, mut nobody) = (aws.command(&[]), aws.command(&[]));
    alone.env("SEALWAY_GATEWAY", "http://127.0.0.1:9");
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    nobody.env("HOME", aws.directory.path());
    let (alone, nobody) =
        tokio::task::spawn_blocking(move || (run(alone), run(nobody))).await.unwrap();

    assert!(alone.contains("not called: the external id of ledger is not known"), "{alone}");
    assert!(alone.contains("cannot reach the gateway"), "{alone}");
    assert!(nobody.contains("✗ sts:GetCallerIdentity"), "{nobody}");
    assert!(nobody.contains("\n    no credentials found in chain"), "{nobody}");
    // Once, and not for each call that cannot be made either.
    assert_eq!(nobody.matches("→ there are no credentials").count(), 1, "{nobody}");
    let is_indented = |line: &str| line.starts_with('✗') || line.starts_with("    ");
    assert!(nobody.lines().all(is_indented), "{nobody}");

    let file = aws.directory.path().join("gateway.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(aws.stub.url(), "http://127.0.0.1:9")).unwrap();
    let lost = aws.command(&[]);
    let lost = tokio::task::spawn_blocking(move || run(lost)).await.unwrap();
    assert!(lost.contains("→ look at the network, at `aws.endpoint-url`"), "{lost}");
}
