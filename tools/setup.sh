#!/usr/bin/env bash
# Make .venv and install thinwire into it:  tools/setup.sh TORCH EXTRAS
# PYTHON and PIP_ARGS may be given in the environment; the Makefile says what they are.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=$1
extras=$2

say() { echo "── $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }

# A name on the path is not yet a Python that starts: version managers leave stubs there.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local names=${PYTHON:-python3.11 python3.12 python3.13 python3} name
    for name in $names; do
        if new_enough "$name"; then command -v "$name"; return; fi
    done
    fail "thinwire needs Python 3.11 or newer; tried: $names." \
        "Install one, or say where it is: make setup PYTHON=/path/to/python3.11"
}

# Debian keeps a part of the standard library in a package of its own.
install_venv_module() {
    local version package
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    package="python$version-venv"
    command -v apt-get >/dev/null || fail "$1 has no venv module; install it with your system's package manager"
    [[ $(id -u) == 0 ]] || fail "$1 has no venv module; run: sudo apt-get install $package"
    say "installing $package, which Debian's Python needs for .venv"
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" </dev/null
}

if ! { [[ -x .venv/bin/python ]] && new_enough .venv/bin/python; }; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# torch first and alone: pinned here, it is what the rest then finds installed.
say "installing $torch (large; once)"
# shellcheck disable=SC2086  # several arguments
.venv/bin/python -m pip install --quiet ${PIP_ARGS:-} "$torch"
say "installing thinwire[$extras]"
# shellcheck disable=SC2086
.venv/bin/python -m pip install --quiet ${PIP_ARGS:-} --editable ".[$extras]"
say "codec: $(.venv/bin/python -c 'from thinwire.common.codec import native; print(native.description)')"
