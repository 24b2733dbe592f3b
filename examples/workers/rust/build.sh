#!/usr/bin/env bash
# Builds the worker outside of this folder, and prints where it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/starflow/workers/rust}
mkdir -p "$out"
export PROTOC=$here/../protoc CARGO_TARGET_DIR=$out
cargo build --quiet --locked --manifest-path "$here/Cargo.toml" >&2
echo "$out/debug/starflow-worker"
