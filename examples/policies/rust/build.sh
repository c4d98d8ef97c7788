#!/bin/sh
# build.sh [OUTPUT]: builds policy.wasm, or OUTPUT.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/policy.wasm}
target=wasm32-wasip2

command -v cargo >/dev/null || {
    echo "build.sh: cargo is missing: install Rust from https://rustup.rs" >&2
    exit 1
}
[ -d "$(rustc --print target-libdir --target $target)" ] || {
    echo "build.sh: Rust cannot build for $target yet: rustup target add $target" >&2
    exit 1
}
# A stack of 1 MiB, as by default, would be cleared for each fresh instance.
export RUSTFLAGS="-C link-arg=-zstack-size=262144"
built=$(cargo build --manifest-path "$here/Cargo.toml" --release --target $target --message-format json-render-diagnostics |
    sed -n 's/.*"filenames":\["\([^"]*\.wasm\)".*/\1/p' | tail -n 1)
cp "$built" "$output.new"
mv "$output.new" "$output"
