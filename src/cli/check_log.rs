//! Checks publications against the schemas that a log keeps, beside a gateway that may run.

use std::sync::Arc;

use crate::ambient::{Clock, SystemClock, SystemEntropy};
use crate::config::{Config, shown_path};
use crate::contract::Catalog;
use crate::enrich::Publications;
use crate::event::Diagnostic;
use crate::eventlog::{LogOpenError, Registry, StoredLog};
use crate::gateway::{
    BuildError, changed, check_issuer, check_keys, check_log_is_there, naming, published_schemas,
    read_keys,
};
use crate::keys::LogIssuerError;
use crate::telemetry::error_chain;

/// Finds publications whose schema lets something else pass than when an event of the log first named
/// it. Reads the data directory without its lock; one that is not there, or whose tables an older
/// gateway made, names none of these addresses.
///
/// # Errors
///
/// Why the log could not be read: what a gateway's start will say of these schemas is not known.
pub fn changed_schemas(
    config: &Config,
    catalog: &Catalog,
    publications: &Publications,
) -> Result<Vec<Diagnostic>, String> {
    let log = match StoredLog::open(&config.data_dir) {
        Ok(log) => log,
        Err(LogOpenError::Absent { .. } | LogOpenError::Older { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error_chain(&error).to_string()),
    };
    let naming = naming(config, catalog, publications);
    let mut found = Vec::new();
    for (publication, new) in published_schemas(&naming.schemas, catalog, publications) {
        let kept = log.schema_at(&new.address);
        let kept = kept.map_err(|error| error_chain(&error).to_string())?;
        found.extend(kept.and_then(|kept| changed(&publication, catalog, &kept, &new)));
    }
    Ok(found)
}

/// Tells whether the issuer is the one that the log was signed under, or has that among its aliases, as a
/// start does; and warns of names that are missing there.
pub async fn other_issuer(config: &Config) -> Vec<Diagnostic> {
    let Ok(log) = StoredLog::open(&config.data_dir) else { return Vec::new() };
    let registry: Arc<dyn Registry> = Arc::new(log);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let place = shown_path(&config.data_dir);
    match check_issuer(config, &registry, &clock).await {
        Err(BuildError::LogIssuer(other @ LogIssuerError::Other(_))) => {
            vec![Diagnostic::of_file(&place, other.to_string())]
        }
        Err(_) => Vec::new(),
        Ok(forgotten) => forgotten.iter().map(|name| forgotten_name(&place, name)).collect(),
    }
}

fn forgotten_name(place: &str, name: &str) -> Diagnostic {
    let problem = format!(
        "this gateway was {name} once, and receipts that consumers have signed to that name do not count"
    );
    Diagnostic::of_file(place, problem)
        .with_help(format!("add {name} to `issuer-aliases`"))
        .into_warning()
}

/// Tells whether the log is there that the keys know of, as a start does.
pub fn lost_log(config: &Config) -> Option<Diagnostic> {
    let missing = check_log_is_there(config).err()?;
    let place = shown_path(&config.data_dir);
    Some(Diagnostic::of_file(&place, error_chain(&missing).to_string()))
}

/// Tells whether the keys are those that the log names, as a start does. A key that cannot be read is
/// told by whoever looks at the keys, and a log that cannot be read by whoever looks at that.
pub async fn lost_keys(config: &Config) -> Option<Diagnostic> {
    let registry: Arc<dyn Registry> = Arc::new(StoredLog::open(&config.data_dir).ok()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = read_keys(config, &SystemEntropy).ok()?;
    match check_keys(&ring, &registry, &clock).await {
        Err(BuildError::LostKeys(lost)) => {
            let place = shown_path(&config.keys.directory);
            Some(Diagnostic::of_file(&place, lost.to_string()))
        }
        _ => None,
    }
}
