//! What the machine is called, and who runs here.

use std::fs;

/// The longest name that is taken; the system's own bound is 64.
const LONGEST: usize = 64;

/// What the machine, or the container, is called, for people who look for it.
pub fn host_name() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let name: String = told.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The number of the user as whom this process runs, where the machine tells.
pub fn user_id() -> Option<u32> {
    let own = fs::metadata("/proc/self").ok()?;
    Some(std::os::unix::fs::MetadataExt::uid(&own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name_of_one_line() {
        let name = host_name();

        assert!(!name.is_empty() && name.lines().count() == 1, "{name:?}");
    }
}
