# What a person does with this repository. `make check` and `make test` are what `.ci/run` runs.

# Everything but the benchmarks is a debug build: it is there in a third of the time of a release.
CARGO ?= cargo
# Pinned, because its rules change with it. Built into target/tools, where `cargo clean` finds it.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := target/tools/$(CARGO_DENY_VERSION)/bin/cargo-deny

.PHONY: help demo demo-aws run test check bench cuts soak siege fuzz pairs harness fmt deny advisories schema

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

demo: ## Walk an order through two domains, sealed at every border
	$(CARGO) run -- demo

demo-aws: harness ## Walk the same orders from a bus of EventBridge to another account's, on an emulator
	$(CARGO) build --quiet
	tests/aws/demo.sh $(CARGO) run --quiet --

run: ## Run a gateway with config/gateway.yaml
	$(CARGO) run -- serve

test: harness ## Run every test; other ecosystems' JOSE libraries open our tokens
	$(CARGO) test

check: fmt-check lint docs deny advisories ## Check form, lints, docs, dependencies

bench: ## Measure against the bare primitives and the stock crates
	AWS_ACCESS_KEY_ID=AKIABENCH AWS_SECRET_ACCESS_KEY=bench AWS_EC2_METADATA_DISABLED=true $(CARGO) bench

# A cut takes about a second; SEED=n begins with another seed, and a failure names the seed.
N ?= 200
cuts: ## Cut the power and kill the gateway N times, 200 if not said
	CUTS=$(N) KILLS=$(N) $(CARGO) test --test it -- --nocapture --test-threads=1 \
		the_power_may_fail accepted_means_durable

# RATE=n events per second, 40 if not said. It fails when anything was lost.
MINUTES ?= 10
soak: ## Run a mixed load for MINUTES, 10 if not said, and print figures
	MINUTES=$(MINUTES) $(CARGO) test --release --test soak

# SCENARIO=name runs one load; GATEWAY=path besieges another program, to compare. It takes ten minutes and
# fails where a bound does not hold.
siege: ## Let hostile loads loose on the release build, print figures and hold them against bounds
	$(CARGO) test --release --test siege

# TARGET=name fuzzes one parser, SEED=n by another chance. docs/fuzzing.md lists the targets.
SECONDS_EACH ?= 120
fuzz: ## Fuzz every parser of outside bytes for SECONDS_EACH, 120 if not said, guided by coverage
	CARGO="$(CARGO)" SECONDS_EACH=$(SECONDS_EACH) tests/fuzz/run.sh

# SEED=n begins with another seed, and a failure names the seed and the smallest pair that fails.
PAIRS ?= 1000000
pairs: ## Hold a million generated pairs of schema and data against plain validation
	PAIRS=$(PAIRS) $(CARGO) test --lib -- --nocapture contract::tests::pairs

harness: ## Install other ecosystems' JOSE libraries, AWS SDKs and emulators below .harness
	tests/interop/setup.sh
	tests/aws/setup.sh

fmt: ## Format the code
	$(CARGO) fmt

schema: ## Write the JSON Schemas below config/, docs/openapi.json and the metrics of docs/operations.md
	UPDATE_SCHEMAS=1 $(CARGO) test --test it -- the_settings_are_described the_metrics_are_described

.PHONY: fmt-check lint docs
fmt-check:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --all-targets --quiet -- -D warnings
	$(CARGO) clippy --test soak --test siege --quiet -- -D warnings
	$(CARGO) clippy --lib --bins --no-default-features --features vendored-openssl --quiet -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --quiet

deny: $(CARGO_DENY)
	$(CARGO_DENY) --locked --log-level error check licenses bans sources

# The database of advisories lies in the network. Without it the check does not pass silently: it
# says that only the versions that deny.toml itself bans were looked at.
advisories: $(CARGO_DENY)
	@if $(CARGO_DENY) --log-level error fetch db 2>/dev/null; then \
		$(CARGO_DENY) --log-level error check --disable-fetch advisories; \
	else \
		echo 'make check: NOT CHECKED: the database of advisories (RustSec) cannot be fetched from here.' >&2; \
		echo 'make check: deny.toml still bans the versions that are known to be bad.' >&2; \
	fi

$(CARGO_DENY):
	$(CARGO) install --locked --quiet --no-default-features --root target/tools/$(CARGO_DENY_VERSION) \
		cargo-deny@$(CARGO_DENY_VERSION)
