//! Puts together where bundles of evidence go, if any are written by schedule.

use std::sync::Arc;

use crate::archive::{BundleStore, ExportConfig, ExportTarget, Exports, ExportsParts, Folder};
#[cfg(feature = "aws")]
use crate::archive::{S3Bucket, S3BucketParts};
use crate::config::Config;
use crate::egress::Egress;
use crate::eventlog::Store;
use crate::gateway::aws_edges::AwsEdges;
use crate::gateway::build_error::BuildError;
use crate::gateway::machine::Machine;

/// What the settings want of bundles; nothing if they want none.
///
/// # Errors
///
/// The operator's turn: a setting. Ours: TLS cannot be set up.
pub(super) fn exports(
    (config, machine): (&Config, &Machine),
    (egress, aws): (&Arc<Egress>, &AwsEdges),
    store: &Store,
) -> Result<Option<Arc<Exports>>, BuildError> {
    let Some(export) = &config.evidence.export else { return Ok(None) };
    if let Some((setting, problem)) = export.problem() {
        return Err(BuildError::Settings(format!("evidence.export.{setting}: {problem}")));
    }
    let place: Arc<dyn BundleStore> = match &export.to {
        ExportTarget::Folder(path) => Arc::new(Folder::new(path.clone())),
        ExportTarget::Bucket { name, prefix } => {
            bucket((name, prefix), (config, export, machine), (egress, aws))?
        }
    };
    let registry = Arc::clone(&store.registry);
    let parts = ExportsParts { config: export.clone(), place, registry };
    Ok(Some(Arc::new(Exports::new(parts))))
}

#[cfg(feature = "aws")]
fn bucket(
    (name, prefix): (&str, &str),
    (config, export, machine): (&Config, &ExportConfig, &Machine),
    (egress, aws): (&Arc<Egress>, &AwsEdges),
) -> Result<Arc<dyn BundleStore>, BuildError> {
    let endpoint = export.endpoint_url.as_ref().or(config.aws.endpoint_url.as_ref());
    Ok(Arc::new(S3Bucket::new(S3BucketParts {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        region: export.region.clone().unwrap_or_default(),
        endpoint: endpoint.cloned(),
        spool: config.data_dir.join("evidence-spool"),
        aws: aws.clients(),
        clients: crate::egress::GuardedClients::new(egress).map_err(BuildError::Client)?,
        clock: Arc::clone(&machine.clock),
    })))
}

#[cfg(not(feature = "aws"))]
fn bucket(
    _: (&str, &str),
    _: (&Config, &ExportConfig, &Machine),
    _: (&Arc<Egress>, &AwsEdges),
) -> Result<Arc<dyn BundleStore>, BuildError> {
    Err(BuildError::Settings(crate::aws::WITHOUT_AWS.to_owned()))
}
