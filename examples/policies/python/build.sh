#!/bin/sh
# build.sh [OUTPUT]: builds the policy as policy.wasm beside this script, or as OUTPUT.
#
# Environment, all optional: TOOLS, where the pinned tools are or will be installed; WIT, the contract's folder.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/policy.wasm}
tools=${TOOLS:-$here/.tools}
wit=${WIT:-$here/wit}
[ -n "${WIT:-}" ] || [ -d "$wit" ] || wit=$here/../../../wit

# Other pins are installed into another folder: a build with these may be under way.
venv=$tools/python-$(cksum <"$here/requirements.txt" | tr ' ' -)
mkdir -p "$tools"
exec 9>"$tools/python.lock"
flock 9
if [ ! -e "$venv/complete" ]; then
    echo "build.sh: installing componentize-py into $venv" >&2
    rm -rf "$venv"
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || ! python3 -m venv "$venv"; then
        echo 'build.sh: Python 3.11 or newer with venv and pip is needed (Debian: apt-get install python3 python3-venv)' >&2
        exit 1
    fi
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
    touch "$venv/complete"
fi
exec 9>&-

tmp=$(mktemp -d)
trap 'rm -rf "$tmp" "$output.new"' EXIT
trap 'exit 1' HUP INT TERM
# A copy, since Python leaves what it compiles beside its sources.
cp "$here"/*.py "$tmp"

# The contract has a world for each hook; the one with both is this project's own. Packages are taken from where
# VIRTUAL_ENV says, and from nowhere else. With --stub-wasi a policy could not print, not even why it failed.
VIRTUAL_ENV=$venv "$venv/bin/componentize-py" --quiet \
    --wit-path "$wit" --wit-path "$here/world.wit" --world local:complexity-python/policy \
    componentize --python-path "$tmp" --output "$output.new" app
mv "$output.new" "$output"
