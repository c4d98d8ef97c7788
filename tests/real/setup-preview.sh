#!/bin/sh
# setup-preview.sh DIR: puts the page of the dashboards' preview into DIR/preview, made of Grafana's published components as
# preview/package-lock.json pins them, or leaves it alone where it is there. DIR is what setup.sh made: Node.js is in it.
#
# The packages take 460 MB and half a minute, the page 3 MB: only the page stays.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup-preview.sh DIR" >&2
    exit 2
fi
venv=$1
here=$(cd "$(dirname "$0")" && pwd)/preview
built=$venv/preview

wanted=$(cat "$0" "$here"/* "$venv/made-for" | sha256sum)
is_made() {
    [ "$(cat "$built/made-of" 2>/dev/null)" = "$wanted" ]
}
is_made && exit 0
# Two test runs at once must not build into each other's files.
exec 9>"$venv.lock"
flock 9
is_made && exit 0

echo "bundling the dashboards' preview into $built" >&2
rm -rf "$built"
mkdir -p "$built/packages"
PATH=$venv/node:$PATH
export PATH
npm=$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')
cp "$here/package.json" "$here/package-lock.json" "$built/packages/"
(cd "$built/packages" && node "$npm" ci --silent --ignore-scripts --no-audit --no-fund && node "$here/bundle.mjs") >"$built/page.html"
rm -r "$built/packages"
printf '%s' "$wanted" >"$built/made-of"
