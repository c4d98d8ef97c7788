#!/bin/sh
# build.sh [OUTPUT]: builds the policy as policy.wasm beside this script, or as OUTPUT.
#
# Environment, all optional: TOOLS, where the pinned tools are or will be installed; WIT, the contract's folder;
# WASI, the file wasi.wat.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/policy.wasm}
tools=${TOOLS:-$here/.tools}
wit=${WIT:-$here/wit}
wasi=${WASI:-$here/wasi.wat}

# Two builds at once must not install into each other's folder.
pins=$(sha256sum <"$here/requirements.txt")
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9
if [ "$(cat "$tools/pins" 2>/dev/null)" != "$pins" ]; then
    echo "installing the compiler and wasm-tools in $tools" >&2
    rm -rf "$tools/venv"
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || ! python3 -m venv "$tools/venv"; then
        echo 'Python 3.11 or newer with venv and pip is needed (Debian: apt-get install python3 python3-venv)' >&2
        exit 1
    fi
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
    echo "$pins" >"$tools/pins"
fi
flock -u 9

# The compiler runs in the project's folder.
case $output in /*) ;; *) output=$PWD/$output ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cd "$here"
PATH=$tools/venv/bin:$PATH
# The pinned Go never replaces itself by another version.
GOCACHE=$tools/cache GOTOOLCHAIN=local GOWORK=off GOOS=wasip1 GOARCH=wasm \
    go build -buildmode=c-shared -trimpath -o "$tmp/core.wasm" .
# Names of functions stay: the gateway's log shows where a policy went wrong.
wasm-tools strip "$tmp/core.wasm" -o "$tmp/stripped.wasm"
wasm-tools component embed --world {{world}} "$wit" "$tmp/stripped.wasm" -o "$tmp/typed.wasm"
# Go imports WASI's first version, which a component cannot; wasi.wat implements it with what the gateway offers.
mkdir -p "$tmp/wasi/deps/wasmgate-policy"
echo 'package local:wasi; world wasi { import wasmgate:policy/log@2.0.0; }' >"$tmp/wasi/world.wit"
find "$wit" -name policy.wit -exec cp {} "$tmp/wasi/deps/wasmgate-policy" \;
wasm-tools component embed --world wasi "$tmp/wasi" "$wasi" -o "$tmp/wasi.wasm"
wasm-tools component new "$tmp/typed.wasm" --adapt "wasi_snapshot_preview1=$tmp/wasi.wasm" -o "$output.new"
mv "$output.new" "$output"
