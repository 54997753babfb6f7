//! `sealway check`: every mistake in everything that people write, without a running gateway.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::ambient::{SecretReference, SystemEntropy};
use crate::cli::check_log::{changed_schemas, lost_keys, lost_log, other_issuer};
use crate::cli::rehearsal::{Rehearsed, rehearse};
use crate::cli::subscription_file::{check_place, places_of_secrets};
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Output};
use crate::config::{self, Config, GrantFiles, Texts, add_grant, on_disk, shown_path as shown};
use crate::contract::{Catalog, Gate};
use crate::egress::Egress;
use crate::enrich::{AccessRule, Publication, Publications};
use crate::event::{Diagnostic, Severity, number_of, read_whole};
use crate::keys::{FileKeyStore, KeyRing};
use crate::subscriptions::{GivenDocument, Subscriptions};
use crate::telemetry::error_chain;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check the files only, not the secrets, keys and log of this machine
    #[arg(long)]
    files_only: bool,
    /// Say how each publication was rehearsed also where there are mistakes
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    data: DataDirectory,
    /// Also tell programs how each publication was rehearsed: with `--output json`, print an object
    /// with `mistakes` and `rehearsals` in place of the list of mistakes
    #[arg(long)]
    rehearsals: bool,
}

/// All that was found, for programs.
#[derive(Serialize)]
struct CheckAnswer<'a> {
    mistakes: Vec<Shown<'a>>,
    rehearsals: &'a [Rehearsed],
}

/// A mistake, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    severity: Severity,
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    problem: &'a str,
    help: &'a str,
}

/// Runs the command: done if there is no mistake, whatever warnings there are.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let config = if args.files_only { context.config()? } else { args.data.config(context)? };
    let mut check = Check {
        config: &config,
        mistakes: config::contradictions(&context.config, &config),
        rehearsals: Vec::new(),
        secrets: Vec::new(),
        reads_log: !args.files_only,
        unread_log: None,
    };
    let counts = check.files();
    if !args.files_only {
        check.machine();
        check.mistakes.extend(lost_log(&config));
        check.mistakes.extend(lost_keys(&config).await);
        check.mistakes.extend(other_issuer(&config).await);
    }
    let Check { mistakes, rehearsals, .. } = check;
    let output = context.output();
    if let Some(problem) = check.unread_log {
        output.note(format_args!(
            "whether the schemas of events in the log have changed is not known: {problem}"
        ));
    }
    if output.is_json() {
        document(args, output, &mistakes, &rehearsals);
    }
    let errors = mistakes.iter().filter(|one| one.is_error()).count();
    // What is in order would push mistakes off the screen.
    if errors == 0 || args.verbose {
        for rehearsed in &rehearsals {
            output.note(rehearsed);
        }
    }
    for mistake in &mistakes {
        output.note(mistake);
    }
    let warnings = mistakes.len() - errors;
    let warned =
        if warnings == 0 { String::new() } else { format!(", {}", number_of(warnings, "warning")) };
    if errors == 0 {
        output.note(format_args!("no mistake in {}, {counts}{warned}", context.config.display()));
        return Ok(Exit::Done);
    }
    output.note(format_args!("{}{warned}", number_of(errors, "mistake")));
    Ok(Exit::No)
}

fn document(args: &Args, output: Output, mistakes: &[Diagnostic], rehearsals: &[Rehearsed]) {
    let mistakes: Vec<Shown<'_>> = mistakes.iter().map(Shown::of).collect();
    if args.rehearsals {
        output.document(&CheckAnswer { mistakes, rehearsals });
    } else {
        output.document(&mistakes);
    }
}

impl<'a> Shown<'a> {
    fn of(mistake: &'a Diagnostic) -> Self {
        Self {
            severity: mistake.severity,
            file: &mistake.file,
            line: mistake.place.map(|(line, _)| line),
            column: mistake.place.map(|(_, column)| column),
            problem: &mistake.problem,
            help: &mistake.help,
        }
    }
}

struct Check<'a> {
    config: &'a Config,
    mistakes: Vec<Diagnostic>,
    rehearsals: Vec<Rehearsed>,
    /// Secrets that subscriptions name, and the folders where their paths begin.
    secrets: Vec<(SecretReference, PathBuf)>,
    /// Whether the log of this machine is read, too.
    reads_log: bool,
    /// Why it could not be.
    unread_log: Option<String>,
}

impl Check<'_> {
    /// Checks contracts, publications and subscriptions, and says how many there are.
    fn files(&mut self) -> String {
        let texts = self.folder(&self.config.contracts);
        let catalog = Catalog::load(&texts);
        let texts = self.folder(&self.config.publications);
        let (publications, mistakes) = Publications::read(&texts);
        self.note_all(&self.config.publications, mistakes);
        self.note_all(&self.config.publications, publications.warnings().to_vec());
        self.note_all(&self.config.publications, silent_on_access(&publications));
        let counts = format!(
            "{}, {}, ",
            number_of(catalog.documents().count(), "contract"),
            number_of(publications.iter().count(), "publication")
        );
        self.keep(&self.config.publications, catalog.check_publications(&publications));
        let gate = Gate::of_what_is_sound(Arc::new(catalog), &publications);
        self.note_all(&self.config.contracts, gate.diagnostics().to_vec());
        self.publications(&publications, &gate);
        self.log(gate.catalog(), &publications);
        let grants = self.grants(&publications);
        let subscriptions = self.folder(&self.config.subscriptions);
        for (name, text) in &subscriptions {
            self.subscription(&shown(&self.config.subscriptions.join(name)), text);
        }
        counts
            + &format!(
                "{}, {}",
                number_of(grants, "grant"),
                number_of(subscriptions.len(), "subscription")
            )
    }

    /// Holds grants against what is published; says how many there are.
    fn grants(&mut self, publications: &Publications) -> usize {
        let mut grants = GrantFiles::new();
        let texts = self.folder(&self.config.grants);
        for (name, text) in &texts {
            let file = shown(&self.config.grants.join(name));
            self.mistakes.extend(add_grant(&mut grants, file, text).err().map(|mistake| *mistake));
        }
        for (file, grant) in grants.into_values() {
            let covered: Vec<_> =
                publications.iter().filter(|one| grant.publication.covers(one.name())).collect();
            let problem = if covered.is_empty() {
                format!("nothing is published as `{}`", grant.publication)
            } else if covered.iter().all(|one| one.access() != Some(AccessRule::Grant)) {
                format!(
                    "`{}` is public: who is granted it hears no more than others",
                    grant.publication
                )
            } else {
                continue;
            };
            let mistake = Diagnostic::of_file(&file, problem);
            let is_public = !covered.is_empty();
            let severity = if is_public { Severity::Warning } else { Severity::Error };
            self.mistakes.push(Diagnostic { severity, ..mistake });
        }
        texts.len()
    }

    /// Checks that no schema has changed which events of the log name.
    fn log(&mut self, catalog: &Catalog, publications: &Publications) {
        if !self.reads_log {
            return;
        }
        match changed_schemas(self.config, catalog, publications) {
            Ok(changed) => {
                self.keep::<()>(&self.config.contracts, Err(changed));
            }
            Err(problem) => self.unread_log = Some(problem),
        }
    }

    /// Holds publications against their messages, and tries those whose message is there.
    fn publications(&mut self, publications: &Publications, gate: &Gate) {
        for publication in publications.iter() {
            let (rehearsed, mistakes) = rehearse(publication, gate);
            self.rehearsals.push(rehearsed);
            let unfit = gate.catalog().unfit(publication);
            // What the analysis has said is not said again by an example.
            if !unfit.iter().any(Diagnostic::is_error) {
                self.note_all(&self.config.publications, mistakes);
            }
            self.note_all(&self.config.publications, unfit);
        }
    }

    fn subscription(&mut self, name: &str, text: &str) {
        match read_whole::<GivenDocument>(name, text) {
            Err(mut mistakes) => self.mistakes.append(&mut mistakes),
            Ok(given) => {
                let document = match given.for_another() {
                    Ok(document) => document,
                    Err(error) => {
                        let problem = error_chain(&error).to_string();
                        return self.mistakes.push(Diagnostic::of_file(name, problem));
                    }
                };
                let egress = Egress::new(self.config.delivery.egress.clone());
                let checked = Subscriptions::check(&document);
                let caps = self.config.delivery.caps();
                let buses = self.config.event_bus_permissions();
                let allowed =
                    [egress.check(&document), buses.check(&document), caps.check(&document, None)];
                // What is not valid at all says nothing about what is allowed.
                let errors = match checked {
                    Err(error) => vec![error],
                    Ok(()) => allowed.into_iter().filter_map(Result::err).collect(),
                };
                for error in errors {
                    self.mistakes.push(Diagnostic::of_file(name, error_chain(&error).to_string()));
                }
                match places_of_secrets(document.sinkcredential.as_deref(), name) {
                    Ok(places) => {
                        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
                        let refused = places.iter().filter_map(|at| check_place(at, folder).err());
                        let refused = refused.map(|problem| Diagnostic::of_file(name, problem));
                        self.mistakes.extend(refused);
                        self.secrets.extend(places.into_iter().map(|at| (at, folder.to_owned())));
                    }
                    Err(mistake) => self.mistakes.push(*mistake),
                }
            }
        }
    }

    /// Checks that secrets can be had and keys can be used; makes none.
    fn machine(&mut self) {
        let ours = self.config.secrets().map(|at| (at, &*self.config.directory));
        let theirs = self.secrets.iter().map(|(at, folder)| (at, &**folder));
        for (reference, folder) in ours.chain(theirs) {
            if let Err(error) = config::secret(reference, folder) {
                let problem = error_chain(&error).to_string();
                self.mistakes.push(Diagnostic::of_file(&reference.to_string(), problem));
            }
        }
        let settings = &self.config.keys;
        let is_key = |entry: fs::DirEntry| entry.path().extension().is_some_and(|e| e == "json");
        let entries = fs::read_dir(&settings.directory).into_iter().flatten().flatten();
        // Without key files there is nothing to check: the first start makes them.
        if !entries.into_iter().any(is_key) {
            return;
        }
        let reference = settings.passphrase.as_ref();
        let Ok(passphrase) =
            reference.map(|at| config::secret(at, &self.config.directory)).transpose()
        else {
            return;
        };
        let place = shown(&settings.directory);
        let store = match FileKeyStore::open(&settings.directory, passphrase, &SystemEntropy) {
            Ok(store) => store,
            Err(error) => {
                return self
                    .mistakes
                    .push(Diagnostic::of_file(&place, error_chain(&error).to_string()));
            }
        };
        if let Err(error) = KeyRing::read(Arc::new(store), settings.lifecycle()) {
            self.mistakes.push(Diagnostic::of_file(&place, error_chain(&error).to_string()));
        }
    }

    fn folder(&mut self, directory: &Path) -> Texts {
        config::folder(directory).unwrap_or_else(|mut mistakes| {
            self.mistakes.append(&mut mistakes);
            Texts::new()
        })
    }

    /// Notes the mistakes of files that were read from a folder, under their names on the disk.
    fn keep<T>(&mut self, folder: &Path, read: Result<T, Vec<Diagnostic>>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(mistakes) => {
                self.note_all(folder, mistakes);
                None
            }
        }
    }

    fn note_all(&mut self, folder: &Path, mistakes: Vec<Diagnostic>) {
        self.mistakes.extend(mistakes.into_iter().map(|one| on_disk(folder, one)));
    }
}

/// Warns, once for each domain, of publications that do not say who may hear them: everyone may.
fn silent_on_access(publications: &Publications) -> Vec<Diagnostic> {
    let silent = publications.iter().filter(|one| one.access().is_none());
    let mut first: BTreeMap<&str, &Arc<Publication>> = BTreeMap::new();
    for one in silent {
        first.entry(one.domain()).or_insert(one);
    }
    let warning = |(domain, one): (&str, &Arc<Publication>)| {
        let problem = format!(
            "every consumer may hear what `{domain}` publishes: its file does not say `access:`"
        );
        one.mistake(one.places().event, problem)
            .with_help("write `access: grant`, and give grants, or `access: public`; the next major version takes silence for `grant`")
            .into_warning()
    };
    first.into_iter().map(warning).collect()
}
