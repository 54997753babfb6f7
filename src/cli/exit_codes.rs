//! Says in the help of each command which exit codes it has.

/// The commands that can answer no, with what that means.
const NO: &[(&str, &str)] = &[
    ("apply", "the gateway refused a document"),
    ("aws doctor", "a call was refused, not answered or not made"),
    ("aws drain", "something was left in the queue"),
    ("check", "there are mistakes"),
    ("contract sample", "no data was found that keeps the message"),
    ("dead-letters redrive", "there was nothing to bring back, or it was cancelled"),
    ("demo", "a claim did not hold"),
    ("events key", "the event carries another key"),
    ("events put", "lines were refused or could not be read"),
    ("events try", "an event would not cross: refused, quarantined, or wanted by nobody"),
    ("evidence verify", "something is wrong"),
    ("log proof accepted", "something of what was signed is not proved"),
    ("log restore", "the backup is damaged"),
    ("log verify", "something is wrong"),
    ("open", "the token does not open"),
    ("quarantine release", "something stays that was to be released"),
    ("replay start", "it was cancelled"),
    ("verify-chain", "something is missing, doubled, out of order, altered or not to be believed"),
];
/// The one that can leave the answer open.
const UNPROVED: (&str, &str) = ("evidence verify", "consistent, but believed with its own keys");

/// Adds the exit codes to the help of a command and of those below it; the path names it, without
/// the program.
pub fn described(command: clap::Command, path: &str) -> clap::Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|one| {
            let path = format!("{path} {}", one.get_name());
            described(one, path.trim_start())
        });
    }
    command.after_help(codes(path))
}

fn codes(path: &str) -> String {
    let no = NO
        .iter()
        .find(|(of, _)| *of == path)
        .map(|(_, meaning)| format!(", or the answer is yes\n  1  the answer is no: {meaning}"));
    let open = (path == UNPROVED.0).then(|| format!("\n  4  {}", UNPROVED.1));
    let (no, open) = (no.unwrap_or_default(), open.unwrap_or_default());
    format!(
        "Exit codes:\n  0  done{no}\n  2  the command line, a file or the request is wrong; change \
         it\n  3  the gateway cannot be reached, or something of ours is broken{open}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_named_is_there() {
        let mut root = described(crate::cli::command::line(), "");
        root.build();
        for (path, meaning) in NO.iter().chain([&UNPROVED]) {
            let names = path.split(' ');
            let found = names.fold(&root, |group, name| group.find_subcommand(name).expect(path));
            let help = found.clone().render_help().to_string();
            assert!(help.contains(meaning) && help.contains("\n  3  the gateway"), "{help}");
        }
        let list = root.find_subcommand("subscriptions").unwrap().find_subcommand("list").unwrap();
        assert!(!list.clone().render_help().to_string().contains("\n  1  "));
    }
}
