# Everything runs in .venv, made here from the lock file with pip alone: no root, no Docker, no running service.
# A second run finds its stamps and does nothing; a changed lock file, a moved folder or a vanished Python sets up again.

VENV := .venv
BIN := $(VENV)/bin
# A Python of your choice: make PYTHON=/opt/python3.12/bin/python3 setup
PYTHONS := $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python3.14)
# -qq: errors only
PIP_INSTALL := install -qq --disable-pip-version-check --no-input

# The stamps: the environment itself, the locked packages in it, usher on top, and what tests and linters need.
MADE := $(VENV)/.made
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.dev
PEERS := .venv-peers/.made

# Scripts in an environment name its folder and its Python; when either is gone, it is made anew.
ifneq ($(wildcard $(MADE)),)
ifneq ($(shell sed -n 1p $(MADE))-$(shell $(BIN)/python -c 'print("runs")' 2>/dev/null),$(CURDIR)-runs)
$(shell rm -rf $(VENV))
endif
endif

.PHONY: help setup demo test lint chaos bench lock words clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    invite the sample list through a real worker, against the sandbox'
	@echo 'make test    unit, property and integration tests (T="tests/unit -k rows" for some of them)'
	@echo 'make lint    ruff, mypy and the import rules'
	@echo 'make chaos   the tests that take minutes: killed workers, restarted servers, storms of 429'
	@echo 'make bench   measurements'
	@echo 'make setup   only the set-up: afterwards .venv/bin/usher works'
	@echo 'make words   bring the console'\''s catalogues up to its texts, and compile them'
	@echo 'make lock    write the lock files anew (needs uv)'
	@echo 'make clean   remove .venv and every cache; jobs and results of yours are not touched'

setup: $(INSTALLED)
	@:

# The second line of the stamp is the pip to use. Debian takes ensurepip out of Python: there pip itself, told by
# --python where to install, fills an environment that has no pip of its own.
$(MADE):
	@set -u; old=; bare=; \
	for python in $(PYTHONS); do \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	  case $$version in 3.11|3.12|3.13|3.14) ;; *) old="$$old, $$python is $$version"; continue ;; esac; \
	  if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	    options=; pip='$(BIN)/python -m pip'; \
	  elif "$$python" -c 'import venv' 2>/dev/null && "$$python" -m pip help install 2>/dev/null | grep -q -e '--python <python>'; then \
	    options=--without-pip; pip="$$python -m pip --python $(BIN)/python"; \
	  else \
	    bare=$$python; continue; \
	  fi; \
	  echo "usher: making $(VENV) with $$python ($$version)"; \
	  [ "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$$version" ] || rm -rf $(VENV); \
	  "$$python" -m venv $$options $(VENV) || exit 1; \
	  printf '%s\n' '$(CURDIR)' "$$pip" > $@; \
	  exit 0; \
	done; \
	if [ -n "$$bare" ]; then \
	  echo "usher: $$bare cannot make virtual environments: install its venv module (Debian and Ubuntu: apt install python3-venv), then run make again." >&2; \
	else \
	  echo "usher: Python 3.11 to 3.14 is needed and none was found$$old; install one, or name it: make PYTHON=/path/to/python3 setup" >&2; \
	fi; \
	exit 1

$(LOCKED): requirements.lock | $(MADE)
	@echo 'usher: installing the locked packages (a minute or so the first time)'
	@$$(sed -n 2p $(MADE)) $(PIP_INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(INSTALLED): pyproject.toml $(LOCKED)
	@echo 'usher: installing usher itself'
	@$$(sed -n 2p $(MADE)) $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(LOCKED)
	@echo 'usher: installing what tests and linters need'
	@$$(sed -n 2p $(MADE)) $(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# The sample holds rows that must fail, so status 1 (some rows failed) is what the demo is expected to end with.
demo: $(INSTALLED)
	@$(BIN)/usher invite examples/guests.csv --connection sandbox --yes || [ $$? -eq 1 ]

# Tests mostly wait for processes: six files at a time keep two cores busy. What takes minutes comes first (tests/conftest.py), then those
# that kill and freeze processes; they wait most of all. What a thousand processes load is compiled once, whatever the environment says.
# With T="…" one after the other, so that output comes at once.
test chaos: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED) $(DEV)
ifdef T
	@$(BIN)/python -m pytest $(T)
else
	@$(BIN)/python -m pytest -n 6 --dist loadfile --no-loadscope-reorder
endif

chaos: $(INSTALLED) $(DEV)
	@$(BIN)/python -m pytest -m long $(T)

lint: $(INSTALLED) $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(INSTALLED) $(DEV) $(PEERS)
	@$(BIN)/python -m benchmarks $(B)

# What usher is measured against, and what draws the plot: an environment of its own, so that none of it is ever usher's.
$(PEERS): benchmarks/peers/requirements.lock $(INSTALLED)
	@echo 'usher: making an environment for the peers in .venv-peers'
	@rm -rf .venv-peers
	@$(BIN)/python -m venv --without-pip .venv-peers
	@$$(sed -n 2p $(MADE) | sed 's/ --python .*//') --python .venv-peers/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

# docs/decisions/0002-lock-file.md; make lock UVFLAGS=--upgrade takes newer versions
UV := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UVFLAGS)

lock:
	@command -v uv >/dev/null || { echo 'usher: make lock needs uv (pip install uv).' >&2; exit 1; }
	@$(UV) --extra console --extra embedded --extra plot --extra xlsx --group build --output-file requirements.lock
	@$(UV) --extra console --extra embedded --extra plot --extra xlsx --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(subst pyproject.toml,benchmarks/peers/requirements.in,$(UV)) --output-file benchmarks/peers/requirements.lock

# What is new is left empty in words/*/LC_MESSAGES/console.po, to be translated; tests tell which. Both files are committed.
WORDS := console/pages/words
words: $(INSTALLED) $(DEV)
	@cd console/pages && ../../$(BIN)/pybabel -q extract -F words/babel.cfg -k N_ --no-location -o words/console.pot .
	@$(BIN)/pybabel -q update -N --ignore-pot-creation-date -D console -i $(WORDS)/console.pot -d $(WORDS) -w 120
	@$(BIN)/pybabel -q compile -D console -d $(WORDS)
	@rm -f $(WORDS)/console.pot

clean:
	@rm -rf $(VENV) .venv-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
