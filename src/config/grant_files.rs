//! Reads grant documents, and finds what is wrong with them before a gateway is asked.

use std::collections::BTreeMap;
use std::path::Path;

use crate::access::{GrantDocument, GrantId};
use crate::config::folder as files_of;
use crate::event::{Diagnostic, yaml};

/// Grants with the files that they stand in, by their ids.
pub type GrantFiles = BTreeMap<GrantId, (String, GrantDocument)>;

/// Reads and checks every grant of a folder; one that is not there has none.
///
/// # Errors
///
/// The caller's turn: every file that cannot be read, every grant that cannot work or has no name, and
/// every name that is given twice.
pub fn grant_folder(folder: &Path) -> Result<GrantFiles, Vec<Diagnostic>> {
    let (mut grants, mut mistakes) = (GrantFiles::new(), Vec::new());
    for (name, text) in files_of(folder)? {
        let file = folder.join(name).display().to_string();
        if let Err(mistake) = add_grant(&mut grants, file, &text) {
            mistakes.push(*mistake);
        }
    }
    if mistakes.is_empty() { Ok(grants) } else { Err(mistakes) }
}

/// Adds what a file says.
pub fn add_grant(grants: &mut GrantFiles, file: String, text: &str) -> Result<(), Box<Diagnostic>> {
    let document: GrantDocument = yaml::read(&file, text)?;
    document.check().map_err(|error| Box::new(Diagnostic::of_file(&file, error.to_string())))?;
    let Some(id) = document.grant_id() else {
        let mistake = Diagnostic::of_file(&file, "the grant has no `id`")
            .with_help("give it one: without a name it would be given anew each time");
        return Err(Box::new(mistake));
    };
    if let Some((other, _)) = grants.get(&id) {
        let problem = format!("grant `{id}` stands in {other} already");
        return Err(Box::new(Diagnostic::of_file(&file, problem)));
    }
    grants.insert(id, (file, document));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_of_a_file_has_a_name_of_its_own_and_can_work() {
        let mut grants = GrantFiles::new();
        let mut found = |text: &str| {
            let added = add_grant(&mut grants, "a.yaml".to_owned(), text);
            added.err().map(|mistake| mistake.to_string())
        };
        let sound = "id: shop-payments\nconsumer: shop\npublication: payments/*\nhistory: all\n";

        assert_eq!(found(sound), None);
        assert!(found(sound).unwrap().contains("stands in a.yaml already"));
        assert!(found("consumer: shop\npublication: x/Y\n").unwrap().contains("no `id`"));
        assert!(found("id: b\nconsumer: shop\npublication: x\n").unwrap().contains("domain/event"));
        assert!(found("id: b\nconsumer: shop\npublication: x/Y\nhistory: ever\n").is_some());
    }
}
