//! Tests of the room as a whole: public suites, numbers of any size, and generated pairs.

mod dialects;
mod generated;
mod numbers;
mod oracle;
mod pairs;
mod shrink;
mod suite;

use std::collections::BTreeMap;

use crate::contract::Catalog;
use crate::event::Diagnostic;

/// The catalog of a contract `case.yaml` whose message `M` can be published, or what is wrong.
fn sound(files: &BTreeMap<String, String>) -> Result<Catalog, String> {
    let catalog = Catalog::load(files);
    if catalog.message("case.yaml", "M").is_some() {
        return Ok(catalog);
    }
    let shown: Vec<String> = catalog.diagnostics().iter().map(Diagnostic::to_string).collect();
    Err(shown.join("; ").replace('\n', " "))
}
