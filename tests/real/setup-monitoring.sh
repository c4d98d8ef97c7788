#!/bin/sh
# setup-monitoring.sh DIR: puts the monitoring programs of Debian 12 and the packages that check dashboards into
# DIR/monitoring, and inferno into the folder of tools, or leaves them alone where they are there. DIR is what setup.sh
# made: Node.js is in it.
#
# The four servers are unpacked, not installed: their packages would start services that listen on all interfaces.
set -eu

# Upstream versions are pinned; Debian's own revisions are not, since it serves only the newest.
packages='prometheus=2.42.* prometheus-alertmanager=0.25.* prometheus-blackbox-exporter=0.23.* prometheus-node-exporter=1.5.*'
# Programs that are no services: package and what it brings.
programs='jq:jq jsonnet:jsonnet taskwarrior:task docker-compose:docker-compose chromium:chromium linux-perf:perf'
# Draws what perf saw.
inferno=0.12.8

if [ $# -ne 1 ]; then
    echo "usage: setup-monitoring.sh DIR" >&2
    exit 2
fi
venv=$1
here=$(cd "$(dirname "$0")" && pwd)
built=$venv/monitoring
tools=$HOME/.cache/wasmgate/tools
# Alertmanager as Debian builds it reads its default texts from this place, wherever it runs.
templates=/usr/share/prometheus/alertmanager

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
updated=
update_once() {
    [ -n "$updated" ] || as_root apt-get update -q
    updated=yes
}

missing=
for pair in $programs; do
    command -v "${pair#*:}" >/dev/null || missing="$missing ${pair%:*}"
done
if [ -n "$missing" ]; then
    update_once
    # Word by word: each is a package.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
fi

# Its programs do not all tell their version, but cargo knows what it installed.
cargo install --list --root "$tools" 2>/dev/null | grep -qF "inferno v$inferno:" || {
    echo "building inferno in $tools" >&2
    cargo install --quiet --locked --root "$tools" --bin inferno-collapse-perf --bin inferno-flamegraph "inferno@$inferno"
}

wanted=$(cat "$0" "$here"/dashboards/package-lock.json | sha256sum)
is_made() {
    [ "$(cat "$built/made-of" 2>/dev/null)" = "$wanted" ] && [ -f "$templates/default.tmpl" ]
}
is_made && exit 0
# Two test runs at once must not build into each other's files.
exec 9>"$venv.lock"
flock 9
is_made && exit 0

echo "unpacking Prometheus, Alertmanager and the exporters into $built" >&2
rm -rf "$built"
mkdir -p "$built/debs"
update_once
# shellcheck disable=SC2086
(cd "$built/debs" && apt-get download -q $packages)
for deb in "$built"/debs/*.deb; do
    dpkg-deb -x "$deb" "$built"
done
rm -r "$built/debs"
[ -f "$templates/default.tmpl" ] || {
    as_root mkdir -p "$templates"
    as_root cp -r "$built$templates/." "$templates/"
}

PATH=$venv/node:$PATH
export PATH
npm=$(node -p 'path.join(path.dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js")')
mkdir -p "$built/dashboards"
cp "$here/dashboards/package.json" "$here/dashboards/package-lock.json" "$built/dashboards/"
(cd "$built/dashboards" && node "$npm" ci --silent --ignore-scripts --no-audit --no-fund)
printf '%s' "$wanted" >"$built/made-of"
