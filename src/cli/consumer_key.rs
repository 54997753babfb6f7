//! `sealway consumer-key`: makes a key pair for a consumer; the private half stays in its file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::ambient::Secret;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::keys::{OpeningKey, OpeningKeyKind, generate_receipt_key, read_receipt_key};

/// Which key, and where it is kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file of the private key, a JWK; it is made, and never written over
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The kind of key
    #[arg(long = "type", value_enum, default_value = "X25519")]
    kind: Kind,
    /// Make a key that signs receipts, on P-256; give it to nothing else
    #[arg(long, conflicts_with_all = ["kind", "public"])]
    receipts: bool,
    /// Make nothing: print the public half of the key that is in FILE
    #[arg(long, conflicts_with = "kind")]
    public: bool,
    /// Put the public half in front of the keys of this JWK Set, which is made if it is not there: events
    /// are sealed for the first key, and what was sealed for the others still opens
    #[arg(long, value_name = "SET")]
    into: Option<PathBuf>,
}

/// The kinds of key pairs that tokens are sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// OKP on X25519, the quickest
    #[value(name = "X25519")]
    X25519,
    /// EC on P-256, known to every library
    #[value(name = "P-256")]
    P256,
    /// EC on P-384
    #[value(name = "P-384")]
    P384,
    /// EC on P-521
    #[value(name = "P-521")]
    P521,
    /// RSA with 2048 bits
    #[value(name = "RSA")]
    Rsa,
}

impl From<Kind> for OpeningKeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::X25519 => Self::X25519,
            Kind::P256 => Self::P256,
            Kind::P384 => Self::P384,
            Kind::P521 => Self::P521,
            Kind::Rsa => Self::Rsa2048,
        }
    }
}

/// Runs the command: prints the public half as a JWK Set, ready for a subscription.
pub fn run(args: &Args, context: &Context) -> CommandResult {
    let public = match args {
        Args { file, receipts: true, .. } => make_for_receipts(file),
        Args { file, public: true, .. } => read(file),
        Args { file, kind, .. } => make(file, *kind),
    }?;
    if let Some(set) = &args.into {
        put_first(set, &public).map_err(Failure::input)?;
        context.output().note(format_args!(
            "{} has the new key first; keep the older private keys as long as tokens that are sealed for them",
            set.display()
        ));
    }
    context.output().document(&public);
    Ok(Exit::Done)
}

/// Puts keys in front of those of a set, in a file that is whole at any moment.
fn put_first(set: &Path, public: &Value) -> anyhow::Result<()> {
    let place = set.display();
    let before = match fs::read_to_string(set) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({ "keys": [] }),
        read => serde_json::from_str(&read.with_context(|| format!("cannot read {place}"))?)
            .with_context(|| format!("{place} is no JWK Set"))?,
    };
    let keys_of = |set: &Value| set.get("keys").and_then(Value::as_array).cloned();
    let older =
        keys_of(&before).ok_or_else(|| anyhow!("{place} is no JWK Set: it has no `keys`"))?;
    let is_private = |key: &Value| ["d", "k", "p", "q"].iter().any(|name| key.get(name).is_some());
    anyhow::ensure!(
        !older.iter().any(is_private),
        "{place} holds private keys; name a set of public ones"
    );
    let mut keys = keys_of(public).unwrap_or_default();
    let is_new = |key: &Value| !keys.iter().any(|new| new == key);
    let older: Vec<Value> = older.into_iter().filter(is_new).collect();
    keys.extend(older);
    let text = serde_json::to_string_pretty(&json!({ "keys": keys }))?;
    let new = set.with_extension("new");
    fs::write(&new, text + "\n")
        .and_then(|()| fs::rename(&new, set))
        .with_context(|| format!("cannot write {place}"))
}

fn make(file: &Path, kind: Kind) -> Result<Value, Failure> {
    let key = OpeningKey::generate(kind.into()).map_err(Failure::ours)?;
    keep(file, key.private_jwk())?;
    public_set(&key)
}

fn make_for_receipts(file: &Path) -> Result<Value, Failure> {
    let private = generate_receipt_key().map_err(Failure::ours)?;
    keep(file, &private)?;
    let key = read_receipt_key(private.expose().as_bytes()).map_err(Failure::ours)?;
    Ok(json!({ "keys": [key.public_jwk()] }))
}

fn keep(file: &Path, private: &Secret) -> Result<(), Failure> {
    let place = file.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| writeln!(file, "{}", private.expose()))
        .with_context(|| format!("cannot make {place}"))
        .map_err(Failure::input)
}

fn read(file: &Path) -> Result<Value, Failure> {
    let place = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read {place}"));
    let key = OpeningKey::from_json(&bytes.map_err(Failure::input)?);
    let key = key.with_context(|| format!("cannot use {place}")).map_err(Failure::input)?;
    public_set(&key)
}

fn public_set(key: &OpeningKey) -> Result<Value, Failure> {
    let public = key.public_jwk();
    let public = public.ok_or_else(|| anyhow!("a shared secret has no public half"));
    Ok(json!({ "keys": [public.map_err(Failure::input)?] }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::keys::KeySet;

    #[test]
    fn the_private_half_stays_in_a_file_of_its_owner_and_the_public_half_can_be_sealed_for() {
        let folder = tempfile::tempdir().unwrap();
        for kind in [Kind::X25519, Kind::P256, Kind::P384, Kind::P521, Kind::Rsa] {
            let file = folder.path().join(format!("{kind:?}.jwk"));

            let public = make(&file, kind).unwrap();

            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(KeySet::read(public.to_string().as_bytes()).is_ok(), "{kind:?}");
            assert!(public["keys"][0].get("d").is_none());
            assert_eq!(read(&file).unwrap(), public);
        }
    }

    #[test]
    fn a_new_key_stands_before_those_of_a_set_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("jwks.json");
        let read = || serde_json::from_str::<Value>(&fs::read_to_string(&set).unwrap()).unwrap();
        let first = make(&folder.path().join("1.jwk"), Kind::X25519).unwrap();
        let second = make(&folder.path().join("2.jwk"), Kind::P256).unwrap();

        put_first(&set, &first).unwrap();
        assert_eq!(read(), first);
        put_first(&set, &second).unwrap();
        put_first(&set, &second).unwrap();

        assert_eq!(read()["keys"], json!([second["keys"][0], first["keys"][0]]));
        assert_eq!(KeySet::read(read().to_string().as_bytes()).unwrap().keys().len(), 2);
        let private = folder.path().join("1.jwk");
        assert!(put_first(&private, &second).is_err(), "that is no set");
        fs::write(&set, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
        assert!(put_first(&set, &second).unwrap_err().to_string().contains("private keys"));
    }

    #[test]
    fn a_key_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("consumer.jwk");
        make(&file, Kind::X25519).unwrap();
        let before = fs::read(&file).unwrap();

        assert!(make(&file, Kind::X25519).is_err());
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}
