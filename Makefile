# The one front door: bare `make` prints what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
STAMP := .venv/.stamp
# By path and not by an activated environment, so that nothing has to be typed before.
PY := .venv/bin/python

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(STAMP)  ## make .venv with everything below in it

# The stamp is the last thing that a finished set-up writes.
$(STAMP): pyproject.toml scripts/setup.sh
	@scripts/setup.sh

.PHONY: demo
demo: $(STAMP)  ## run the order example, with a server that is killed in the middle
	@$(PY) examples/order/demo.py

.PHONY: serve
serve: $(STAMP)  ## serve on 127.0.0.1:7233, with the store in ./starflow.db
	@$(PY) -m starflow_service

.PHONY: test
test: $(STAMP)  ## run all tests; ARGS='-k words' narrows them
	@scripts/redis.sh
	@$(PY) -m pytest $(ARGS)

# Those whose toolchain is not installed are left out, and named at the end.
# TOOLCHAINS=required makes that an error.
.PHONY: polyglot
polyglot: $(STAMP)  ## build and check the workers in Go, Java, Rust, TypeScript, bash
	@$(PY) -m pytest tests/polyglot $(ARGS)

.PHONY: sdk-go
sdk-go: $(STAMP)  ## build, vet and test the SDK for Go
	@cd sdk/go && go build ./... && go vet ./... && \
		STARFLOW_PYTHON=$(CURDIR)/$(PY) go test -count=1 -parallel=8 ./...

.PHONY: sdk-typescript
sdk-typescript: $(STAMP)  ## build and test the SDK for TypeScript
	@cd sdk/typescript && npm ci --no-audit --no-fund && PYTHON=$(CURDIR)/$(PY) npm test

.PHONY: system
system: $(STAMP)  ## run only the tests that start and kill real processes
	@scripts/redis.sh
	@$(PY) -m pytest -m system $(ARGS)

# Each named point of the server, and each fault of Redis and the network, that often.
.PHONY: faults
faults: $(STAMP)  ## kill and hinder real processes at every point; ROUNDS=20 for more
	@scripts/redis.sh
	@ROUNDS=$(or $(ROUNDS),5) $(PY) -m pytest -q tests/faults $(ARGS)

# A failing seed is in the name of its test: STARFLOW_SEEDS=77-77 plays it alone.
.PHONY: sim
sim: $(STAMP)  ## replay generated workflows after every event; SEEDS=10000 for more
	@STARFLOW_SEEDS=$(or $(SEEDS),2000) $(PY) -m pytest -q tests/engine/test_generated.py \
		tests/engine/test_branching.py

# What it finds is kept in tests/fuzz/seeds, and tested from then on.
.PHONY: fuzz
fuzz: $(STAMP)  ## judge programs made by chance; MINUTES=60 JOBS=2 for more
	@$(PY) -m tests.fuzz --minutes $(or $(MINUTES),1) --jobs $(or $(JOBS),1)

.PHONY: hostile
hostile: $(STAMP)  ## play all hostile programs at their full limits, here and served
	@$(PY) -m tests.hostile
	@$(PY) -m tests.hostile.serving

.PHONY: lint
lint: $(STAMP)  ## check style, types, protos and generated code; change nothing
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) scripts/check_protos.py

.PHONY: fmt
fmt: $(STAMP)  ## format the code and the protos, and mend what can be mended
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .
	.venv/bin/buf format --write

.PHONY: proto
proto: $(STAMP)  ## generate the code of the SDKs from protos/
	$(PY) scripts/gen_protos.py
	@if command -v go >/dev/null; then PYTHON=$(CURDIR)/$(PY) sdk/go/generate.sh; fi
	@if [ -d sdk/typescript/node_modules ]; then PYTHON=$(CURDIR)/$(PY) sdk/typescript/generate.sh; fi

.PHONY: bench
bench: $(STAMP)  ## measure rate, latency and CPU per step; ARGS=w1 measures less
	$(PY) -m benchmarks $(ARGS)
