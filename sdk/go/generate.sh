#!/usr/bin/env bash
# Generates the package starflowv1 from the protos, into this folder or the one given.
#
# The versions of all three tools are pinned, because each leaves its own in what it
# writes: protoc by the grpcio-tools of the project's environment, the plugins here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:-$here}
tools=${XDG_CACHE_HOME:-$HOME/.cache}/starflow/go-sdk-tools
module=github.com/starflow/starflow-go

install() { # package@version: each version has a place of its own
    local place=$tools/${1##*/}
    [ -x "$place/$(basename "${1%@*}")" ] || GOBIN=$place go install "$1" >&2
    PATH=$place:$PATH
}
install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6
install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1

files=$(cd "$root/protos" && echo starflow/v1/*.proto)
packages=$(for file in $files; do printf ',M%s=%s/starflowv1' "$file" "$module"; done)
rm -f "$out"/starflowv1/*.pb.go
mkdir -p "$out"
"${PYTHON:-$root/.venv/bin/python}" -m grpc_tools.protoc -I "$root/protos" \
    --go_out="$out" --go_opt="module=$module$packages" \
    --go-grpc_out="$out" --go-grpc_opt="module=$module$packages" $files
