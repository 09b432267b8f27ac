#!/bin/sh
# Makes .venv from requirements.txt, every file checked against its hash; does nothing while the lock stays the same.
# PYTHON names another interpreter than the newest that is found.
set -eu
cd "$(dirname "$0")/.."
venv=.venv lock=requirements.txt

if cmp -s "$lock" "$venv/$lock" && "$venv/bin/python" -c '' 2>/dev/null; then exit 0; fi

# A name on the PATH proves nothing (a version manager's shim, a Python without venv): run it.
find_python() {
    for python in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    return 1
}

if ! find_python; then
    debian='apt-get install --yes python3-venv'
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is not a working Python 3.11 or later with its venv module." >&2
        exit 1
    elif [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Slipway needs Python 3.11 or later with its venv module. On Debian: sudo $debian" >&2
        exit 1
    fi
    echo "+ $debian" >&2
    apt-get update --quiet --quiet && DEBIAN_FRONTEND=noninteractive $debian
    find_python || { echo "This system's Python is older than 3.11: name a newer one with PYTHON=..." >&2; exit 1; }
fi

# The machine's own certificate store, which may hold more authorities than the one inside pip.
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -r "$bundle" ]; then export PIP_CERT="${PIP_CERT:-$bundle}" SSL_CERT_FILE="${SSL_CERT_FILE:-$bundle}"; fi

echo "+ $python -m venv $venv  # from $lock" >&2
"$python" -m venv --clear "$venv"
# pip brings only uv, itself checked against the lock; uv is several times faster at the rest.
awk '/^[a-z]/ { wanted = /^uv==/ } wanted' "$lock" >"$venv/uv.txt"
"$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r "$venv/uv.txt"
"$venv/bin/uv" pip sync --quiet --require-hashes --compile-bytecode --python "$venv/bin/python" "$lock"
cp "$lock" "$venv/$lock" # last: a broken run is not taken for a whole one
