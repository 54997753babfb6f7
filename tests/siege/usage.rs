//! What a process uses, as the kernel counts it (proc(5)).

use std::fs;
use std::time::Duration;

/// The processor time that a process has used; the kernel counts in hundredths of a second.
pub fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(12) + ticks(13)))
}

/// The memory that a process has now, in MiB.
pub fn resident(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most memory that a process has had since it began or was last [`forget`]ten, in MiB.
pub fn peak(process: u32) -> u64 {
    status(process, "VmHWM:")
}

/// Begins to count the peak anew.
pub fn forget(process: u32) {
    // Kernels that cannot do so go on counting: the figure is then too high, and never too low.
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

fn status(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
