//! What a running gateway has in force, held against the files that describe it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::text;
use crate::cli::{Column, CommandResult, Context, Exit, Failure};
use crate::config::{self, Config, SettingDifference};
use crate::event::Diagnostic;

/// The digests of what files say.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FileDigests {
    settings: String,
    contracts: String,
    publications: String,
}

impl FileDigests {
    /// Each with its name.
    fn named(&self) -> [(&'static str, &str); 3] {
        let Self { settings, contracts, publications } = self;
        [("settings", settings), ("contracts", contracts), ("publications", publications)]
    }
}

impl fmt::Display for FileDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [settings, contracts, publications] =
            self.named().map(|(name, digest)| format!("{name:<12} {digest}"));
        write!(f, "{settings}\n{contracts}\n{publications}")
    }
}

/// Something that the gateway has otherwise than the files.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Drift {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Value>,
}

/// What is shown of it.
const COLUMNS: &[Column<Drift>] = &[
    ("What", |one| one.what.clone()),
    ("File", |one| shown(one.file.as_ref())),
    ("Gateway", |one| shown(one.gateway.as_ref())),
];

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// The digests of the settings and of the files that they name.
///
/// # Errors
///
/// The caller's turn: a file cannot be read.
pub fn of_files(config: &Config) -> Result<FileDigests, Failure> {
    let folder = |path| {
        config::folder(path).map_err(|mistakes: Vec<Diagnostic>| {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Failure::input(anyhow::anyhow!(told.join("\n")))
        })
    };
    Ok(FileDigests {
        settings: config::digest_of(&config.as_written()),
        contracts: config::digest_of_texts(&folder(&config.contracts)?),
        publications: config::digest_of_texts(&folder(&config.publications)?),
    })
}

/// Asks the gateway, and shows each setting and each kind of file that differs.
pub async fn run(context: &Context) -> CommandResult {
    let (config, output) = (context.config()?, context.output());
    let files = of_files(&config)?;
    let answer = context.client()?.get("/settings").await?;
    let told = differences((&config.as_written(), &files), &answer);
    output.list(&told, COLUMNS);
    if told.is_empty() {
        output.note("the gateway has what the files say");
        return Ok(Exit::Done);
    }
    output.note(
        "contracts, publications and access keys: reload the gateway (SIGHUP); other settings: \
         restart it",
    );
    Ok(Exit::No)
}

fn differences((settings, files): (&Value, &FileDigests), answer: &Value) -> Vec<Drift> {
    let in_force = answer.get("settings").unwrap_or(&Value::Null);
    let drift =
        |one: SettingDifference| Drift { what: one.setting, file: one.first, gateway: one.second };
    let mut told: Vec<Drift> =
        config::differing(settings, in_force).into_iter().map(drift).collect();
    for (name, digest) in files.named().into_iter().skip(1) {
        let running = text(answer, &format!("/digests/{name}"));
        if running != *digest {
            let (file, gateway) = (Some(digest.into()), Some(running.into()));
            told.push(Drift { what: format!("files of {name}"), file, gateway });
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_and_files_that_differ_are_told_and_equal_ones_are_not() {
        let files = FileDigests {
            settings: "s".to_owned(),
            contracts: "c".to_owned(),
            publications: "p".to_owned(),
        };
        let settings = json!({"listen": "127.0.0.1:8080", "log": {"tail": 1}});
        let answer = |settings: &Value, publications: &str| {
            json!({
                "settings": settings,
                "digests": {"settings": "other", "contracts": "c", "publications": publications},
            })
        };

        assert_eq!(differences((&settings, &files), &answer(&settings, "p")), []);
        let other = json!({"listen": "127.0.0.1:8080", "log": {"tail": 2}});
        let told = differences((&settings, &files), &answer(&other, "q"));
        let what: Vec<&str> = told.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(what, ["log.tail", "files of publications"]);
        assert_eq!(
            (shown(told[0].file.as_ref()), shown(told[0].gateway.as_ref())),
            ("1".into(), "2".into())
        );
    }
}
