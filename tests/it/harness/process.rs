//! A gateway as a process of its own, which can be killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::disk::Disk;
use crate::harness::gateway::settle_in;
use crate::harness::{Answer, answer, answer_to, eventually};

/// The program under test: the one that was just built, or the one that `GATEWAY` names, so that two can
/// be compared.
pub fn program() -> Command {
    let named = std::env::vars_os().find(|(name, _)| name == "GATEWAY").map(|(_, path)| path);
    let mut command = Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_sealway").into()));
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// A directory with settings, and the process that serves it.
pub struct Process {
    directory: TempDir,
    issuer: String,
    disk: Option<Disk>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

impl Process {
    /// Writes settings with the contracts and publications of this repository; starts nothing.
    pub fn prepare() -> Self {
        Self::prepare_with("")
    }

    /// Writes settings of which `delivery` are those below that name, as members of a YAML flow
    /// mapping, each with a comma in front.
    pub fn prepare_with(delivery: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = settle_in(directory.path());
        let issuer = config.issuer.as_str().trim_end_matches('/').to_owned();
        let text = format!(
            "issuer: {issuer}\nlisten: {}\ndata-dir: data\npublications: publications\n\
             contracts: asyncapi\nkeys: {{ directory: keys }}\nlog: {{ disk-reserve: 1 MiB, \
             disk-warn: 100, disk-refuse: 100 }}\n\
             delivery: {{ slow-producers-after: null, egress: {{ allow: [127.0.0.1], plain-http: [127.0.0.1] }}{delivery} }}\n",
            config.listen
        );
        fs::write(directory.path().join("gateway.yaml"), text).unwrap();
        Self { directory, issuer, disk: None, variables: Vec::new(), child: None }
    }

    /// Keeps events as the members of a YAML flow mapping below `log.retention` say.
    pub fn keeping(self, retention: &str) -> Self {
        let settings = fs::read_to_string(self.settings()).unwrap();
        let kept = format!("log: {{ retention: {{ {retention} }}, ");
        fs::write(self.settings(), settings.replace("log: { ", &kept)).unwrap();
        self
    }

    /// Adds settings: YAML of the outermost level, with names that are not there yet.
    pub fn with_settings(self, settings: &str) -> Self {
        let text = fs::read_to_string(self.settings()).unwrap();
        fs::write(self.settings(), format!("{text}{settings}\n")).unwrap();
        self
    }

    /// Sets a variable of the environment, of every start and command from now on.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has the gateway find AWS at this address, that of a stub or an emulator, with an access key
    /// of its own and none of this machine's settings.
    pub fn with_aws(self, url: &str, access_key: &str) -> Self {
        self.with_settings(&format!("aws: {{ endpoint-url: '{url}' }}"))
            .with_variable("AWS_ACCESS_KEY_ID", access_key)
            .with_variable("AWS_SECRET_ACCESS_KEY", "a secret")
            .with_variable("AWS_EC2_METADATA_DISABLED", "true")
            .with_variable("AWS_CONFIG_FILE", "/dev/null")
            .with_variable("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    }

    /// The gateway's name and address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The directory of settings and data.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.directory().join("gateway.yaml")
    }

    /// What the settings file says.
    pub fn settings_text(&self) -> String {
        fs::read_to_string(self.settings()).unwrap()
    }

    /// Runs a command of the program on these settings until it ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A command of the program on these settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.envs(self.variables.iter().cloned());
        command.arg("--config").arg(self.settings()).args(arguments);
        command
    }

    /// Adds a caller with these scopes, which spaces divide, and gives its key.
    pub fn add_caller(&self, name: &str, scopes: &str) -> String {
        let scopes = scopes.split(' ').flat_map(|scope| ["--scope", scope]);
        let output =
            self.run(&["callers", "add", name].into_iter().chain(scopes).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Begins a request without a caller's key. Its connection is its own: one that is kept open ends with
    /// the process.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        reqwest::Client::new().request(method, format!("{}{path}", self.issuer))
    }

    /// Calls as someone, with a JSON body or none, whatever the revision.
    pub async fn call_as(
        &self,
        key: &str,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Answer {
        let request = self.request(method, path).bearer_auth(key).header("if-match", "*");
        answer_to(request, body).await
    }

    /// Reads as someone what is there.
    pub async fn get(&self, key: &str, path: &str) -> Value {
        let answer = self.call_as(key, (Method::GET, path), None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        answer.body
    }

    /// Posts a CloudEvent.
    pub async fn send(&self, key: &str, event: &Value) -> Answer {
        let request = self.request(Method::POST, "/events").bearer_auth(key);
        let request = request.header("content-type", "application/cloudevents+json");
        answer(request.body(event.to_string())).await
    }

    /// Publishes a CloudEvent that must be taken; gives the id of what it has become.
    pub async fn publish(&self, key: &str, event: &Value) -> String {
        let answer = self.send(key, event).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["events"][0]["eventIds"][0].as_str().unwrap().to_owned()
    }

    /// Puts a disk below everything in the directory, for every start from now on.
    pub fn with_disk(mut self) -> Self {
        self.disk = Some(Disk::below(self.directory.path()));
        self
    }

    /// The disk that was put below it.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().unwrap()
    }

    /// The number of the process that serves.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Starts to serve and waits until it is ready.
    pub async fn serve(&mut self) {
        assert!(self.try_to_serve().await, "the gateway has ended: {}", self.log());
    }

    /// Starts to serve; says whether it became ready before it ended.
    pub async fn try_to_serve(&mut self) -> bool {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory().join("serve.log"))
            .unwrap();
        let mut command = self.command(&["serve"]);
        if let Some(disk) = &self.disk {
            disk.put_below(&mut command);
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let ready = format!("{}/health/ready", self.issuer);
        eventually("the gateway is ready", async || {
            if self.ended().is_some() {
                return Some(false);
            }
            let answer = reqwest::get(&ready).await.ok()?;
            answer.status().is_success().then_some(true)
        })
        .await
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().unwrap();
        if ended.is_some() {
            self.child = None;
        }
        ended
    }

    /// Tells whether it runs.
    pub fn lives(&mut self) -> bool {
        self.ended();
        self.child.is_some()
    }

    /// Asks it to stop, as an operator's service manager does, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        let asked = Command::new("kill").arg(self.id().to_string()).status().unwrap();
        assert!(asked.success(), "the gateway could not be asked to stop");
        eventually("the gateway stops", async || self.ended()).await
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("serve.log")).unwrap_or_default()
    }

    /// Kills it as a power switch would: nothing is flushed or said.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
