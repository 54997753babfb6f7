"""Runs one function over a directory of cases and prints one line of JSON for each."""

import json
import pathlib
import sys


def run(commands):
    """Takes `COMMAND DIR` from the command line; `commands` maps a command to its function."""
    command, directory = sys.argv[1:3]
    for path in sorted(pathlib.Path(directory).iterdir()):
        case = json.loads(path.read_text())
        try:
            outcome = {"ok": True, **commands[command](case)}
        except Exception as error:  # every refusal is an outcome, and its kind is the library's own
            outcome = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"case": case["name"], **outcome}))
