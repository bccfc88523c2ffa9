# The front door: `make demo` shows ttrace at work, `make test` proves it. Each installs what it needs and is quick the second time.
.PHONY: help setup demo test check bench bench-large recordings clean

help:
	@echo "make demo        two Docker nodes, a request each way, and the way of its packets"
	@echo "make test        all tests, on real traffic; as root"
	@echo "make check       linters and type checker"
	@echo "make bench       measurements, side by side with tcpdump, dumpcap, tshark and others; as root"
	@echo "make bench-large the same, and ten times as many packets to correlate"
	@echo "make recordings  record pcaps/ anew; as root"
	@echo "make clean       remove the venv and caches"

setup:
	@sh tools/setup.sh

demo: setup
	@.venv/bin/ttrace demo

test: setup
	.venv/bin/pytest

check: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	MYPYPATH=.venv/src .venv/bin/mypy -p ttrace

bench: setup
	.venv/bin/python -m bench

bench-large: setup
	.venv/bin/python -m bench --large

recordings: setup
	.venv/bin/python -m ttrace.lab.recording pcaps

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
