//! Producers with AWS SDKs of other languages: the programs of `tests/aws`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::aws::emulator::{installed, programs};

/// An AWS SDK of another language.
#[derive(Clone, Copy, Debug)]
pub enum AwsSdk {
    Boto3,
    CommandLine,
    JavaScript,
    Go,
    Java,
}

/// Where an event goes, and who signs for it.
#[derive(Clone, Copy)]
pub struct AwsEndpoint<'a> {
    pub url: &'a str,
    pub bus: &'a str,
    pub access_key: &'a str,
    pub secret: &'a str,
}

/// How a program put its event.
#[derive(Debug)]
pub enum Put {
    /// The answer of PutEvents.
    Answered(Value),
    /// What the program said when the request was refused.
    Refused(String),
    /// Why it could not be run here.
    NotRun(String),
}

impl AwsSdk {
    pub const ALL: [Self; 5] =
        [Self::Boto3, Self::CommandLine, Self::JavaScript, Self::Go, Self::Java];

    /// Puts one event with `Source`, `DetailType` and `Detail`, with this SDK unmodified.
    pub fn put(self, to: AwsEndpoint<'_>, event: [&str; 3]) -> Put {
        let mut program = match self.program() {
            Ok(program) => program,
            Err(reason) => return Put::NotRun(reason),
        };
        let program = program
            .args([to.url, to.bus])
            .args(event)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", to.access_key)
            .env("AWS_SECRET_ACCESS_KEY", to.secret)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Whoever runs the tests may have settings of their own.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let Output { status, stdout, stderr } = output;
        match serde_json::from_slice(&stdout) {
            Ok(answer) => Put::Answered(answer),
            Err(_) if !status.success() => {
                Put::Refused(String::from_utf8_lossy(&stderr).into_owned())
            }
            Err(error) => panic!("{self:?}: {error}: {}", String::from_utf8_lossy(&stdout)),
        }
    }

    /// The program with what comes before its arguments, or why it cannot be run.
    fn program(self) -> Result<Command, String> {
        let (installed, programs) = (installed(), programs());
        let ran_by = |program: PathBuf, arguments: &[&Path]| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        let python = installed.join("moto/bin/python");
        Ok(match self {
            Self::Boto3 => ran_by(python, &[&programs.join("producer.py")]),
            Self::CommandLine => {
                ran_by(programs.join("producer.sh"), &[&installed.join("moto/bin/aws")])
            }
            Self::JavaScript => {
                ran_by("node".into(), &[&programs.join("producer.mjs"), &installed])
            }
            Self::Go => {
                let home = built(installed.join("go"))?;
                ran_by(home.join("producer"), &[])
            }
            Self::Java => {
                let home = built(installed.join("java"))?;
                let classes = fs::read_to_string(home.join("classpath")).unwrap();
                let classes =
                    format!("{}:{}", home.join("target/classes").display(), classes.trim());
                ran_by("java".into(), &["-cp".as_ref(), classes.as_ref(), "Producer".as_ref()])
            }
        })
    }
}

/// The directory of a program that had to be built, or why it was not.
fn built(home: PathBuf) -> Result<PathBuf, String> {
    match fs::read_to_string(home.join("not-run")) {
        Ok(reason) => Err(reason.trim().to_owned()),
        Err(_) => Ok(home),
    }
}
