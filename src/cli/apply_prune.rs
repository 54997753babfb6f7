//! Removes what files name no more: subscriptions of consumers and grants of domains that other files
//! still name.

use std::collections::BTreeSet;

use anyhow::anyhow;
use reqwest::Method;
use serde::Serialize;

use crate::cli::client::segment;
use crate::cli::{Client, Column, CommandResult, Exit, Failure, Output};

/// Something that the gateway has and no file names.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// `subscription` or `grant`.
    kind: &'static str,
    /// Its name: `consumer/name`, or `domain/name`.
    name: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How the gateway is asked to remove it.
    #[serde(skip)]
    path: String,
}

/// What is shown of it.
const COLUMNS: &[Column<Pruned>] = &[
    ("Kind", |one| one.kind.to_owned()),
    ("Name", |one| one.name.clone()),
    ("Outcome", |one| one.outcome.to_owned()),
];

/// A thing of a kind that files describe: its owner (a consumer or a domain), its whole name, and its path in
/// the API.
pub struct Candidate {
    pub owner: String,
    pub name: String,
    pub path: String,
}

/// What of one kind is to go: what no file names, of owners of which some file names something.
pub fn surplus(
    kind: &'static str,
    there: Vec<Candidate>,
    (named, owners): (&BTreeSet<String>, &BTreeSet<String>),
) -> Vec<Pruned> {
    let goes = |one: &Candidate| owners.contains(&one.owner) && !named.contains(&one.name);
    let gone = there.into_iter().filter(goes);
    gone.map(|one| Pruned {
        kind,
        name: one.name,
        outcome: "would be removed",
        problem: None,
        path: one.path,
    })
    .collect()
}

/// Lists what is to go, and removes it unless this is a rehearsal; the answer is no if some of it stays.
///
/// # Errors
///
/// As [`Client::send`]; what was removed before stays removed.
pub async fn prune(
    (client, output): (&Client, Output),
    mut surplus: Vec<Pruned>,
    dry_run: bool,
) -> CommandResult {
    if surplus.is_empty() {
        output
            .note("nothing to remove: files name all that is there of their consumers and domains");
        return Ok(Exit::Done);
    }
    let removed = if dry_run { Ok(()) } else { remove((client, output), &mut surplus).await };
    output.list(&surplus, COLUMNS);
    for one in surplus.iter().filter(|one| one.problem.is_some()) {
        let problem = one.problem.as_deref().unwrap_or_default();
        output.note(format_args!("{} {}: {problem}", one.kind, one.name));
    }
    removed?;
    let stays = surplus.iter().any(|one| one.problem.is_some());
    Ok(if stays { Exit::No } else { Exit::Done })
}

/// Removes them one by one, and notes what became of each.
async fn remove(
    (client, output): (&Client, Output),
    surplus: &mut [Pruned],
) -> Result<(), Failure> {
    // Before anything goes, so that it is known if the connection breaks.
    for one in &mut *surplus {
        output.note(format_args!("removing {} {}", one.kind, one.name));
        one.outcome = "not removed";
    }
    for one in surplus {
        match client.call::<()>(Method::DELETE, &one.path, None).await {
            Ok(_) => one.outcome = "removed",
            Err(failure) if failure.is_input() => {
                (one.outcome, one.problem) = ("refused", Some(failure.to_string()));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The path of a subscription.
///
/// # Errors
///
/// The caller's turn: the id cannot stand in a path.
pub fn subscription_path(id: &str) -> Result<String, Failure> {
    Ok(format!("/subscriptions/{}", segment(id)?))
}

/// The path by which a grant is recalled.
///
/// # Errors
///
/// As [`subscription_path`].
pub fn grant_path(id: &str) -> Result<String, Failure> {
    Ok(format!("/grants/{}?reason={}", segment(id)?, segment("no file names it any more")?))
}

/// Refuses to prune by single files: what the others name would go.
///
/// # Errors
///
/// The caller's turn: a path is no folder.
pub fn check_paths(paths: &[std::path::PathBuf]) -> Result<(), Failure> {
    match paths.iter().find(|path| !path.is_dir()) {
        Some(file) => Err(Failure::input(anyhow!(
            "--prune goes with folders, which name all that there is to be; {} is none",
            file.display()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_owners_of_files_have_and_no_file_names_goes() {
        let there = |name: &str| Candidate {
            owner: name.split('/').next().unwrap().to_owned(),
            name: name.to_owned(),
            path: format!("/{name}"),
        };
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();

        let gone = surplus(
            "subscription",
            ["shop/kept", "shop/gone", "other/untouched"].map(there).into(),
            (&set(&["shop/kept", "shop/new"]), &set(&["shop"])),
        );

        assert_eq!(gone.len(), 1);
        assert_eq!((gone[0].name.as_str(), gone[0].path.as_str()), ("shop/gone", "/shop/gone"));
        assert!(surplus("grant", vec![there("shop/gone")], (&set(&[]), &set(&[]))).is_empty());
    }
}
