#!/usr/bin/env bash
# Builds the worker outside of this folder, and prints what the class path is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/starflow/workers/java}
mvn --quiet --batch-mode --file "$here/pom.xml" -Dout="$out" package >&2
echo "$out/classes:$out/dependency/*"
