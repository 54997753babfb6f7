#!/usr/bin/env bash
# Runs libFuzzer on one target or on all, each for SECONDS_EACH, and fails when an input fails.
# What it finds on the way is kept below target/fuzz/corpus; inputs that fail, below target/fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${SECONDS_EACH:-120}
targets=${TARGET:-$(sed -n 's/.*Target { name: "\([a-z-]*\)".*/\1/p' tests/fuzz/targets/mod.rs)}
RUSTC_WORKSPACE_WRAPPER=$PWD/tests/fuzz/rustc.sh ${CARGO:-cargo} build --quiet --features fuzz --example fuzz
failed=()
for target in $targets; do
    found=target/fuzz/corpus/$target
    mkdir -p "$found"
    # A minute's word of libFuzzer is long; the last lines say how much it ran.
    if TARGET=$target target/debug/examples/fuzz "$found" "tests/fuzz/corpus/$target" \
        -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="target/fuzz/$target-" ${SEED:+-seed=$SEED} -print_final_stats=1 \
        >"target/fuzz/$target.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "target/fuzz/$target.log")
        echo "$target: $runs inputs in $seconds s, nothing failed"
    else
        failed+=("$target")
        echo "$target: FAILED, see target/fuzz/$target.log"
        grep -E 'panicked|ERROR|Test unit written' -A2 "target/fuzz/$target.log" | head -8
    fi
done
[ ${#failed[@]} -eq 0 ]
