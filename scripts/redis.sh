#!/usr/bin/env bash
# Sees to it that there is a redis-server for the tests, which start their own; run by
# `make test`.
#
# Any release from 6.2 on will do, and so will valkey-server.  As root, and in continuous
# integration with sudo, it installs what is missing; otherwise it says what to type.
set -euo pipefail

is_there() {
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null
}

install_as() {
    echo "redis: installing redis-server"
    "$@" apt-get update -qq
    "$@" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

if is_there; then
    exit 0
fi
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        install_as env
    elif [ -n "${CI:-}" ] && sudo -n true 2>/dev/null; then
        install_as sudo -n
    fi
fi
if ! is_there; then
    echo "redis: the tests need redis-server, 6.2 or newer, in the PATH. For example:" >&2
    echo "    sudo apt-get install redis-server" >&2
    exit 1
fi
