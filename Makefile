# One virtual environment for everything: .venv. A stamp file in it says what is installed, so that a second
# `make` starts at once. RUN_EXTRAS is what a user needs, SEE_EXTRAS what learning from cameras needs on top,
# DEV_EXTRAS what a developer does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --use-pep517 -c constraints.txt
RUN_EXTRAS := sim,ros,learn,console
SEE_EXTRAS := $(RUN_EXTRAS),perception
DEV_EXTRAS := $(SEE_EXTRAS),devices,crazyflie,data,dev
BENCH_EXTRAS := $(SEE_EXTRAS),bench
REQUIREMENTS := pyproject.toml constraints.txt

# Shared libraries of off-screen rendering (the first two), OpenCV and the RealSense SDK, and the Debian
# packages that hold them and what .venv needs.
LIBRARIES := libEGL.so.1 libOpenGL.so.0 libGL.so.1 libgthread-2.0.so.0 libusb-1.0.so.0
PACKAGES := python3-venv libegl1 libopengl0 libgl1-mesa-dri libgl1 libglib2.0-0 libusb-1.0-0

# Programs that the tests start, and the Debian packages that hold them: a browser for the console's pages (it
# draws nothing without a font), and the daemon of 3-D mice. Below: what builds and runs the firmware.
PROGRAMS := chromium spacenavd
PROGRAM_PACKAGES := chromium fonts-dejavu-core spacenavd
FIRMWARE_PROGRAMS := cc cmake arm-none-eabi-gcc qemu-system-arm
FIRMWARE_PACKAGES := gcc libc6-dev make cmake gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm

# DEMO passes options on: make demo DEMO="--seed 1 --headless"
DEMO ?=
# TESTS narrows a run: make test TESTS=tests/unit/test_spec.py
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-pixels fly test test-learning check fmt system-deps test-deps firmware-deps \
	bench docs
.DELETE_ON_ERROR:

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.run ## Make .venv and install what the demo and training need

demo: setup system-deps ## Teach a simulated Franka to pick a cube, from nothing, in minutes
	$(BIN)/robot-rl demo $(DEMO)

demo-pixels: $(VENV)/.see system-deps ## Teach it through two cameras, with a reward learned from labels
	$(BIN)/robot-rl demo-pixels $(DEMO)

fly: setup system-deps firmware-deps ## Teach a quadrotor to fly in seconds, on a microcontroller
	$(BIN)/robot-rl fly $(DEMO)

test: $(VENV)/.dev test-deps ## Run the tests
	$(BIN)/python -m pytest $(TESTS)

test-learning: $(VENV)/.dev test-deps ## Run the long tests that train to the end
	$(BIN)/python -m pytest -m learning $(TESTS)

check: $(VENV)/.dev ## Check format, lint, types, layers, spelling and documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/codespell
	@# An __init__.py in launch/ would hide ROS 2's own package of that name.
	@! ls launch/__init__.py tests/__init__.py firmware/__init__.py 2>/dev/null
	@$(MAKE) --no-print-directory docs

fmt: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.bench system-deps ## Run the benchmarks, with their peers
	@set -e; for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script; done

docs: $(VENV)/.dev ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

system-deps: ## Install the system packages that are needed, or say which they are
	@missing=$$($(PYTHON) -c 'import ensurepip' 2>/dev/null || echo "Python's venv module"); \
	for library in $(LIBRARIES); do \
		PATH="$$PATH:/sbin" ldconfig -p | grep -q "$$library" || missing="$$missing $$library"; \
	done; \
	$(call install,$(PACKAGES),Without the libraries there is no off-screen rendering: no video and no cameras.)

test-deps: system-deps firmware-deps # and the programs that tests start
	@$(call lacking,$(PROGRAMS)) \
	$(call install,$(PROGRAM_PACKAGES),Tests that need them are left out (under CI: fail).)

firmware-deps:
	@$(call lacking,$(FIRMWARE_PROGRAMS)) \
	$(call install,$(FIRMWARE_PACKAGES),Without them firmware can be exported and not built.)

# Put the programs that are not here into $$missing.
define lacking
missing=; for program in $(1); do \
	PATH="$$PATH:/sbin:/usr/sbin" command -v "$$program" >/dev/null || missing="$$missing $$program"; \
done;
endef

# Install packages where something is $$missing, or say which, and what follows from it.
define install
if [ -z "$$missing" ]; then exit 0; fi; \
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends $(1) >/dev/null && exit 0; \
fi; \
echo "Not found: $$missing. On Debian and Ubuntu: sudo apt-get install $(1)" >&2; \
echo "$(2)" >&2
endef

$(BIN)/python: | system-deps
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "robot_rl needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(REQUIREMENTS) | $(BIN)/python
	$(PIP) --config-settings editable_mode=compat --editable '.[$(RUN_EXTRAS)]'
	@touch $@

$(VENV)/.see: $(REQUIREMENTS) | $(BIN)/python
	$(PIP) --config-settings editable_mode=compat --editable '.[$(SEE_EXTRAS)]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: $(REQUIREMENTS) | $(BIN)/python
	$(PIP) --config-settings editable_mode=compat --editable '.[$(DEV_EXTRAS)]'
	@touch $@ $(VENV)/.run $(VENV)/.see

$(VENV)/.bench: $(REQUIREMENTS) | $(BIN)/python
	$(PIP) --config-settings editable_mode=compat --editable '.[$(BENCH_EXTRAS)]'
	@touch $@ $(VENV)/.run
