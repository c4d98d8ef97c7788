#!/bin/sh
# build.sh [OUTPUT]: builds the policy as policy.wasm beside this script, or as OUTPUT.
#
# Environment, all optional: TOOLS, where the pinned tools are or will be installed; WIT, the contract's folder;
# BINDINGS, the folder of what wit-bindgen made of it for C.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/policy.wasm}
tools=${TOOLS:-$here/.tools}
wit=${WIT:-$here/wit}
[ -n "${WIT:-}" ] || [ -d "$wit" ] || wit=$here/../../../wit
bindings=${BINDINGS:-$here/bindings}
[ -n "${BINDINGS:-}" ] || [ -d "$bindings" ] || bindings=$here/../../../policies/bindings/c/policy

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

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ZIG_GLOBAL_CACHE_DIR="$tools/cache" ZIG_LOCAL_CACHE_DIR="$tmp/cache"

# The contract has a world for each hook; the one with both is this project's own.
mkdir -p "$tmp/wit/deps/wasmgate-policy"
cp "$here/world.wit" "$tmp/wit"
cp "$wit"/*.wit "$tmp/wit/deps/wasmgate-policy"

# The generated code refers to an object file with the component's type in it; `component embed` adds the type instead,
# so that the reference may be to anything.
"$tools/venv/bin/python" -m ziglang cc -target wasm32-wasi -mexec-model=reactor -std=c23 -O2 -flto \
    -Wall -Wextra -Werror -Wl,-z,stack-size=262144 -D__component_type_object_force_link_policy=abort \
    -I "$bindings" "$here"/src/*.c "$bindings"/policy.c -o "$tmp/core.wasm"
# Names of functions stay: the gateway's log shows where a policy went wrong.
"$tools/venv/bin/wasm-tools" strip "$tmp/core.wasm" -o "$tmp/stripped.wasm"
"$tools/venv/bin/wasm-tools" component embed --world policy "$tmp/wit" "$tmp/stripped.wasm" -o "$tmp/typed.wasm"
"$tools/venv/bin/wasm-tools" component new "$tmp/typed.wasm" -o "$output.new"
mv "$output.new" "$output"
