//! Evidence bundles: what a subscription was offered in a range, in one file that stands alone.
//!
//! [`EvidenceBundle`] writes the lines of such a file, and [`Examiner`] holds a file against itself, line by
//! line, in memory that does not grow with it. The last line is signed over all lines before it.

mod asked;
mod bundle;
mod events;
mod examiner;
mod contracts;
mod dates;
mod head;
mod incarnations;
mod members;
mod notes;
mod series;
mod signatures;
mod state;
mod telling;
mod told_incarnations;
mod told_notes;
mod trees;
mod trust;
mod witness_trust;

pub use asked::{AskedFrom, ToldAsks, unlike_documents};
pub use bundle::{EventLine, EvidenceBundle, Header, PreviousBundle, SeriesGap, SeriesPlace};
pub use examiner::{BundleLine, Examiner, Flaw, OpenedEvent};
pub use state::{EventState, ToldStates};
pub use told_notes::BundleCosignature;
pub use trust::BundleTrust;
pub use witness_trust::{WitnessTrust, WitnessTrustError};

/// The longest line, in bytes: a contract with its schema fits.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// Receipts of one event that go into a bundle, live and of replays together.
pub const MOST_RECEIPTS: usize = 32;

/// The `typ` of the signature over a bundle.
const BUNDLE_TYPE: &str = "evidence+jwt";
