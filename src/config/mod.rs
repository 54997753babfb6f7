//! The gateway file: the sum of the rooms' own settings, and what it points at.
//!
//! One YAML file comes in and [`Config`] goes out, with every path made relative to the file, or
//! diagnostics that say where each mistake is. [`folder()`] reads the files that stand beside it, and
//! [`secret()`] what a setting says is kept elsewhere. What one process does differently (which file,
//! what to log) is said on its command line instead.
//!
//! **Invariant:** the file never holds a secret, only where each is kept; and no other room reads
//! the environment.

mod address;
mod contradictions;
mod folder;
mod grant_files;
mod hiding;
mod load;
mod ranges;
mod secret;
mod settings;
mod shown_path;
mod written;

pub use contradictions::contradictions;
pub use folder::{Texts, folder};
pub use grant_files::{GrantFiles, add_grant, grant_folder};
pub use load::{LoadError, load};
pub use secret::{SecretError, secret};
pub use settings::{Config, schema};
pub use shown_path::{DEFAULT_FILE, command, is_same_place, on_disk, shown_path};
pub use written::{SettingDifference, differing, digest_of, digest_of_texts};
