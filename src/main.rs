//! Runs one command and turns its outcome into an exit code.

/// Gives memory back to the system some seconds after it was needed, also when nothing is done any more.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    sealway::cli::main()
}
