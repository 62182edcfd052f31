# Debian keeps servers where the PATH of an ordinary user does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
export TURBO_TELEMETRY_DISABLED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check build clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

setup: ## install what is missing: npm packages, redis-server, nats-server
	@tools/setup.sh

demo: setup ## copy a live Redis and keep it in step, with a writer killed half-way (options: DEMO="--keep")
	@./sluice demo $(DEMO)

test: ## everything: checks, unit tests, tests with real servers, tests with our own processes
	@tools/test.sh

check: setup ## the quick part: format, types, lint, unused code, unit tests
	@npm run --silent check

build: setup ## compile every package into its dist/
	@npm run --silent build

clean: ## remove what was built; leaves node_modules and .sluice
	@rm -rf dist .turbo node_modules/.cache libs/*/dist services/*/dist apps/*/dist libs/*/.turbo services/*/.turbo apps/*/.turbo
