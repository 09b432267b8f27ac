# Every target prints the command that it runs, and all of them work without make.
.DEFAULT_GOAL := help
.PHONY: help venv app-venv demo demo-down env rekey test test-quick test-fast bench lint docs lock clean

export PATH := $(CURDIR)/.venv/bin:$(PATH)
playbook := ansible-playbook
vps := molecule/shared
# What `make test` checks: all scenarios on Debian 12, and `default` on 13; or SCENARIOS="edge data" DEBIAN="12 13".
SCENARIOS ?=
DEBIAN ?=
PYTEST_ARGS ?=
# Two cores are kept busy by four: each waits for a machine that boots, or for a package, now and then.
checks := pytest -n 4 --dist loadscope --no-loadscope-reorder -q --debian "$(DEBIAN)"

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## Install the tools, as requirements.txt locks them, into .venv
	@.config/bootstrap.sh

app-venv: venv ## Install what the app and its tests need into app/.venv
	uv venv --quiet --allow-existing --python .venv/bin/python app/.venv
	uv pip sync --quiet --require-hashes --python app/.venv/bin/python app/requirements.txt app/requirements-dev.txt

demo: venv ## Start a VPS on this machine and deploy the demo to it
	$(playbook) playbooks/environment.yml -e environment_name=local
	$(playbook) $(vps)/create.yml -i inventory/local.yml
	$(playbook) site.yml -i inventory/local.yml

demo-down: venv ## Remove the demo: its container, keys and images
	$(playbook) $(vps)/destroy.yml -i inventory/local.yml -e vps_forget_images=true

env: venv ## Start an environment: NAME=production HOST=198.51.100.7 DOMAIN=shop.example.com
	$(playbook) playbooks/environment.yml \
	  -e environment_name='$(NAME)' -e environment_host='$(HOST)' -e environment_domain='$(DOMAIN)' \
	  -e environment_key='$(KEY)'

rekey: venv ## Change the password of an environment's vault: NAME=production
	$(playbook) playbooks/rekey.yml -e environment_name='$(NAME)'

lint: app-venv ## Look for faults without running anything
	ruff check . && ruff format --check .
	mypy
	cd app && mypy --python-executable .venv/bin/python guestbook wsgi.py ../molecule/shared/hello ../molecule/environments/apps \
	  ../molecule/lifecycle/app ../molecule/edge/apps ../molecule/host/apps
	yamllint --strict .
	ansible-lint --strict
	python roles/preflight/files/vault-guard.py

test-fast: lint ## Lint and the tests that take no time: under a minute
	pytest -n auto -m 'not playbook' tests $(PYTEST_ARGS)
	cd app && .venv/bin/python -m pytest $(PYTEST_ARGS)

test-quick: test-fast ## The inner loop: that, and one host on Debian 12 with a deploy under load
	$(checks) --debian 12 molecule/default $(PYTEST_ARGS)

test: test-fast ## Every test: each scenario on Debian 12, the default one on 13 too; DEBIAN="12 13" has all on both
	pytest -n auto -m playbook tests $(PYTEST_ARGS)
	$(checks) $(or $(SCENARIOS:%=molecule/%),molecule) $(PYTEST_ARGS)

docs: venv ## Write the pages that are made from the roles' and the apps' descriptions
	docs/generate.py

bench: venv ## Measure it all against a plain shell script; docs/performance.md reads the table
	python -m tests.bench

lock: venv ## Bring the locks of Python packages up to date
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet requirements.in -o requirements.txt

clean: demo-down ## Remove the demo, snapshots, downloads and what the targets above installed
	podman images --quiet --filter label=slipway.checkout=$(CURDIR) | xargs --no-run-if-empty podman rmi --force
	rm -rf .venv app/.venv .slipway/cache
