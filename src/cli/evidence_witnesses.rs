//! The witnesses whom `sealway evidence verify` believes, and what it says of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::seal::evidence::{BundleCosignature, Examiner, WitnessTrust};
use crate::transparency::{NoteKey, SignedNote, WitnessKey};

/// Whom to believe about the tree over the log, beside the gateway.
#[derive(Debug, clap::Args)]
pub(super) struct WitnessArgs {
    /// The key of a witness that you believe, or a file with such keys, one a line; again for each. A
    /// bundle with an event that is in no tree that they have cosigned is wrong
    #[arg(long = "witness-key", value_name = "KEY|FILE")]
    witness_keys: Vec<String>,
    /// How many of these witnesses must have cosigned; one, if not given
    #[arg(long, value_name = "N", requires = "witness_keys", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..))]
    witnesses: u16,
    /// The key of the gateway's log, as `sealway log key` prints it: it must have signed what is cosigned
    #[arg(long, value_name = "KEY")]
    log_key: Option<NoteKey>,
    /// A checkpoint that you have kept, with cosignatures of these witnesses; again for each. Dates and
    /// trees that it contradicts are wrong
    #[arg(long = "note", value_name = "FILE", requires = "witness_keys")]
    notes: Vec<PathBuf>,
}

impl WitnessArgs {
    /// Whom to believe; nothing if nobody is named.
    pub(super) fn trust(&self) -> Result<Option<WitnessTrust>, Failure> {
        if self.witness_keys.is_empty() && self.log_key.is_none() {
            return Ok(None);
        }
        let mut keys: Vec<WitnessKey> = Vec::new();
        for one in &self.witness_keys {
            keys.extend(keys_of(one)?);
        }
        keys.sort_by_key(ToString::to_string);
        keys.dedup();
        let quorum = usize::from(self.witnesses);
        if quorum > keys.len().max(1) {
            let given = keys.len();
            return Err(Failure::input(anyhow!("--witnesses {quorum} of {given} keys cannot be")));
        }
        let mut trust = WitnessTrust::new(keys, quorum, self.log_key.clone());
        for file in &self.notes {
            let cannot_use = || format!("cannot use {}", file.display());
            let note: SignedNote =
                read(file)?.parse().with_context(cannot_use).map_err(Failure::input)?;
            trust.keep(&note).with_context(cannot_use).map_err(Failure::input)?;
        }
        Ok(Some(trust))
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    text.with_context(|| format!("cannot read {}", file.display())).map_err(Failure::input)
}

/// A key, or those of a file.
fn keys_of(text: &str) -> Result<Vec<WitnessKey>, Failure> {
    let error = match text.parse() {
        Ok(key) => return Ok(vec![key]),
        Err(error) => error,
    };
    if !Path::new(text).is_file() {
        return Err(Failure::input(error).context(format!("cannot use `{text}`, which is no file")));
    }
    let lines = read(Path::new(text))?;
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Result<Vec<WitnessKey>, _> = lines.map(str::parse).collect();
    let keys = keys.with_context(|| format!("cannot use {text}")).map_err(Failure::input)?;
    if keys.is_empty() {
        return Err(Failure::input(anyhow!("{text} has no key of a witness")));
    }
    Ok(keys)
}

/// What witnesses have cosigned, for programs.
pub(super) fn report(examiner: &Examiner<'_>) -> Value {
    let shown = |one: &BundleCosignature| json!({ "witness": one.witness.name(), "size": one.size, "at": one.at });
    examiner.cosignatures().iter().map(shown).collect()
}

/// What there is to say of witnesses to people.
pub(super) fn text(examiner: &Examiner<'_>, args: &WitnessArgs) -> Vec<String> {
    let shown = |one: &BundleCosignature| {
        let name = one.witness.name();
        format!("the witness {name} has cosigned the tree of {} leaves at {}", one.size, one.at)
    };
    let mut lines: Vec<_> = examiner.cosignatures().iter().map(shown).collect();
    if examiner.notes() > 0 && args.witness_keys.is_empty() {
        lines.push("no cosignature of a witness was checked; --witness-key does that".to_owned());
    }
    lines
}
