//! The targets with libFuzzer as their engine. `TARGET` names one; `tests/fuzz/run.sh` builds and runs it.
#![no_main]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target says what is wrong by panicking"
)]

mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// The target that the environment names.
fn chosen() -> fn(&[u8]) {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::vars_os().find(|(name, _)| name == "TARGET").expect("TARGET is set").1;
        let target = targets::ALL.iter().find(|target| name == target.name);
        target.expect("there is such a target").run
    })
}

fuzz_target!(|input: &[u8]| chosen()(input));
