//! `sealway demo --aws` walks from a bus of EventBridge to another account's, and every claim holds.

use serde_json::Value;

use crate::harness::Process;
use crate::harness::aws::Emulator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_claim_holds_on_an_emulator() {
    let (process, ministack) = (Process::prepare(), Emulator::ministack().await);
    let perform = async |account: &str| {
        let mut command = process.command(&["--output", "json", "demo", "--aws", ministack.url()]);
        command
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "demo")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"] {
            command.env_remove(name);
        }
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };

    let foreign = perform("999922223333").await;
    let ended = perform("111122223333").await;
    let again = perform("111122223333").await;

    let told = String::from_utf8(foreign.stderr).unwrap();
    assert!(told.contains("the gateway is of the account 999922223333"), "{told}");
    let told = String::from_utf8(again.stderr).unwrap();
    assert!(told.contains("start a fresh emulator, or remove the bus"), "{told}");

    let said = String::from_utf8(ended.stdout).unwrap();
    let remarks = String::from_utf8(ended.stderr).unwrap();
    let claims: Vec<Value> =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{remarks}"));
    assert_eq!(claims.len(), 14, "{claims:#?}");
    for claim in claims {
        assert_eq!(claim["holds"], true, "{claim}");
    }
    assert!(ended.status.success(), "{remarks}");
}
