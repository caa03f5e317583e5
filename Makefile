# make demo    see the tool at work on an invented engine; sets up everything itself
# make test    run the tests          (ARGS="-k restore" to choose, WORKERS=0 for one process)
# make thorough  run the tests with all combinations that they have
# make faults  make every kind of fault meet every kind of step of a restore (about a quarter of an hour)
# make bench   compare speed and size with a stand-in of stock (ARGS="--scale=4 --rounds=3"; minutes)
# make lint    look at style and types
# make clean   remove what the others made
#
# Everything runs in .environment/, which is made on first use (PYTHON=... to choose the Python).

ARGS =
WORKERS = 2
IN = .environment/bin/
PREPARE = python=$$(sh scripts/choose-python.sh) && "$$python" scripts/bootstrap.py

RESULTS = "$(CURDIR)/.environment/faults"

.PHONY: help demo test thorough faults bench lint environment clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo:
	@$(PREPARE) demo
	@$(IN)engine-backup demo $(ARGS)

environment:
	@$(PREPARE) development

test: environment
	$(IN)python -m pytest -n $(WORKERS) $(ARGS)

thorough: environment
	$(IN)python -m pytest -n $(WORKERS) -m "not faults" $(ARGS)

faults: environment
	@rm -f $(RESULTS)
	@status=0; \
	FAULTS_RESULTS=$(RESULTS) $(IN)python -m pytest -n $(WORKERS) -m "faults or not faults" tests/faults $(ARGS) \
	    || status=$$?; \
	$(IN)python -m tests.faults.results $(RESULTS) && exit $$status

bench: environment
	$(IN)python -m benchmarks $(ARGS)

lint: environment
	$(IN)ruff check src tests scripts benchmarks
	$(IN)ruff format --check src tests scripts benchmarks
	$(IN)mypy

clean:
	rm -rf .environment build dist .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
