//! Runs one command and turns its outcome into an exit code.

fn main() -> std::process::ExitCode {
    sealway::cli::main()
}
