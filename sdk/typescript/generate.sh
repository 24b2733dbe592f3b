#!/usr/bin/env bash
# Generates src/gen, or the folder that its argument names, from the protos; needs `npm ci`
# here and `make setup` at the root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:-$here/src/gen}
python=${PYTHON:-$root/.venv/bin/python}
# What the service puts into its errors is described in a package of Google's.
google=$("$python" -c 'import google.rpc, os; print(os.path.dirname(os.path.dirname(google.rpc.__path__[0])))')
rm -rf "$out"
mkdir -p "$out"
cd "$root/protos"
"$python" -m grpc_tools.protoc -I . -I "$google" \
    --plugin="protoc-gen-es=$here/node_modules/.bin/protoc-gen-es" \
    --es_out="$out" --es_opt=target=ts,import_extension=js \
    starflow/v1/*.proto google/rpc/error_details.proto
