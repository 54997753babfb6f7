//! What a team or a consumer deploys at AWS is printed by `sealway aws template`, and works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::aws::{Emulator, installed};
use crate::harness::{TestGateway, eventually, program};

/// moto serves every account by this number, unless a role of another one is taken.
const ACCOUNT: &str = "123456789012";
const GATEWAY: &str = "arn:aws:iam::222233334444:role/sealway";

/// A gateway file with all that templates are made from.
struct Settings {
    directory: TempDir,
}

impl Settings {
    fn write() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let queue = |name: &str, more: &str| {
            format!("    - {{ arn: \"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}\"{more} }}\n")
        };
        let bus = |account: &str, name: &str| {
            format!("arn:aws:events:eu-west-1:{account}:event-bus/{name}")
        };
        let demo = bus(ACCOUNT, "eda-demo");
        let queues = [
            queue(
                "gateway-in",
                &format!(", buses: [\"{demo}\"], sources: [order-service, \"payment-*\"]"),
            ),
            queue(
                "other.fifo",
                &format!(
                    ", buses: [\"{demo}\", \"{}\", \"{}\"], role: \"arn:aws:iam::{ACCOUNT}:role/a/in\", \
                     dead-letter-queues: [\"arn:aws:sqs:eu-west-1:{ACCOUNT}:dead\"], sources: [\"*\"]",
                    bus(ACCOUNT, "default"),
                    bus("999922223333", "far"),
                ),
            ),
            queue("of-no-bus", ""),
            queue("far-away", &format!(", buses: [\"{}\"]", bus("999922223333", "far"))),
        ]
        .concat();
        let consumer = |name: &str, bus: &str, role: &str| {
            format!("    - {{ consumer: {name}, bus: \"{bus}\"{role} }}\n")
        };
        let buses = [
            consumer(
                "ledger",
                &bus(ACCOUNT, "partner"),
                &format!(", role: \"arn:aws:iam::{ACCOUNT}:role/sealway-deliver\""),
            ),
            consumer("open", &bus("444455556666", "open"), ""),
            consumer("plain", &bus("444455556666", "default"), ""),
        ]
        .concat();
        let text = format!(
            "issuer: https://events.example.com\npublications: {}\nsource:\n  queues:\n{queues}\
             delivery:\n  event-buses:\n{buses}",
            root.join("config/publications").display()
        );
        fs::write(directory.path().join("gateway.yaml"), text).unwrap();
        Self { directory }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let file = self.directory.path().join("gateway.yaml");
        let mut command = program();
        command.arg("--config").arg(file).args(["aws", "template"]).args(arguments);
        // Nobody listens there: external ids are parameters.
        command.env("SEALWAY_GATEWAY", "http://127.0.0.1:9").env_remove("SEALWAY_CALLER_KEY");
        command
    }

    fn print(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Prints a template into a file.
    fn template(&self, arguments: &[&str]) -> PathBuf {
        let printed = self.print(arguments);
        let remarks = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{arguments:?}: {remarks}");
        let name = arguments.join("_").replace([':', '/'], "-");
        let file = self.directory.path().join(format!("{name}.yaml"));
        fs::write(&file, printed.stdout).unwrap();
        file
    }
}

fn queue(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}")
}

#[test]
fn cfn_lint_finds_nothing_in_any_form() {
    let settings = Settings::write();
    let queues = ["gateway-in", "other.fifo", "of-no-bus"].map(queue);
    let mut files = vec![];
    for queue in &queues {
        files.push(settings.template(&["pull", "--queue", queue]));
        files.push(settings.template(&["pull", "--queue", queue, "--gateway-principal", GATEWAY]));
    }
    for kind in ["api-key", "basic", "oauth"] {
        let push = ["push", "--connection", kind, "--bus", "eda-demo"];
        files.push(settings.template(&push));
        files.push(settings.template(&[&push[..], &["--gateway-principal", GATEWAY]].concat()));
    }
    for consumer in ["ledger", "open", "plain"] {
        files.push(settings.template(&["receive", "--consumer", consumer]));
        files.push(settings.template(&[
            "receive",
            "--consumer",
            consumer,
            "--gateway-principal",
            GATEWAY,
        ]));
    }

    let bin = installed().join("moto/bin");
    let linted = Command::new(bin.join("python"))
        .arg(bin.join("cfn-lint"))
        .args(["--include-checks", "I", "--"])
        .args(&files)
        .output()
        .unwrap();

    let found = String::from_utf8_lossy(&linted.stdout);
    assert!(linted.status.success() && found.is_empty(), "{found}");
}

#[test]
fn what_the_file_does_not_say_is_asked_for_by_name() {
    let settings = Settings::write();
    let words = |arguments: &[&str]| {
        let printed = settings.print(arguments);
        assert_eq!(printed.status.code(), Some(2));
        String::from_utf8(printed.stderr).unwrap()
    };

    let pull = words(&["pull"]);
    assert!(
        pull.contains("say which with --queue") && pull.contains(&queue("of-no-bus")),
        "{pull}"
    );
    let elsewhere = words(&["pull", "--queue", &queue("elsewhere")]);
    assert!(elsewhere.contains("does not list") && elsewhere.contains("--queue"), "{elsewhere}");
    let far = words(&["pull", "--queue", &format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:far-away")]);
    assert!(far.contains("a rule is made where its bus is"), "{far}");
    let nobody = words(&["receive", "--consumer", "nobody"]);
    let meant = "nothing in `delivery.event-buses` for the consumer nobody: write it there";
    assert!(nobody.contains(meant), "{nobody}");
    let wide = words(&["receive", "--consumer", "open", "--gateway-principal", "*"]);
    assert!(wide.contains("not the ARN of a role or user"), "{wide}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_external_id_is_asked_of_a_gateway_that_runs() {
    let (settings, gateway) = (Settings::write(), TestGateway::start().await);
    let key = gateway.add_caller("ledger", &["consume:ledger"]).await;
    let id = gateway.get("/external-ids/ledger").await["externalId"].clone();
    let mut command = settings.command(&["receive", "--consumer", "ledger"]);
    command.env("SEALWAY_GATEWAY", gateway.issuer()).env("SEALWAY_CALLER_KEY", key);

    let known = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let unknown = settings.print(&["receive", "--consumer", "ledger"]);

    let text = String::from_utf8(known.stdout).unwrap();
    assert!(text.contains(&format!("    Default: {id}\n")), "{text}");
    let text = String::from_utf8(unknown.stdout).unwrap();
    assert!(!text.contains(id.as_str().unwrap()) && text.contains("ExternalId=ID"), "{text}");
    let remarks = String::from_utf8(unknown.stderr).unwrap();
    assert!(remarks.contains("the external id is a parameter of the template"), "{remarks}");
}

/// Deploys a template and gives its outputs.
fn deploy(emulator: &Emulator, stack: &str, file: &Path, parameters: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/deploy.py");
    let deployed = Command::new(installed().join("moto/bin/python"))
        .arg(script)
        .args([emulator.url(), stack])
        .arg(file)
        .args(parameters)
        .env("AWS_ACCESS_KEY_ID", "AKIATEAM")
        .env("AWS_SECRET_ACCESS_KEY", "a secret")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&deployed.stderr);
    assert!(deployed.status.success(), "{stack}: {words}");
    serde_json::from_slice(&deployed.stdout).unwrap()
}

async fn put(sdk: &SdkConfig, bus: &str, source: &str) {
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(source)
        .detail_type("OrderCreated")
        .detail(r#"{"id":101}"#)
        .build();
    let client = aws_sdk_eventbridge::Client::new(sdk);
    let answer = client.put_events().entries(entry).send().await.unwrap();
    assert_eq!(answer.failed_entry_count(), 0);
}

/// Receives the next message of a queue as JSON.
async fn next(sdk: &SdkConfig, queue: &str) -> Value {
    let client = aws_sdk_sqs::Client::new(sdk);
    let url = client.get_queue_url().queue_name(queue).send().await.unwrap();
    let url = url.queue_url().unwrap();
    eventually(format!("a message in {queue}"), async || {
        let received = client.receive_message().queue_url(url).send().await.unwrap();
        let body = received.messages().first()?.body()?.to_owned();
        Some(serde_json::from_str(&body).unwrap())
    })
    .await
}

#[tokio::test]
async fn an_event_of_the_teams_bus_arrives_in_the_queue() {
    let (settings, moto) = (Settings::write(), Emulator::moto().await);
    let sdk = moto.sdk_config("AKIATEAM");
    let client = aws_sdk_eventbridge::Client::new(&sdk);
    client.create_event_bus().name("eda-demo").send().await.unwrap();
    let file = settings.template(&["pull", "--queue", &queue("gateway-in")]);

    let made = deploy(&moto, "in", &file, &[&format!("GatewayPrincipal={GATEWAY}")]);
    assert_eq!(made["QueueArn"], queue("gateway-in"));
    put(&sdk, "eda-demo", "another-service").await;
    put(&sdk, "eda-demo", "payment-service").await;

    let event = next(&sdk, "gateway-in").await;
    assert_eq!(event["source"], "payment-service", "the other is not among the queue's sources");
    assert_eq!(event["detail"]["id"], 101);
}

#[tokio::test]
async fn what_is_put_on_the_consumers_bus_arrives_in_its_queue() {
    let (settings, moto) = (Settings::write(), Emulator::moto().await);
    let sdk = moto.sdk_config("AKIATEAM");
    let file = settings.template(&["receive", "--consumer", "ledger"]);
    let gateway = format!("GatewayPrincipal={GATEWAY}");

    let made = deploy(&moto, "receive", &file, &[&gateway, "ExternalId=mUd0bAqVQmO3BfP7Qw1xVg"]);
    assert_eq!(made["BusArn"], format!("arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/partner"));
    put(&sdk, "partner", "order-service").await;
    put(&sdk, "partner", "sealway").await;

    let name = made["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(next(&sdk, name).await["source"], "sealway", "nothing else is the consumer's");
}
