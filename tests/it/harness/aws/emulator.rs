//! Emulators of AWS as processes of their own, as `make harness` installs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use tempfile::TempDir;

use crate::harness::{eventually, free_port};

/// An emulator on a port of this machine, until it is dropped.
pub struct Emulator {
    url: String,
    child: Child,
    directory: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It has written nothing that must be kept.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Emulator {
    /// Starts moto: partial failures of PutEvents, queues and roles as on AWS.
    pub async fn moto() -> Self {
        let arguments = |port: u16| {
            let port = port.to_string();
            ["moto.server", "-H", "127.0.0.1", "-p", &port].map(str::to_owned).to_vec()
        };
        Self::start("moto", arguments, "moto-api/", &[]).await
    }

    /// Starts ministack: rules, targets, envelopes and API destinations as on AWS.
    ///
    /// It serves SQS, EventBridge, STS, IAM, SNS and CloudWatch, so that no other of its services
    /// listens on a port of its own, and finds no containers that it could take for its own.
    pub async fn ministack() -> Self {
        let settings = [
            ("BIND_HOST", "127.0.0.1"),
            ("SERVICES", "sqs,events,sts,iam,sns,monitoring"),
            ("IOT_MTLS_ENABLED", "0"),
            ("SFTP_ENABLED", "0"),
            ("DOCKER_HOST", "unix:///nonexistent"),
        ];
        let arguments = |_: u16| vec!["ministack".to_owned()];
        Self::start("ministack", arguments, "_ministack/ready", &settings).await
    }

    /// The address for `endpoint-url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings of clients that call it with a static access key.
    pub fn sdk_config(&self, access_key: &str) -> SdkConfig {
        self.sdk_config_with(Credentials::new(access_key, "a secret", None, None, "test"))
    }

    /// Settings of clients that have taken a role with a client's settings, under an external id.
    pub async fn sdk_config_of(
        &self,
        taker: &SdkConfig,
        role: &str,
        external_id: &str,
    ) -> SdkConfig {
        let take = aws_sdk_sts::Client::new(taker).assume_role().role_arn(role);
        let taken =
            take.role_session_name("gateway").external_id(external_id).send().await.unwrap();
        let given = taken.credentials().unwrap();
        let token = Some(given.session_token().to_owned());
        let (key, secret) = (given.access_key_id(), given.secret_access_key());
        self.sdk_config_with(Credentials::new(key, secret, token, None, "test"))
    }

    fn sdk_config_with(&self, credentials: Credentials) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// Starts one, again on another port if somebody was faster to take it.
    async fn start(
        name: &str,
        arguments: impl Fn(u16) -> Vec<String>,
        ready: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let python = installed().join(name).join("bin/python");
        let mut last_words = String::new();
        for _ in 0..3 {
            let port = free_port();
            let directory = tempfile::tempdir().unwrap();
            let log = fs::File::create(directory.path().join("log")).unwrap();
            let child = Command::new(&python)
                .arg(programs().join("emulator.py"))
                .args(arguments(port))
                .envs(settings.iter().copied())
                .env("GATEWAY_PORT", port.to_string())
                .env("TMPDIR", directory.path())
                .current_dir(directory.path())
                // The emulator ends when nobody holds the other end, so also when tests are killed.
                .stdin(Stdio::piped())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let url = format!("http://127.0.0.1:{port}");
            let mut emulator = Self { url, child, directory };
            if emulator.is_ready(name, ready).await {
                return emulator;
            }
            last_words = emulator.log();
        }
        panic!("{name} does not start: {last_words}");
    }

    /// Waits until it answers; says whether it did before it ended.
    async fn is_ready(&mut self, name: &str, path: &str) -> bool {
        let ready = format!("{}/{path}", self.url);
        eventually(format!("{name} is ready"), async || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let answer = reqwest::get(&ready).await.ok()?;
            answer.status().is_success().then_some(true)
        })
        .await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// Programs in other languages.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws")
}

/// Where `make harness` puts the emulators and the SDKs.
pub fn installed() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(".harness/aws");
    assert!(
        installed.join("pins").exists(),
        "AWS emulators and SDKs are missing: run `make harness` first"
    );
    installed
}
