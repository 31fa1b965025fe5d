# `make` lists the targets. Any recent make will do, macOS's included.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env data reproduce test trace audit evidence bench publish site site-test archive clean

PYTHON   ?= python3
DATA     ?= mnist
PROFILE  ?= auto
EXECUTOR ?= local
N        := 5
WORKERS  :=
FORCE    :=
SEED     :=
NAME     :=
ROW      :=
COLUMN   :=

# A .venv is current when it holds the stamp named after this lock, this pyproject and this folder.
# (The folder counts because an editable install remembers where it was made.)
STAMP := .venv/.made-from-$(shell { pwd; cat requirements.lock pyproject.toml; } | cksum | cut -d' ' -f1)
RAY   := .venv/.ray-from-$(shell cksum < requirements-ray.lock | cut -d' ' -f1)
SITE  := .venv/.site-from-$(shell cksum < requirements-site.lock | cut -d' ' -f1)
PY    := .venv/bin/python

# Conda users activate the environment of environment.yml and pass PYTHON="$(which python)". An
# interpreter named like that is used as it is if it has this folder's package and the locked torch.
SAME  := os.path.samefile(u.find_spec("labelnoise").origin, "src/labelnoise/__init__.py")
OURS  := import importlib.util as u, os, sys; sys.exit(not $(SAME))
READY := import importlib.metadata as m, importlib.util as u, os, sys; same = $(SAME); \
  lock = open("requirements.lock").read().split(); \
  torch = "torch==" + m.version("torch").split("+")[0] in lock; \
  sys.exit(not (same and torch))
ifeq ($(origin PYTHON),command line)
ifeq ($(shell $(PYTHON) -c '$(READY)' 2>/dev/null && echo ready),ready)
PY    := $(PYTHON)
STAMP :=
RAY   :=
SITE  :=
endif
endif

# How many runs train side by side; nothing for as many as was measured to be best.
AT_A_TIME := $(if $(WORKERS), --workers '$(WORKERS)')

INSTALL   := -m pip install --disable-pip-version-check
SUPPORTED := import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit( \
  "make: %s is Python %d.%d, but 3.11, 3.12 or 3.13 is needed.\n" \
  "      Name one, for example: make env PYTHON=python3.12" % (sys.executable, v[0], v[1]))

help: ## this list
	@echo 'usage: make TARGET [DATA=mnist,...] [PROFILE=auto] [EXECUTOR=local] [N=5] [PYTHON=python3]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-10s %s\n", $$1, $$2 }'

env: $(STAMP) ## .venv from requirements.lock; does nothing when it is current

# A stamp cannot tell what was installed over it, another folder's package or a copy, nor that the
# interpreter is gone: then all is installed again.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell $(PY) -I -c '$(OURS)' 2>/dev/null && echo ours),ours)
.PHONY: .renewal
$(STAMP): .renewal
.renewal:
	@echo "The labelnoise of .venv is not that of this folder."
endif
endif

# pip runs with whatever configuration (index, proxy, cache) its user has. `.unfinished` is there from
# the first step to the last: an install that was killed is found out, and made again from nothing.
$(STAMP):
	@if [ ! -x $(PY) ] || [ -e .venv/.unfinished ]; then $(PYTHON) -c '$(SUPPORTED)'; fi
	@if [ -e .venv/.unfinished ]; then \
	    echo "The last install did not finish: starting over."; \
	    find .venv -mindepth 1 ! -name .unfinished -delete; \
	fi
	@echo "Installing requirements.lock into .venv: some minutes and 1.6 GB of disk, or 5.3 GB"
	@echo "where pip picks the CUDA build of torch, as it does by default on Linux."
	@mkdir -p .venv && touch .venv/.unfinished && rm -f .venv/.made-from-*
	@[ -x $(PY) ] || $(PYTHON) -m venv .venv
	$(PY) $(INSTALL) -r requirements.lock
	$(PY) $(INSTALL) --no-deps --no-build-isolation -e .
	@mv .venv/.unfinished $@
	@echo "Done: $$($(PY) -V) in .venv"

# Ray is an extra, in the same .venv: for those who train on a cluster, and for the tests of that.
$(RAY): $(STAMP)
	$(PY) $(INSTALL) -r requirements-ray.lock
	@rm -f .venv/.ray-from-* && touch $@

# Sphinx and what shows the site in a browser, too.
$(SITE): $(STAMP)
	$(PY) $(INSTALL) -r requirements-site.lock
	@rm -f .venv/.site-from-* && touch $@

data: env ## fetch and verify data sets (DATA=mnist,cifar10,...)
	$(PY) -m labelnoise.data $(DATA)

reproduce: env $(if $(filter ray,$(EXECUTOR)),$(RAY)) ## the main job: data, training, notebooks, report (PROFILE=auto, WORKERS=4, FORCE=1, EXECUTOR=local or ray)
	$(PY) -m labelnoise.reproduce --profile $(PROFILE) --executor $(EXECUTOR)$(AT_A_TIME)$(if $(FORCE), --force)

test: env ## every test, and every notebook against its committed outputs
	@$(if $(RAY),$(MAKE) -s $(RAY) || echo "Without Ray the tests of the cluster are skipped.")
	$(PY) -m labelnoise.data mnist
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env --nbval-cell-timeout=300 tests notebooks

# It answers on a fresh clone, too: without .venv the records are shown, and nothing is recomputed.
# The labels of rows hold brackets and quotes: they reach the program through the environment.
trace: ## the records behind a table or figure (NAME=03_headline, ROW=CE, COLUMN=)
	@[ -x $(PY) ] || $(PYTHON) -c '$(SUPPORTED)'
	@PYTHONPATH=src $(if $(wildcard $(PY)),$(PY),$(PYTHON)) -m labelnoise.analysis.trace \
	    --name "$$NAME" --row "$$ROW" --column "$$COLUMN"

audit: env ## check every committed record, retrain N drawn at random, compare (N=5, SEED=random)
	$(PY) -m labelnoise.reproduce.audit --n $(N) $(if $(SEED),--seed $(SEED))

evidence: env ## maintainers: train what results/ lacks of the queue, at low priority (WORKERS=all cores)
	$(PY) -m labelnoise.reproduce.evidence$(AT_A_TIME)

bench: env ## speed and memory against their targets, into benchmarks/ (about 35 minutes)
	$(PY) benchmarks/losses.py --write
	$(PY) benchmarks/engine.py --write

publish: env ## maintainers: refresh the committed notebooks, figures and tables from results/
	$(PY) -m labelnoise.reproduce --publish

site: env $(SITE) ## the notebooks and docs as web pages, into build/site (nothing is executed)
	$(PY) -m sphinx -W -q -b html -c docs -d build/doctrees . build/site
	@echo "Open build/site/index.html"

site-test: site ## the site in a headless browser: links, widths, contrast, the slider
	$(PY) -m pytest docs/test_site.py

archive: env ## the commit as one file with a manifest, into dist/
	$(PY) -m labelnoise.reproduce.archive

clean: ## remove reproduced/ (runs trained here too!) and caches; keeps results/, data/ and .venv/
	rm -rf reproduced build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis
	find src tests notebooks benchmarks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
