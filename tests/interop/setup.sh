#!/bin/sh
# Installs the libraries of other ecosystems, at the pinned versions, into .harness at the root of the
# repository. Running it again costs nothing while the pins are the same.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
harness=$(CDPATH= cd -- "$here/../.." && pwd)/.harness
pins=$(cat "$here/package-lock.json" "$here/requirements.txt" | cksum)

if [ "$(cat "$harness/pins" 2>/dev/null || true)" = "$pins" ]; then
    exit 0
fi

for tool in node npm python3; do
    command -v "$tool" >/dev/null || { echo "tests/interop/setup.sh: install $tool first" >&2; exit 1; }
done

# Others install below .harness as well, and keep what they have.
rm -rf "$harness/node_modules" "$harness/venv" "$harness/pins"
mkdir -p "$harness"
cp "$here/package.json" "$here/package-lock.json" "$harness/"
(cd "$harness" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
python3 -m venv "$harness/venv"
"$harness/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
# Written last: a run that was cut off starts again.
printf '%s\n' "$pins" > "$harness/pins"
