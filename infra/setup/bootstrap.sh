#!/usr/bin/env bash
# Finds or installs the Python that runs the rest of the installation, then hands over to it.
# Usage: bootstrap.sh PYTHON_VERSION [argument of infra.setup ...]
set -euo pipefail

version=$1
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usable() {
    "$1" -c "import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" \
        >/dev/null 2>&1
}

# Debian's own interpreter comes first: it stays where it is when a version manager's is removed.
for attempt in found installed; do
    for python in "/usr/bin/python$version" "python$version"; do
        if usable "$python"; then
            exec "$python" -B -m infra.setup "$@"
        fi
    done
    if [[ $attempt == found ]] && command -v apt-get >/dev/null; then
        echo "[setup] installing python$version-venv"
        as_root=()
        if [[ $EUID -ne 0 ]]; then as_root=(sudo); fi
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null || true
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends "python$version" "python$version-venv" ca-certificates \
            </dev/null || break
    fi
done
echo "setup failed: no Python $version with venv; install python$version-venv and run: make setup" >&2
exit 1
