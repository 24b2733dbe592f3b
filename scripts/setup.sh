#!/usr/bin/env bash
# Makes .venv, or mends it after a change of pyproject.toml; run by `make`.
#
# Needs Python 3.11 or newer with its venv module, which Debian and Ubuntu put into a
# package of its own.  As root it installs what is missing; otherwise it says what to type.
# PYTHON=/path/to/python chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if is_new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

can_make_venvs() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

install_or_tell() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing $*"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        echo "setup: $* is missing. Install it and run make again, for example:" >&2
        echo "    sudo apt-get install $*" >&2
        exit 1
    fi
}

if ! python=$(find_python); then
    if [ -n "${PYTHON:-}" ]; then
        echo "setup: PYTHON=$PYTHON is not Python 3.11 or newer" >&2
        exit 1
    fi
    install_or_tell python3 python3-venv
    if ! python=$(find_python); then
        echo "setup: $(python3 --version) is too old, 3.11 is the oldest that will do." >&2
        echo "    PYTHON=/path/to/a/newer/python make setup" >&2
        exit 1
    fi
fi
if ! can_make_venvs "$python"; then
    # The package goes by the version: python3.12 may stand beside an older python3.
    install_or_tell "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
fi

# A set-up that was interrupted leaves an environment without pip.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "setup: making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
echo "setup: installing into .venv, about a minute the first time"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[service,dev]'
touch .venv/.stamp
