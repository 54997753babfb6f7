#!/bin/sh
# Installs AWS emulators and SDKs of other ecosystems, at the pinned versions, into .harness/aws at
# the root of the repository. Running it again costs nothing while the pins are the same.
#
# Python and Node are needed. Go and Java are not: where their toolchain is missing, or cannot fetch
# its SDK, the reason is written to `go/not-run` or `java/not-run`, and the tests print it.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
harness=$(CDPATH= cd -- "$here/../.." && pwd)/.harness/aws
# How long Go and Maven may try to fetch their SDK.
patience=300

virtual_environment() {
    python3 -m venv "$harness/$1"
    "$harness/$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/$1.txt"
}

python_and_node() {
    pins=$(cat "$here/moto.txt" "$here/ministack.txt" "$here/package-lock.json" | cksum)
    if [ "$(cat "$harness/pins" 2>/dev/null || true)" = "$pins" ]; then
        return
    fi
    for tool in node npm python3; do
        command -v "$tool" >/dev/null || { echo "tests/aws/setup.sh: install $tool first" >&2; exit 1; }
    done
    rm -rf "$harness"
    mkdir -p "$harness"
    virtual_environment moto
    virtual_environment ministack
    cp "$here/package.json" "$here/package-lock.json" "$harness/"
    (cd "$harness" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    # Written last: a run that was cut off starts again.
    printf '%s\n' "$pins" > "$harness/pins"
}

# Builds what a toolchain needs in the directory of its name, unless this toolchain has been asked
# about these files before. $1: the directory; $2: the program that must be there; $3: what makes it.
toolchain() {
    home="$harness/$1"
    pins=$({ command -v "$2" || true; cat "$here/$1"/*; } | cksum)
    if [ "$(cat "$home/pins" 2>/dev/null || true)" = "$pins" ]; then
        return
    fi
    rm -rf "$home"
    mkdir -p "$home"
    cp "$here/$1"/* "$home/"
    if ! command -v "$2" >/dev/null; then
        echo "no toolchain: $2 is not installed" > "$home/not-run"
    elif ! (cd "$home" && "$3") > "$home/log" 2>&1; then
        echo "the SDK cannot be fetched and built here: see .harness/aws/$1/log" > "$home/not-run"
    fi
    printf '%s\n' "$pins" > "$home/pins"
}

go_producer() {
    timeout "$patience" go build -mod=mod -o producer .
}

java_producer() {
    command -v javac && timeout "$patience" mvn -B -q compile dependency:build-classpath \
        -Dmdep.outputFile=classpath
}

python_and_node
toolchain go go go_producer
toolchain java mvn java_producer
