#!/bin/sh
# Compiles this package, and only it, so that libFuzzer sees which branches an input takes, and fast enough
# to be worth it. Cargo calls it in place of rustc, as RUSTC_WORKSPACE_WRAPPER; stable Rust does all of it.
rustc=$1
shift
case " $* " in
*" --crate-name sealway "*lib* | *" --crate-name fuzz "*)
    exec "$rustc" "$@" -Copt-level=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$rustc" "$@" ;;
esac
