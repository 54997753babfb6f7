#!/bin/sh
# Starts ministack on a port that the machine chooses, walks the demo on it, and ends it.
# Arguments: how `sealway` is called, for example `cargo run --`. `make harness` has installed ministack.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
python="$here/../../.harness/aws/ministack/bin/python"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
directory=$(mktemp -d)
mkfifo "$directory/held"

BIND_HOST=127.0.0.1 GATEWAY_PORT=$port SERVICES=sqs,events,sts,iam IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 \
    DOCKER_HOST=unix:///nonexistent TMPDIR="$directory" \
    "$python" "$here/emulator.py" ministack < "$directory/held" > "$directory/log" 2>&1 &
emulator=$!
# The emulator ends when nobody holds this end, however this script ends.
exec 3> "$directory/held"
end() {
    kill "$emulator" 2>/dev/null || true
    wait "$emulator" 2>/dev/null || true
    rm -rf "$directory"
}
trap end EXIT
trap 'exit 130' INT TERM

tries=0
until python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/_ministack/ready')" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ] || ! kill -0 "$emulator" 2>/dev/null; then
        echo "ministack does not start:" >&2
        cat "$directory/log" >&2
        exit 3
    fi
    sleep 0.5
done

AWS_ACCESS_KEY_ID=111122223333 AWS_SECRET_ACCESS_KEY=demo AWS_EC2_METADATA_DISABLED=true \
    "$@" demo --aws "http://127.0.0.1:$port" 3>&-
