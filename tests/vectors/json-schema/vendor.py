"""Makes the files of this folder from a checkout of JSON-Schema-Test-Suite: vendor.py <suite>."""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
DRAFTS = {
    "draft4": "draft-04",
    "draft7": "draft-07",
    "draft2019-09": "2019-09",
    "draft2020-12": "2020-12",
}
# The formats of text that `src/contract/rules.rs` claims.
FORMATS = re.findall(
    r'"([a-z0-9-]+)"',
    re.search(
        r"TEXT_FORMATS: \[&str; \d+\] = \[(.*?)\]",
        (HERE / "../../../src/contract/rules.rs").read_text(),
        re.S,
    )[1],
)
# A text, or what stands between tokens. Numbers keep every character, so nothing is parsed.
TEXT_OR_SPACE = re.compile(r'"(?:[^"\\]|\\.)*"|\s+')


def compact(text):
    return TEXT_OR_SPACE.sub(lambda m: m[0] if m[0][0] == '"' else "", text)


def groups(path):
    """The texts of the groups of a file."""
    text = compact(path.read_text(encoding="utf-8"))
    found, at = [], 1
    while text[at] != "]":
        _, end = json.JSONDecoder().raw_decode(text, at)
        found.append(text[at:end])
        at = end + (text[end] == ",")
    return found


def wanted(name):
    return not name.startswith("optional/format/") or Path(name).stem in FORMATS


def main(suite):
    for folder, draft in DRAFTS.items():
        root = Path(suite) / "tests" / folder
        paths = sorted(root.rglob("*.json"))
        names = [(path, path.relative_to(root).as_posix()) for path in paths]
        files = [
            f'{{"file":{json.dumps(name)},"groups":[\n' + ",\n".join(groups(path)) + "\n]}"
            for path, name in names
            if wanted(name)
        ]
        (HERE / f"{draft}.json").write_text("[\n" + ",\n".join(files) + "\n]\n", encoding="utf-8")


main(sys.argv[1])
