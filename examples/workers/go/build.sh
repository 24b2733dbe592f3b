#!/usr/bin/env bash
# Builds the worker outside of this folder, and prints where it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/starflow/workers/go}
mkdir -p "$out/starflow"
export GOBIN=$out/tools PATH=$here/..:$out/tools:$PATH
[ -x "$GOBIN/protoc-gen-go" ] || go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6 >&2
[ -x "$GOBIN/protoc-gen-go-grpc" ] || go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1 >&2
cp "$here"/*.go "$here"/go.* "$out"

# The protos leave the choice of a Go package to whoever generates.
protos=$here/../../../protos
files=$(cd "$protos" && echo starflow/v1/{worker_service,failure,payload,retry}.proto)
packages=$(for file in $files; do printf ',M%s=example.org/worker/starflow' "$file"; done)
protoc -I "$protos" --go_out="$out" --go-grpc_out="$out" \
    --go_opt="module=example.org/worker$packages" --go-grpc_opt="module=example.org/worker$packages" $files
(cd "$out" && go build -o worker . >&2)
echo "$out/worker"
