#!/usr/bin/env bash
# Builds the worker outside of this folder, and prints where it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/starflow/workers/typescript}
mkdir -p "$out/gen"
export PATH=$here/..:$out/node_modules/.bin:$PATH
cp "$here"/*.ts "$here"/*.json "$out"
cd "$out"
cmp -s package-lock.json node_modules/.made-from || { npm ci --no-audit --no-fund >&2; cp package-lock.json node_modules/.made-from; }
protos=$here/../../../protos
protoc -I "$protos" --es_out=gen --es_opt=target=ts,import_extension=js \
    "$protos"/starflow/v1/{worker_service,failure,payload,retry}.proto
tsc >&2
echo "$out/dist/worker.js"
