//! Where bundles of evidence are put by themselves, before retention drops what they are about.
//!
//! [`Exports`] knows what the settings want, how far the series of each subscription has come, and where
//! its next bundle goes: a folder, or a bucket of an S3-compatible service that is dialed through the egress
//! guard. Bundles are written by whoever can read and sign them; here they are only files.
//!
//! **Invariants:** a bundle is durable in its place before it is counted as exported, and what a crash
//! cut short is put there again, byte by byte the same, or was never there. Nothing is overwritten.

#[cfg(feature = "aws")]
mod bucket;
mod config;
mod error;
mod exports;
mod folder;
mod series;
mod spool;
mod store;

#[cfg(feature = "aws")]
pub use bucket::{S3Bucket, S3BucketParts};
pub use config::{Config, ExportConfig, ExportTarget, ExportedSubscriptions};
pub use error::ArchiveError;
pub use exports::{ExportStanding, Exports, ExportsParts};
pub use folder::Folder;
pub use series::{ExportSeries, ExportedBundle};
pub use spool::Spool;
pub use store::BundleStore;
