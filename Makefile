# Holdfast: `make` lists what there is to make.

.DEFAULT_GOAL := help
.PHONY: help up down status logs psql demo token audit chaos test overload bench bench-quick check model fmt sqlx tools clean
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# The queries are checked against committed data (services/*/.sqlx), whatever databases a .env may name.
export SQLX_OFFLINE := true
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
HOLDFAST := $(TARGET)/release/holdfast
# What runs, and what runs it; without the programs of the tests.
PROGRAMS := --package catalog --package reservation --package expirer --package audit --package stack --bins
BUF = $$(command -v buf || echo .tools/bin/buf)

# $(call step,WHAT,COMMAND): says what begins and how long it took.
step = @printf '==> %s\n' '$(1)'; start=$$(date +%s); { $(2); } && printf '    done in %s s\n' $$(($$(date +%s) - start))

help: ## List the targets
	@echo 'Holdfast: seats and stock on hold, until they are paid for or run out.'
	@awk -F ':.*## ' '/^[a-z-]+[a-zA-Z<>-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  make logs-PART  Follow the log of catalog, reservation, expirer, postgres or rabbitmq'

up: ## Install what is missing, build, and run Holdfast on this machine (AUTH=1: callers need tokens)
	@scripts/install.sh toolchain servers tools
	$(call step,building (release; the first time takes minutes),HOLDFAST_COMMIT=$$(git rev-parse HEAD 2>/dev/null) cargo build --release --locked $(PROGRAMS))
	@echo '==> starting'
	@$(HOLDFAST) up $(if $(AUTH),--auth)

down: $(HOLDFAST) ## Stop it; its data is kept
	@$(HOLDFAST) down

status: $(HOLDFAST) ## Show what runs, where, and whether it is ready
	@$(HOLDFAST) status

logs: $(HOLDFAST) ## Show the ends of the logs
	@$(HOLDFAST) logs

logs-%: $(HOLDFAST)
	@$(HOLDFAST) logs $* --follow

psql: $(HOLDFAST) ## Open psql on the catalog's database (DB=reservation: on the other)
	@$(HOLDFAST) psql $(or $(DB),catalog)

demo: $(HOLDFAST) ## Drive the running Holdfast through the life of bookings, and show it
	@$(HOLDFAST) demo

token: $(HOLDFAST) ## Print a token for AUTH=1 make up (ROLE=customer|operator|service SUBJECT=ada)
	@$(HOLDFAST) token $(if $(ROLE),--role $(ROLE)) $(if $(SUBJECT),--subject $(SUBJECT))

audit: $(HOLDFAST) ## Check the invariants across both databases while it runs (ARGS='--format json')
	@$(HOLDFAST) audit -- $(ARGS)

chaos: ## Break everything at random, and prove that nothing is lost (DURATION=30m SEED=1 CLUSTER=1)
	@scripts/install.sh toolchain servers
	$(call step,building (release; the first time takes minutes),cargo build --release --locked --workspace --bins)
	@$(TARGET)/release/chaos --duration $(or $(DURATION),60s) $(if $(SEED),--seed $(SEED)) $(if $(CLUSTER),--cluster) $(CHAOS_OPTIONS)

test: ## Format, lint, check and run all tests, against servers that it starts itself
	@scripts/install.sh toolchain servers buf grpcurl clients kubernetes prometheus
	$(call step,format,cargo fmt --all --check)
	$(call step,buf lint,$(BUF) lint)
	$(call step,dependencies (cargo deny),if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo '    skipped: cargo-deny is not installed'; fi)
	$(call step,build (with failpoints),cargo build --locked --workspace --all-targets --features failpoints)
	$(call step,sqlx data,$(TARGET)/debug/holdfast sqlx check)
	$(call step,clippy,cargo clippy --locked --workspace --all-targets -- -D warnings)
	$(call step,clippy (with failpoints),cargo clippy --locked --workspace --all-targets --features failpoints -- -D warnings)
	$(call step,tests,$(TARGET)/debug/holdfast with-postgres -- cargo test --locked --workspace --features failpoints)

overload: ## Flood Holdfast with ten times what it can take (DURATION=60 seconds), and show how it does
	@scripts/install.sh toolchain servers
	$(call step,building (release),cargo build --release --locked --workspace --bins)
	@$(TARGET)/release/overload $(or $(DURATION),60)

bench: ## Measure against raw SQL and bare gRPC, in 40 minutes (SCENARIOS="hot spread": only these)
	@scripts/install.sh toolchain servers
	$(call step,building (release; the first time takes minutes),cargo build --release --locked --workspace --bins)
	@$(TARGET)/release/bench $(SCENARIOS) $(BENCH_OPTIONS)

bench-quick: ## The same in a few minutes, with less of everything
	@$(MAKE) bench BENCH_OPTIONS='--quick $(BENCH_OPTIONS)'

check: ## Format, clippy and the tests that need no servers: the fast loop
	@scripts/install.sh toolchain
	$(call step,format,cargo fmt --all)
	$(call step,clippy,cargo clippy --locked --workspace --all-targets -- -D warnings)
	$(call step,unit tests,cargo test --locked --workspace --lib)

model: ## Search the model of the protocol, larger worlds than the tests do, and print what was found
	@scripts/install.sh toolchain
	$(call step,building the model,cargo build --release --locked --package model --example model)
	@$(TARGET)/release/examples/model

sqlx: ## Write services/*/.sqlx anew, after a change of a query or a migration
	@scripts/install.sh toolchain servers
	$(call step,building holdfast,cargo build --locked --package stack --bin holdfast)
	$(call step,sqlx data,$(TARGET)/debug/holdfast sqlx prepare)

tools: ## Install buf and grpcurl into .tools/bin
	@scripts/install.sh tools
	@for tool in buf grpcurl; do command -v $$tool || ls .tools/bin/$$tool; done

clean: $(HOLDFAST) ## Stop it and remove its data and logs (.holdfast/)
	@$(HOLDFAST) clean

$(HOLDFAST):
	@scripts/install.sh toolchain
	@cargo build --release --locked --package stack --bin holdfast
