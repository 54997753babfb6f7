//! A witness as a process of its own, which can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use sealway::eventlog::WitnessConfig;
use sealway::transparency::WitnessKey;

use crate::harness::program;

/// The name of the witness.
pub const WITNESS: &str = "witness.example/w1";

/// A witness, on a directory and a port of its own.
pub struct WitnessProcess {
    directory: TempDir,
    port: u16,
    logs: Vec<String>,
    key: Option<WitnessKey>,
    child: Option<Child>,
}

impl WitnessProcess {
    /// Starts one that knows these logs.
    pub fn of(logs: &[&str]) -> Self {
        // Free until somebody takes it; a start that does not get it fails the test at once.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let logs = logs.iter().map(|&log| log.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut witness = Self { directory, port, logs, key: None, child: None };
        witness.start();
        witness
    }

    /// The directory that it keeps everything in.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().join("witness")
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its key, as it prints it.
    pub fn key(&self) -> String {
        self.key.as_ref().unwrap().to_string()
    }

    /// What a gateway's settings say of it.
    pub fn setting(&self) -> WitnessConfig {
        WitnessConfig { url: self.url().parse().unwrap(), key: self.key.clone().unwrap() }
    }

    /// The command that runs a witness of some name on a directory.
    pub fn command(&self, name: &str, directory: &Path) -> Command {
        let mut command = program();
        command.args(["--output", "json", "witness", "--name", name, "--directory"]);
        command.arg(directory).arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.args(self.logs.iter().flat_map(|log| ["--log-key", log]));
        command
    }

    /// Starts it, again on the same directory; it listens once it has told its key.
    pub fn start(&mut self) {
        let mut command = self.command(WITNESS, &self.directory());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let told: Value = loop {
            assert_ne!(lines.read_line(&mut told).unwrap(), 0, "the witness has ended: {told}");
            if let Ok(told) = serde_json::from_str(&told) {
                break told;
            }
        };
        let key = told["key"].as_str().unwrap().parse().unwrap();
        assert_eq!(self.key.get_or_insert_with(|| WitnessKey::clone(&key)), &key);
        self.child = Some(child);
    }

    /// Kills it as a power switch would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for WitnessProcess {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
