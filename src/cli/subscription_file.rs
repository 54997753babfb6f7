//! Reads subscription documents, and finds what is wrong with them before a gateway is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::ambient::SecretReference;
use crate::cli::Failure;
use crate::config;
use crate::event::{Diagnostic, QualifiedName, yaml};
use crate::subscriptions::{
    CredentialAlone, GivenDocument, SecretText, SinkCredential, SubscriptionDocument, Subscriptions,
};
use crate::telemetry::error_chain;

/// The largest document, as the gateway takes it by default.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// What the variables of the command line itself begin with, such as the caller's key.
const OWN_VARIABLES: &str = "SEALWAY_";
/// What those of them begin with that documents may name.
const VARIABLES_FOR_DOCUMENTS: &str = "SEALWAY_SECRET_";

/// What standard input is called.
const STDIN: &str = "standard input";

/// Documents with the files that they stand in, by their consumers and the names that these give them.
pub type Documents = BTreeMap<QualifiedName, (String, SubscriptionDocument)>;

/// Reads and checks one document in YAML or JSON from a file, or from standard input for `-`, with
/// the secrets that it names.
///
/// # Errors
///
/// The caller's turn: the file or a secret cannot be read, or the document cannot work.
pub fn read(file: &Path) -> Result<SubscriptionDocument, Failure> {
    with_secrets(read_alone(file)?, &named(file))
}

/// Reads and checks one document, and none of the secrets that it names.
///
/// # Errors
///
/// The caller's turn: the file cannot be read, or the document cannot work.
pub fn read_alone(file: &Path) -> Result<SubscriptionDocument, Failure> {
    let (name, text) = named_text(file)?;
    check(&name, &text).map_err(|mistake| Failure::input(anyhow!("{mistake}")))
}

/// Reads the credential of a sink alone, as [`read`] reads documents.
///
/// # Errors
///
/// The caller's turn: the file or a secret cannot be read.
pub fn read_credential(file: &Path) -> Result<SinkCredential, Failure> {
    let (name, text) = named_text(file)?;
    let read = yaml::read(&name, &text);
    let refused = |mistake: Box<Diagnostic>| Failure::input(anyhow!("{mistake}"));
    let CredentialAlone(mut credential) = read.map_err(refused)?;
    places_of_secrets(Some(&credential), &name).map_err(refused)?;
    fill(&mut credential, &name)?;
    Ok(credential)
}

/// Puts the secrets that a document names into their places; the file's name is the one that it was
/// read under.
///
/// # Errors
///
/// The caller's turn: a secret cannot be had.
pub fn with_secrets(
    mut document: SubscriptionDocument,
    file: &str,
) -> Result<SubscriptionDocument, Failure> {
    if let Some(credential) = &mut document.sinkcredential {
        fill(credential, file)?;
    }
    Ok(document)
}

fn fill(credential: &mut SinkCredential, file: &str) -> Result<(), Failure> {
    let directory = Path::new(file).parent().unwrap_or(Path::new(""));
    for mut slot in credential.slots() {
        if let Some(SecretText::Reference(place)) = slot.value {
            let refused = |problem| Failure::input(anyhow!("{file}: {}: {problem}", slot.pointer));
            check_place(place, directory).map_err(refused)?;
            let secret = config::secret(place, directory).map_err(|error| {
                Failure::blame(error).context(format!("{file}: {}", slot.pointer))
            })?;
            *slot.value = Some(SecretText::Text(secret));
            slot.make_secret();
        }
    }
    Ok(())
}

/// Checks that a document names a secret of its own: who writes it may not be who applies it, and
/// must not be able to send away what else that person's environment and files hold.
///
/// # Errors
///
/// Says what to do instead.
pub fn check_place(place: &SecretReference, directory: &Path) -> Result<(), String> {
    match place {
        SecretReference::Env(name)
            if name.starts_with(OWN_VARIABLES) && !name.starts_with(VARIABLES_FOR_DOCUMENTS) =>
        {
            Err(format!(
                "variables that begin with {OWN_VARIABLES} are the command line's own; call it \
                 {VARIABLES_FOR_DOCUMENTS}…, or without {OWN_VARIABLES}"
            ))
        }
        SecretReference::Env(_) => Ok(()),
        SecretReference::File(path) => {
            let outside = || {
                format!(
                    "`{}` is not below the folder of this file; put the secret there, or name a \
                     variable with `{{ env: NAME }}`",
                    path.display()
                )
            };
            let folder = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            // Of one that is not there, reading it says so.
            let (Ok(found), Ok(folder)) =
                (fs::canonicalize(folder.join(path)), fs::canonicalize(folder))
            else {
                return if path.is_absolute() { Err(outside()) } else { Ok(()) };
            };
            if found.starts_with(folder) { Ok(()) } else { Err(outside()) }
        }
    }
}

/// The places where a credential says that its secrets are, and its first mistake about them: a
/// secret that stands in the file itself.
pub fn places_of_secrets(
    credential: Option<&SinkCredential>,
    file: &str,
) -> Result<Vec<SecretReference>, Box<Diagnostic>> {
    let mut places = Vec::new();
    for slot in credential.cloned().unwrap_or_default().slots() {
        match slot.value {
            Some(SecretText::Reference(place)) => places.push(place.clone()),
            // What comes through a pipe may well come from a store of secrets.
            Some(SecretText::Text(_)) if slot.is_secret() && file != STDIN => {
                let problem = format!("{}: a secret does not belong in this file", slot.pointer);
                let mistake = Diagnostic::of_file(file, problem)
                    .with_help("name its place: `{ file: path }` or `{ env: NAME }`");
                return Err(Box::new(mistake));
            }
            _ => {}
        }
    }
    Ok(places)
}

fn named(file: &Path) -> String {
    if is_stdin(file) { STDIN.to_owned() } else { file.display().to_string() }
}

fn named_text(file: &Path) -> Result<(String, String), Failure> {
    let name = named(file);
    let text = text(file).with_context(|| format!("cannot read {name}")).map_err(Failure::input)?;
    Ok((name, text))
}

/// Reads and checks the documents of files, and of all files in folders.
///
/// # Errors
///
/// The caller's turn: every file that cannot be read, every document that cannot work or has no
/// name, and every name that is given twice.
pub fn read_all(paths: &[PathBuf]) -> Result<Documents, Vec<Diagnostic>> {
    let (mut documents, mut mistakes) = (Documents::new(), Vec::new());
    for path in paths {
        match texts(path) {
            Ok(texts) => {
                for (name, text) in texts {
                    if let Err(mistake) = add(&mut documents, name, &text) {
                        mistakes.push(*mistake);
                    }
                }
            }
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(documents) } else { Err(mistakes) }
}

/// The texts of a file or a folder, each with the path of its file.
fn texts(path: &Path) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    if path.is_dir() {
        let below = |(name, text)| (path.join(name).display().to_string(), text);
        return Ok(config::folder(path)?.into_iter().map(below).collect());
    }
    let name = path.display().to_string();
    match text(path) {
        Ok(text) => Ok(vec![(name, text)]),
        Err(error) => Err(vec![Diagnostic::of_file(&name, format!("cannot be read: {error}"))]),
    }
}

fn add(documents: &mut Documents, file: String, text: &str) -> Result<(), Box<Diagnostic>> {
    let document = check(&file, text)?;
    let Some(name) = document.given_name() else {
        let mistake = Diagnostic::of_file(&file, "the subscription has no `name`")
            .with_help("give it one: without a name it would be created anew each time");
        return Err(Box::new(mistake));
    };
    let name = QualifiedName { consumer: document.consumer.clone(), name };
    if let Some((other, _)) = documents.get(&name) {
        let problem = format!("subscription `{name}` stands in {other} already");
        return Err(Box::new(Diagnostic::of_file(&file, problem)));
    }
    documents.insert(name, (file, document));
    Ok(())
}

fn check(name: &str, text: &str) -> Result<SubscriptionDocument, Box<Diagnostic>> {
    let given = yaml::read::<GivenDocument>(name, text)?;
    let normal = given.for_another().and_then(SubscriptionDocument::normalised);
    match normal.and_then(|normal| Subscriptions::check(&normal).map(|()| normal)) {
        Ok(document) => {
            places_of_secrets(document.sinkcredential.as_deref(), name).map(|_| document)
        }
        Err(error) => Err(Box::new(Diagnostic::of_file(name, error_chain(&error).to_string()))),
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn text(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if is_stdin(file) {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        fs::File::open(file)?.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "id: a\nconsumer: shop\nsink: https://shop.example/events\n\
                        config: { keys: { jwksUri: 'https://shop.example/jwks.json' } }\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn folders_and_files_are_read_together() {
        let folder = folder(&[("a.yaml", GOOD), ("README.md", "no document")]);
        let other = folder.path().join("b.json");
        fs::write(&other, GOOD.replace("id: a", "id: b")).unwrap();
        let moved = tempfile::tempdir().unwrap().path().join("missing.yaml");

        let both = read_all(&[folder.path().to_owned()]).unwrap();

        assert_eq!(both.keys().map(|of| of.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read_all(std::slice::from_ref(&other)).unwrap().len(), 1);
        assert!(read_all(&[moved]).unwrap_err()[0].problem.contains("cannot be read"));
    }

    #[test]
    fn every_mistake_of_every_file_is_told() {
        let folder = folder(&[
            ("a.yaml", GOOD),
            ("b.yaml", GOOD),
            ("c.yaml", &GOOD.replace("id: a\n", "")),
            ("d.yaml", &GOOD.replace("sink", "snik").replace("id: a", "id: d")),
            ("e.yaml", &GOOD.replace("https://shop.example/events", "nowhere")),
        ]);

        let mistakes = read_all(&[folder.path().to_owned()]).unwrap_err();

        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        for (told, expected) in told.iter().zip([
            "subscription `shop/a` stands in ",
            "the subscription has no `name`",
            "d.yaml:3:1: unknown key `snik`",
            "not valid at /sink",
        ]) {
            assert!(told.contains(expected), "{told}");
        }
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn the_example_in_the_folder_of_subscriptions_works() {
        let readme = include_str!("../../config/subscriptions/README.md");
        let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();

        assert!(check("README.md", example).unwrap().id.is_some());
        assert!(read_all(&["config/subscriptions".into()]).unwrap().is_empty());
    }

    #[test]
    fn a_document_names_secrets_of_its_own_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("subscriptions");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("own"), "s").unwrap();
        fs::write(root.path().join("operators"), "s").unwrap();
        std::os::unix::fs::symlink(root.path().join("operators"), folder.join("link")).unwrap();
        let file = |path: &str| check_place(&SecretReference::File(path.into()), &folder);
        let variable = |name: &str| check_place(&SecretReference::Env(name.to_owned()), &folder);

        assert_eq!(file("own"), Ok(()));
        assert_eq!(file(folder.join("own").to_str().unwrap()), Ok(()));
        for outside in ["../operators", "link", "/etc/hostname", "/not/there"] {
            assert!(file(outside).unwrap_err().contains("below the folder"), "{outside}");
        }
        assert_eq!(variable("SHOP_PASSWORD"), Ok(()));
        assert_eq!(variable("SEALWAY_SECRET_SHOP"), Ok(()));
        assert!(variable("SEALWAY_CALLER_KEY").unwrap_err().contains("SEALWAY_SECRET_"));
    }
}
