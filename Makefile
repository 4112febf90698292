# Two commands matter: `make run` and `make test`. The rest serves them.
.PHONY: run test build deps venv clients clients-rust soak bench check unit e2e guest guest-kernel
.DEFAULT_GOAL := run

CARGO ?= cargo
ARGS ?=
LAMBENT := target/fast/lambent
VENV := target/venv
CLIENTS := target/clients
GUEST_KERNEL := target/guest-kernel
PYTHON ?= python3

# Builds, starts the platform in ./.lambent, deploys examples/thumbnail, calls it with a photo. ARGS=--exit stops then.
run: build
	@$(LAMBENT) demo examples/thumbnail --body examples/thumbnail/photo.jpg --data .lambent $(ARGS)

build:
	@scripts/check-tools cargo gcc python3 pip
	@scripts/build-fast

# Installs what a fresh Debian or Ubuntu lacks. The only target that touches the system.
deps:
	@scripts/install-deps

venv: $(VENV)/.complete
$(VENV)/.complete: tests/requirements.txt
	@scripts/check-tools python3 venv
	@echo "setting up the tests' virtual environment"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# The clients that tests/e2e/test_clients.py and test_s3_clients.py drive: aws-sdk-js v3 and the AWS CLI v2, both from npm, and
# s3fs and chalice (tests/e2e/test_restapi_definitions.py), each in an environment of its own, pinned.
clients: $(CLIENTS)/.complete $(CLIENTS)/s3fs/.complete $(CLIENTS)/chalice/.complete
$(CLIENTS)/chalice/.complete: tests/clients/chalice.txt
	@scripts/check-tools python3 venv
	@$(PYTHON) -m venv $(CLIENTS)/chalice
	@$(CLIENTS)/chalice/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
$(CLIENTS)/s3fs/.complete: tests/clients/s3fs.txt
	@scripts/check-tools python3 venv
	@$(PYTHON) -m venv $(CLIENTS)/s3fs
	@$(CLIENTS)/s3fs/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
$(CLIENTS)/.complete: tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc tests/clients/unpack.py
	@if command -v npm >/dev/null; then \
	  echo "setting up the clients that the tests drive"; \
	  mkdir -p $(CLIENTS) && cp tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc $(CLIENTS)/ && \
	  npm ci --silent --prefix $(CLIENTS) && $(PYTHON) tests/clients/unpack.py $(CLIENTS) && touch $@; \
	else echo "!!! no npm: the tests of aws-sdk-js and of the AWS CLI v2 will be skipped"; fi

# aws-sdk-rust takes minutes to build: its test runs where this was made.
clients-rust:
	$(CARGO) build --manifest-path tests/clients/rust/Cargo.toml --target-dir $(CLIENTS)/rust

test: unit e2e

unit:
	$(CARGO) test --workspace --quiet

e2e: build venv clients
	$(if $(wildcard $(GUEST_KERNEL)),LAMBENT_MICROVM_KERNEL=$(CURDIR)/$(GUEST_KERNEL)) $(VENV)/bin/python -m pytest tests/e2e -q -rs

# What this host's kernel cannot show, in a virtual machine: pure cgroup v2. Needs qemu-system-x86, cpio and busybox-static.
guest: build venv
	$(VENV)/bin/python -m pytest tests/guest -q

# Unpacks Debian's kernel for `guest` and for functions in machines of their own; installs nothing.
guest-kernel:
	$(PYTHON) tests/guest/guest.py --fetch

# Long runs of what `make test` runs shortly.
soak: build venv
	LAMBENT_SOAK=20 $(CARGO) test --release -p lambent-store
	LAMBENT_SOAK=100 $(CARGO) test --release -p lambent-wire
	LAMBENT_SOAK=20 $(CARGO) test --release -p lambent-runtime --lib session
	LAMBENT_CYCLES=10000 $(CARGO) test -p lambent-sandbox --test it soak:: -- --nocapture
	LAMBENT_RESTORES=10000 $(VENV)/bin/python -m pytest tests/e2e/test_snapstart.py -q -rs -k random
	$(MAKE) clients-rust && $(VENV)/bin/python -m pytest tests/e2e/test_clients.py -q -rs -k rust
	LAMBENT_SOAK=1 $(VENV)/bin/python -m pytest tests/e2e/test_s3_memory.py -q -rs
	$(CARGO) xtask drops --e2e

bench: build venv
	@$(VENV)/bin/python benches/bench.py --lambent $(LAMBENT) $(ARGS)
