//! What the machine around us gives: time, entropy, background work and its turns, and secrets,
//! as arguments.
//!
//! Every other room takes a [`Clock`], an [`Entropy`] or a [`Tasks`] instead of asking the machine,
//! so that a test can make a day of retries pass in a millisecond and repeat a run to the byte.
//!
//! **Invariant:** no other room asks the operating system for the time or for random bytes, or
//! spawns a task that shutdown does not wait for; `clippy.toml` refuses the calls.

mod clock;
mod disk;
mod entropy;
mod fair_turns;
mod host;
mod measure;
mod secret;
mod supervision;
mod tasks;
mod turns;

pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{Disk, ManualDisk, Room, SystemDisk};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use fair_turns::{FairTurn, FairTurns};
pub use host::{host_name, user_id};
pub use measure::{HumanDuration, MeasureError, Size};
pub use secret::{Secret, SecretReference};
pub use supervision::{Panicked, RestartBackoff, guarded, restarted};
pub use tasks::Tasks;
pub use turns::{Turn, Turns};
