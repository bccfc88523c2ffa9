# The front door: `make demo` shows ttrace at work, `make test` proves it. Each installs what it needs and is quick the second time.
.PHONY: help setup test-tools agent warm-up kernels signatures wheel demo quick test test-all fuzz check bench bench-large recordings clean
# All kernels, those of the capture and of correlate at once; quick when no source of one has changed.
COMPILE = .venv/bin/python -m ttrace.ahead.capture & .venv/bin/python -m ttrace.ahead && wait $$!
# Workers share the tests, one more than there are cores, as many tests wait; all kernels are compiled before: those that the tests start many processes for are then loaded without numba.
PYTEST = .venv/bin/pytest -n $(shell expr $$(nproc) + 1) --maxprocesses 4

help:
	@echo "make demo        two Docker nodes, a request each way, and the way of its packets"
	@echo "make agent       one file with the capture, for nodes: their own python3 runs it"
	@echo "make quick       the tests for in between: without root, under a minute"
	@echo "make test        all tests, on real traffic; as root, 10 minutes"
	@echo "make test-all    these, and those that take longer than anybody waits"
	@echo "make fuzz        ten minutes of damaged captures for every parser"
	@echo "make check       linters and type checker"
	@echo "make bench       measurements, side by side with tcpdump, dumpcap, tshark and others; as root"
	@echo "make bench-large the same, and ten times as many packets to correlate"
	@echo "make recordings  record pcaps/ anew; as root"
	@echo "make wheel       a wheel with all kernels compiled, in dist/"
	@echo "make kernels     compile all kernels ahead, where their sources have changed"
	@echo "make signatures  write down anew what kernels are compiled for, after a kernel was given other arguments"
	@echo "make clean       remove the venv and caches"

setup:
	@sh tools/setup.sh

test-tools:
	@sh tools/setup.sh tests

agent: setup
	.venv/bin/python -m ttrace.ahead.agent

demo: setup
	@$(COMPILE) || echo "What could not be compiled now is compiled at its first use." >&2
	@.venv/bin/ttrace demo

warm-up: kernels
	@.venv/bin/ttrace warm-up

kernels: setup
	@$(COMPILE)

wheel: kernels
	@rm -rf build/wheel
	@.venv/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/auditwheel repair --wheel-dir dist build/wheel/*.whl

signatures: kernels
	.venv/bin/pytest -m "not root and not long" tests/cases tests/correlate tests/pcapng tests/random_scenes tests/report --write-signatures ahead/signatures.json

quick: warm-up
	$(PYTEST) -m "not root and not slow and not long"

test: test-tools warm-up
	$(PYTEST)

test-all: test-tools warm-up
	$(PYTEST) -m ""

fuzz: warm-up
	.venv/bin/python -m ttrace.tests.fuzz --seconds 600

check: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	MYPYPATH=.venv/src .venv/bin/mypy -p ttrace

bench: kernels
	.venv/bin/python -m bench

bench-large: kernels
	.venv/bin/python -m bench --large

recordings: kernels
	.venv/bin/python -m ttrace.lab.recording pcaps

clean:
	rm -rf .venv build dist capture/objects kernels/compiled ttrace-agent.pyz *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
