//! A gateway as a process of its own, which can be killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::eventually;
use crate::harness::gateway::settle_in;

/// The program under test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealway"));
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// A directory with settings, and the process that serves it.
pub struct Process {
    directory: TempDir,
    issuer: String,
    child: Option<Child>,
}

impl Process {
    /// Writes settings with the contracts and publications of this repository; starts nothing.
    pub fn prepare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = settle_in(directory.path());
        let issuer = config.issuer.as_str().trim_end_matches('/').to_owned();
        let text = format!(
            "issuer: {issuer}\nlisten: {}\ndata-dir: data\npublications: publications\n\
             contracts: asyncapi\nkeys: {{ directory: keys }}\nlog: {{ disk-reserve: 1 MiB }}\n\
             delivery: {{ egress: {{ allow: [127.0.0.1], plain-http: [127.0.0.1] }} }}\n",
            config.listen
        );
        fs::write(directory.path().join("gateway.yaml"), text).unwrap();
        Self { directory, issuer, child: None }
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

    /// Runs a command of the program on these settings until it ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        program().arg("--config").arg(self.settings()).args(arguments).output().unwrap()
    }

    /// Adds a caller and gives its key.
    pub fn add_caller(&self, name: &str, scope: &str) -> String {
        let output = self.run(&["callers", "add", name, "--scope", scope]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts to serve and waits until it is ready.
    pub async fn serve(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory().join("serve.log"))
            .unwrap();
        let child = program()
            .arg("--config")
            .arg(self.settings())
            .arg("serve")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let ready = format!("{}/health/ready", self.issuer);
        eventually("the gateway is ready", async || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            let answer = reqwest::get(&ready).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
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
