# The one developer interface. CONTRIBUTING.md says how to work here; what a target does in more than
# a few lines is in dev/.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where dev/setup and rustup put what the system lacks.
USHER_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/usher
export PATH := $(USHER_CACHE)/go/bin:$(HOME)/.cargo/bin:$(PATH)

SCRIPTS := .ci/run $(shell find dev -maxdepth 1 -type f)

.PHONY: help
help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show Usher at work on a real control plane (KEEP=1 leaves it running, CLUSTER=existing uses yours)
	@dev/demo

.PHONY: up
up: ## Bring up a control plane and Usher, and leave them running (CLUSTER=existing uses yours)
	@dev/up

.PHONY: down
down: ## End what `make up` brought up
	@dev/down

.PHONY: test
test: ## Set up and run every test that needs no privileged node
	@dev/test

.PHONY: bench
bench: ## Measure Usher's numbers (ROWS="verify latency" chooses rows, SCALE=0.02 is a quick trial)
	@dev/setup
	@dev/control-plane build
	@cargo bench --quiet --locked --bench numbers

.PHONY: check
check: ## Check formatting, lints, scripts, and that generated files are up to date
	@dev/setup check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@generated=$$(mktemp -d); trap 'rm -rf "$$generated"' EXIT; \
	cargo run --quiet --locked -- crds --dir "$$generated"; \
	diff -ru crds "$$generated" && diff -ru charts/usher/files/crds "$$generated" || \
	{ echo 'the resources are not what the code says: run "make generate"' >&2; exit 1; }
	@cargo run --quiet --locked -- openapi | diff -u docs/openapi.json - || \
	{ echo 'the contract is not what the code says: run "make generate"' >&2; exit 1; }
	@dev/chart-readme --check
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources $(SCRIPTS); \
	else echo 'check: skipped the scripts: shellcheck is not installed'; fi

.PHONY: pictures
pictures: ## Take a picture of each page on which people sign in, into docs/pictures
	@dev/setup clients postgres browser
	@dev/control-plane build
	@mkdir -p docs/pictures
	USHER_PICTURES=$$PWD/docs/pictures cargo test --quiet --locked --test it -- signin::pictures

.PHONY: mutants
mutants: ## Change the code in one place at a time, and list the changes that no test notices
	@dev/mutants

.PHONY: generate
generate: ## Write the files that are made from code
	cargo run --quiet --locked -- crds --dir crds
	rm -f charts/usher/files/crds/*.yaml
	cp crds/*.yaml charts/usher/files/crds/
	cargo run --quiet --locked -- openapi > docs/openapi.json
	dev/chart-readme

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all
