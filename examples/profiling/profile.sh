#!/bin/bash
# Where a running gateway spends its processor time, as a flame graph:
#
#   ./profile.sh PID SECONDS OUT.svg
#
# The gateway needs no change and no restart; README.md says what the machine needs.
set -euo pipefail

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0"
}
fail() {
  echo "profile.sh: $1" >&2
  exit 1
}
case ${1-} in
  -h | --help)
    usage
    exit
    ;;
esac
if ! [[ $# -eq 3 && $1 =~ ^[0-9]+$ && $2 =~ ^[1-9][0-9]*$ ]]; then
  usage >&2
  exit 2
fi
pid=$1 seconds=$2 out=$3

# Where `make test` puts inferno.
PATH=$HOME/.cache/wasmgate/tools/bin:$PATH
command -v perf >/dev/null || fail 'perf is missing: apt-get install linux-perf'
command -v inferno-flamegraph >/dev/null || fail 'inferno is missing: cargo install --locked inferno'
[ -d "/proc/$pid" ] || fail "there is no process $pid"
case $(readlink "/proc/$pid/exe" || true) in
  *' (deleted)') fail "the program of process $pid was replaced since it started, and its functions' names with it: restart it first" ;;
esac
[ -w "$(dirname "$out")" ] || fail "cannot write $out"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A software clock, since virtual machines seldom have the hardware's counters. Stacks are unwound by the tables that are in
# every build (panics use them); the build keeps no frame pointers. 65528 bytes is the most that perf copies of a stack: with
# less, deep stacks lose their beginning. At 99 samples a second that is 6.5 MB for each second of a busy processor.
perf record --quiet --no-buildid-cache --event cpu-clock --freq 99 --call-graph dwarf,65528 --pid "$pid" --output "$work/data" -- sleep "$seconds" ||
  fail "perf cannot record process $pid: README.md says what it needs"

# Inlined functions would be looked up by a process for each address: minutes rather than a second.
perf script --no-inline --input "$work/data" >"$work/script" 2>"$work/errors" || fail "$(cat "$work/errors")"
inferno-collapse-perf --kernel "$work/script" >"$work/folded" 2>"$work/errors" || fail "$(cat "$work/errors")"
[ -s "$work/folded" ] || fail "no samples: process $pid did nothing in $seconds s; send it requests meanwhile"

# Samples weigh nanoseconds.
inferno-flamegraph --colors rust --title "Gateway, process $pid, $seconds s" --countname ms --factor 0.000001 \
  "$work/folded" >"$work/svg"
mv "$work/svg" "$out"
# A policy's code is in no file, so its frames have only the name of a map that nobody writes.
awk '
  { weight = $NF; all += weight }
  /;\[perf-[0-9]+\.map\]/ { policies += weight; next }
  /;\[[^;]*$/ { unnamed += weight }
  END {
    printf "%.1f s of processor time: %.0f%% in named functions, %.0f%% in policies (Wasm), %.0f%% without a name\n", all / 1e9,
      100 * (all - policies - unnamed) / all, 100 * policies / all, 100 * unnamed / all
  }' "$work/folded"
