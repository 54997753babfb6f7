//! `sealway keys`: the gateway's signing keys, in the directory that a running gateway shares.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use crate::ambient::{Clock as _, SecretReference, SystemClock, SystemEntropy};
use crate::cli::acting::act_beside;
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure, keys_adopt};
use crate::config;
use crate::event::Timestamp;
use crate::eventlog::ActionKind;
use crate::keys::{Config, FileKeyStore, KeyRing, KeyState, KeyStep, RingKey, SigningAlgorithm};

/// The commands.
///
/// They change the files; a running gateway notices within seconds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the signing keys, with what happens to each next
    List,
    /// Make the keys that are missing, as the first start of a gateway would
    Generate(DataDirectory),
    /// Publish a successor of each signing key; it signs when consumers have had time to learn it
    Rotate {
        /// Only the keys of this algorithm
        #[arg(long)]
        algorithm: Option<SigningAlgorithm>,
        /// Let it sign at once, before consumers may have learned it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Remove a key at once, because it is or may be known to others
    Revoke {
        /// The key, as `list` shows it
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Print the public key set, as consumers fetch it
    ExportJwks,
    /// Go on with the keys that are here after those of the log were lost; says what they cannot open
    Adopt(DataDirectory),
}

impl Command {
    /// Where what it changes is kept.
    const fn data(&self) -> Option<&DataDirectory> {
        match self {
            Self::Generate(data)
            | Self::Adopt(data)
            | Self::Rotate { data, .. }
            | Self::Revoke { data, .. } => Some(data),
            Self::List | Self::ExportJwks => None,
        }
    }
}

/// Runs the command.
pub async fn run(command: &Command, context: &Context) -> CommandResult {
    if let Command::Adopt(data) = command {
        return keys_adopt::adopt(data, context).await;
    }
    let gateway = match command.data() {
        Some(data) => data.config(context)?,
        None => context.config()?,
    };
    let settings = &gateway.keys;
    settings.check().map_err(Failure::input)?;
    let (ring, now) = (open(settings, &gateway.directory)?, SystemClock.now());
    match command {
        Command::List => list(&ring, context),
        Command::Generate(_) => {
            let make = async {
                ring.note_key(now).map_err(Failure::blame)?;
                ring.tick(now).map_err(Failure::blame)
            };
            let of = (ActionKind::GenerateKeys, "keys".to_owned());
            let steps = act_beside(&gateway.data_dir, of, context, make).await?;
            say(&steps, &ring, now, context);
        }
        Command::Rotate { algorithm, now: at_once, .. } => {
            let algorithms = algorithm.map_or_else(|| settings.algorithms.clone(), |one| vec![one]);
            let rotate = async {
                let mut steps = Vec::new();
                for algorithm in algorithms {
                    steps.extend(ring.rotate(algorithm, *at_once, now).map_err(Failure::blame)?);
                }
                Ok(steps)
            };
            let of = (ActionKind::RotateKeys, "keys".to_owned());
            let steps = act_beside(&gateway.data_dir, of, context, rotate).await?;
            say(&steps, &ring, now, context);
        }
        Command::Revoke { kid, .. } => {
            let revoke = async { ring.revoke(kid, now).map_err(Failure::blame) };
            let of = (ActionKind::RevokeKey, format!("keys/{kid}"));
            let steps = act_beside(&gateway.data_dir, of, context, revoke).await?;
            say(&steps, &ring, now, context);
        }
        Command::ExportJwks => context.output().line(&ring.jwks().text),
        // Needs the log, too, and was done above.
        Command::Adopt(_) => {}
    }
    Ok(Exit::Done)
}

fn open(settings: &Config, beside: &Path) -> Result<KeyRing, Failure> {
    let secret = |place: &Option<SecretReference>| {
        let secret = place.as_ref().map(|place| config::secret(place, beside));
        secret.transpose().map_err(Failure::blame)
    };
    let (passphrase, former) =
        (secret(&settings.passphrase)?, secret(&settings.former_passphrase)?);
    let store = FileKeyStore::open(&settings.directory, passphrase, &SystemEntropy)
        .map_err(Failure::blame)?
        .with_former(former, &SystemEntropy);
    KeyRing::read(Arc::new(store), settings.lifecycle()).map_err(Failure::blame)
}

/// A row of the list.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    kid: String,
    algorithm: SigningAlgorithm,
    state: KeyState,
    published: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Timestamp>,
    /// When the state changes by itself.
    next: Timestamp,
}

impl Row {
    fn of(key: &RingKey, ring: &KeyRing) -> Self {
        let times = key.age.times;
        Self {
            kid: key.age.kid.clone(),
            algorithm: key.age.algorithm,
            state: times.state(),
            published: times.published,
            activated: times.activated,
            retired: times.retired,
            next: ring.lifecycle().next_change(&key.age),
        }
    }

    fn state(&self) -> &'static str {
        match self.state {
            KeyState::Published => "published",
            KeyState::Active => "active",
            KeyState::Retired => "retired",
        }
    }

    fn what_next(&self) -> String {
        let what = match self.state {
            KeyState::Published => "signs from",
            KeyState::Active => "retires at",
            KeyState::Retired => "is removed at",
        };
        format!("{what} {}", minute(self.next))
    }
}

/// A moment as people read it; seconds matter to programs only.
fn minute(moment: Timestamp) -> String {
    let text = moment.to_string();
    text.get(..16).map_or_else(|| text.clone(), |minute| format!("{}Z", minute.replace('T', " ")))
}

fn list(ring: &KeyRing, context: &Context) {
    let rows: Vec<_> = ring.keys().iter().map(|key| Row::of(key, ring)).collect();
    let output = context.output();
    if rows.is_empty() {
        output.note("there are no keys yet: `sealway serve` or `sealway keys generate` makes them");
    }
    output.list(
        &rows,
        &[
            ("Key", |row| row.kid.clone()),
            ("Algorithm", |row| row.algorithm.to_string()),
            ("State", |row| row.state().to_owned()),
            ("Published", |row| minute(row.published)),
            ("Next", Row::what_next),
        ],
    );
}

/// What a command did.
#[derive(Serialize)]
struct Report {
    steps: Vec<String>,
    keys: Vec<Row>,
}

fn say(steps: &[KeyStep], ring: &KeyRing, now: Timestamp, context: &Context) {
    let keys = ring.keys();
    // New keys are named by no step; the ring knows which it made just now.
    let made: Vec<_> =
        keys.iter().filter(|key| key.age.times.published == now).map(|key| &key.age).collect();
    let name_of = |algorithm: &SigningAlgorithm| {
        made.iter().find(|age| age.algorithm == *algorithm).map_or("", |age| age.kid.as_str())
    };
    let signs_from = minute(now.after(ring.lifecycle().publish_ahead));
    let lines = steps.iter().map(|step| match step {
        KeyStep::Publish(algorithm) => {
            format!("published {} ({algorithm}); it signs from {signs_from}", name_of(algorithm))
        }
        KeyStep::Start(algorithm) => {
            format!("made {} ({algorithm}); it signs now", name_of(algorithm))
        }
        KeyStep::Activate(kid) => format!("activated {kid}; it signs now"),
        KeyStep::Retire(kid) => format!("retired {kid}; it stays published for what it signed"),
        KeyStep::Remove(kid) => format!("removed {kid}"),
    });
    let rows = keys.iter().map(|key| Row::of(key, ring)).collect();
    let report = Report { steps: lines.collect(), keys: rows };
    context.output().item(&report, |report| {
        if report.steps.is_empty() {
            return "nothing to do: `sealway keys list` shows what happens next".to_owned();
        }
        report.steps.join("\n")
    });
}
