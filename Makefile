# Every command of a newcomer's day. Each one sets up what it needs first; nothing is to be installed
# by hand (as root; without root the scripts say what is missing).

.DEFAULT_GOAL := help
.PHONY: help demo test lint screenshots bench bench-scale chaos soak schemas lock clean runtime development benchmarks

# make clean demo PYTHON=python3.13: another Python than the machine's first one
export PYTHON ?= python3

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: runtime ## run it all here, with a sample backfill of 52 weeks (ONCE=1, DATA=file.csv, SEGMENTATION=daily|weekly|monthly, PORT=8080)
	@exec .venv/bin/report-builder demo $(if $(ONCE),--once) $(if $(DATA),--data "$$DATA") \
	  $(if $(SEGMENTATION),--segmentation "$$SEGMENTATION") $(if $(PORT),--port "$$PORT")

test: development ## every test, with RabbitMQ and PostgreSQL 15 (AMQP_URL=… uses your broker, ARGS=… goes to pytest, as -n 0 for one at a time)
	@scripts/interface test
	@scripts/with-services pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: development ## style, types, the direction of imports
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/python -m pip check
	@.venv/bin/python -m service.contract >service/ui/src/api/openapi.json
	@scripts/interface types check lint

screenshots: development ## every page of the web interface, by width and theme, into var/screenshots
	@scripts/with-services python -m tests.ui.screenshots

bench: benchmarks ## measure it all beside others and limits (QUICK=1: within five minutes; ARGS="append ui": these alone, ARGS=--help lists them)
	@scripts/with-services python -m tests.bench $(if $(QUICK),--quick) $(ARGS)

bench-scale: benchmarks ## the same at ten million events: growth, and the read models built again
	@scripts/with-services python -m tests.bench scale $(ARGS)

chaos: development ## break things while it works, the long form
	@TEST_LENGTH=long scripts/with-services pytest -m "long or not long" tests/chaos $(ARGS)

soak: development ## a year of schedules with kills of their schedulers; a million events signed, verified, rebuilt; every state of every page
	@scripts/with-services pytest tests/soak $(ARGS)
	@scripts/with-services pytest -m long tests/ui $(ARGS)

schemas: development ## write the schemas of new event types and versions to docs/schemas; refuses what breaks a released one
	@.venv/bin/python -m service.contract.event_schemas

lock: ## write the lock files anew from pyproject.toml (UPGRADE=1: take the newest of everything)
	@scripts/lock $(if $(UPGRADE),--upgrade)

clean: ## remove everything that these commands made in this folder
	rm -rf .venv var dist service/ui/dist* service/ui/node_modules service/ui/src/api/openapi.json service/ui/src/api/schema.d.ts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime:
	@scripts/setup

development:
	@scripts/setup development

benchmarks:
	@scripts/setup bench
