//! What a process has used, as the kernel counts it (proc(5)).

use std::fs;
use std::time::Duration;

/// What a process has used until a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all its threads, also those that have ended.
    pub cpu: Duration,
    /// Bytes that it had written to storage.
    pub written: u64,
    /// Its resident memory, in KiB.
    pub resident: u64,
}

impl Usage {
    /// What a process has used until now; nothing where the kernel does not tell.
    pub fn of(process: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
        let stat = read("stat").unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0u64);
        let number = |file: &str, name: &str| {
            let text = read(file).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
        };
        Self {
            // The kernel counts in hundredths of a second.
            cpu: Duration::from_millis(10 * (ticks(12) + ticks(13))),
            written: number("io", "write_bytes:"),
            resident: number("status", "VmRSS:"),
        }
    }

    /// What was used since a moment before; the memory as it is now.
    pub fn since(self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written - before.written,
            ..self
        }
    }
}
