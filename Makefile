# Two commands matter: `make run` and `make test`. The rest serves them.
.PHONY: run test build deps venv soak bench check unit e2e guest guest-kernel
.DEFAULT_GOAL := run

CARGO ?= cargo
ARGS ?=
LAMBENT := target/fast/lambent
VENV := target/venv
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

test: unit e2e

unit:
	$(CARGO) test --workspace --quiet

e2e: build venv
	$(if $(wildcard $(GUEST_KERNEL)),LAMBENT_MICROVM_KERNEL=$(CURDIR)/$(GUEST_KERNEL)) $(VENV)/bin/python -m pytest tests/e2e -q

# What this host's kernel cannot show, in a virtual machine: pure cgroup v2. Needs qemu-system-x86, cpio and busybox-static.
guest: build venv
	$(VENV)/bin/python -m pytest tests/guest -q

# Unpacks Debian's kernel for `guest` and for functions in machines of their own; installs nothing.
guest-kernel:
	$(PYTHON) tests/guest/guest.py --fetch

# Long runs of what `make test` runs shortly.
soak:
	LAMBENT_SOAK=20 $(CARGO) test --release -p lambent-store
	LAMBENT_SOAK=100 $(CARGO) test --release -p lambent-wire
	LAMBENT_SOAK=20 $(CARGO) test --release -p lambent-runtime --lib session
	LAMBENT_CYCLES=10000 $(CARGO) test -p lambent-sandbox --test it soak:: -- --nocapture

bench: build venv
	@$(VENV)/bin/python benches/bench.py --lambent $(LAMBENT) $(ARGS)
