# Shortlist: `make demo` shows everything, `make test` tests it, `make help` lists the rest.

PYTHON ?= $(shell packaging/venv.sh find-python)
SHOP := demo/gift-shop
DATASET ?= $(SHOP)
# Files of the dataset by a pattern; $(wildcard) takes a path with spaces for several.
in_dataset = $(shell ls -d '$(DATASET)'/$(1) 2>/dev/null)
of_file = $(shell test -f '$(DATASET)' && echo yes)
CONFIG ?= $(if $(call in_dataset,queries.*),configs/search,configs)
ARTIFACTS ?= artifacts
RELEASES ?= releases
REPORTS ?= reports
NIGHTLY ?= nightly
EXTRA ?= cpu
VENV := .venv
RUN := $(VENV)/bin/python
# What fails here starts anew: an interrupted install, a moved checkout, a Python other than PYTHON=… asks for.
IS_WHOLE := $(shell packaging/venv.sh is-whole '$(EXTRA)' $(if $(findstring file,$(origin PYTHON)),,'$(PYTHON)'))
PEERS = $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRA),dev,bench,peers]'
PUBLISHED := protos/published.json
PROTOS = -Ishortlist_client/proto=protos protos/recommender/v1/*.proto
OLD_PROTOC := .cache/protos-venv/bin/python
LOCK_UV := .cache/lock-venv/bin/uv
SBOM_TOOL := .cache/sbom-venv/bin/cyclonedx-py
# Where wheels of torch without CUDA are listed: a page of links, or a folder.
export TORCH_WHEELS ?= https://download.pytorch.org/whl/cpu/torch/
LOCKED = $(LOCK_UV) pip compile --quiet --no-header --no-annotate --generate-hashes -c constraints.txt \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28
DESCRIBE = $(VENV)/bin/buf build --exclude-source-info -o -\#format=json | $(RUN) -m json.tool --indent 1
NAME := $(shell basename -- '$(DATASET)')
path = $(if $(1),'$(1)')
there = $(shell test -e '$(1)' && echo yes)
$(if $(call there,$(CONFIG)/.),,$(error CONFIG must be a folder, got $(CONFIG); put the file into one under the name \
	of its stage: `mkdir my-configs && cp $(CONFIG) my-configs/data.yaml`))
config = '$(if $(call there,$(CONFIG)/$(1).yaml),$(CONFIG),configs)/$(1).yaml'
# The columns of the demo's shop stand in configs/demo/data.yaml, which no other dataset can use.
OF_SHOP := $(filter $(SHOP),$(DATASET:/=))
data_config = $(if $(and $(OF_SHOP),$(filter configs,$(CONFIG))),configs/demo/data.yaml,$(if \
	$(or $(OF_SHOP),$(filter-out configs/demo,$(CONFIG))),$(call config,data),configs/data.yaml))
DEMO_CONFIG = $(if $(filter ml-100k,$(DATASET)),configs/ml-100k,configs/demo)
ERASED = $(RELEASES)/$(NAME)/ERASED
ARGS = --dataset '$(DATASET)' --artifacts '$(ARTIFACTS)'
USE_BACKBONE = $(if $(BACKBONE),--backbone '$(BACKBONE)')

# The command of each stage, after `python -m`.
IN_TURN = $(RUN) -m lineage.in_turn
of_data = dataset --config $(data_config) $(ARGS) $(if $(call there,$(ERASED)),--erased '$(ERASED)')
of_trial = towers.trial --config $(call config,towers) $(ARGS) $(USE_BACKBONE) + index.trial --config $(call config,index) $(ARGS) + \
	retrieval --config $(call config,shortlists) $(ARGS)
of_towers = towers --config $(call config,towers) $(ARGS) $(USE_BACKBONE)
of_index = index --config $(call config,index) $(ARGS)
of_ranker = ranker --config $(call config,ranker) $(ARGS) $(USE_BACKBONE)
of_bench = benchmarks --config $(call config,bench) $(ARGS) --reports '$(REPORTS)'

PYTEST = $(RUN) -m pytest -q -n 3 --dist worksteal
# With these settings, a CPU that has AVX-512 or AMX computes like one that has AVX2 alone.
AVX2 := SHORTLIST_PRECISION=fp32 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
	MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell FAISS_SIMD_LEVEL=AVX2
NUMERIC = $(shell grep -rl --include='test_*.py' mark.numeric tests)
HAS_MORE := $(shell grep -sm1 -oE 'avx512f|amx_tile' /proc/cpuinfo)

# OpenMP threads of FAISS and torch spin for about 50 μs, then sleep.
export GOMP_SPINCOUNT ?= 10000
# Keep large blocks in the process; otherwise every training step requests them from the kernel again.
export MALLOC_MMAP_THRESHOLD_ ?= 8589934592
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_ ?= 268435456

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow gpu-check fuzz check lint format install weights data trial towers index tune \
        ranker pretrain distil classify answers generative nightly bench bench-recall bench-speed bench-ranking bench-cold bench-index bench-live bench-serving bench-language soak pipeline last publish rollback \
        releases collections serve upsert delete export-events prune-events protos client-wheel lock sbom clean

##@ Setup

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  DATASET=ml-100k or a folder with the items and interactions of a shop    (now $(DATASET))"
	@echo "  CONFIG=folder with a YAML a stage; what it lacks is taken from configs/  (now $(CONFIG))"
	@echo "  BACKBONE=folder that towers, ranker, classify, pretrain and distil read instead of their YAML's, as artifacts/$(NAME)/distilled"

install: $(VENV)/installed-$(EXTRA) ## Create .venv and install the pinned dependencies

$(VENV)/installed-$(EXTRA): pyproject.toml constraints.txt $(if $(IS_WHOLE),,FORCE)
	@packaging/venv.sh install '$(EXTRA)' '$(PYTHON)' $(IS_WHOLE)

FORCE:

weights: install ## Fetch the default backbone into .cache
	@$(RUN) -m dataset.prepare.download weights

clean: ## Delete artefacts and reports; releases, .venv and .cache stay
	rm -rf '$(ARTIFACTS)' '$(REPORTS)'

##@ Pipeline

demo: ## Run every stage on a gift shop's sales, serve the result, ask it over gRPC
	@$(MAKE) --no-print-directory pipeline CONFIG=$(DEMO_CONFIG) DATASET='$(DATASET)'
	@$(RUN) -m benchmarks.demo --artifacts '$(ARTIFACTS)/$(NAME)' --config configs/serving.yaml
	@echo "report: $(REPORTS)/$(NAME)/report.html"

pipeline: weights ## Run every stage in order, from raw data to the report
	@$(IN_TURN) $(of_data) + $(of_trial) + $(of_towers) + $(of_index) + $(of_ranker) + $(of_bench)

data: install ## Check, clean, split and render a dataset
	@$(RUN) -m $(of_data)

trial: install ## Train towers on the training split and recall the ranker's shortlists
	@$(IN_TURN) $(of_trial)

towers: trial ## Train both towers on everything before the test, embed every item
	@$(RUN) -m $(of_towers)

index: install ## Build the index and tune its operating point
	@$(RUN) -m $(of_index)

tune: install ## Rebuild the index; show recall and latency of every operating point
	@$(RUN) -m benchmarks.index.operating_points --config $(call config,index) $(ARGS) --reports '$(REPORTS)'

ranker: trial ## Train the ranker on the trial's shortlists
	@$(RUN) -m $(of_ranker)

pretrain: weights ## Pre-train the backbone on a shop's texts and purchases, or on a table: DATASET=file TEXT=title
	@$(if $(or $(TEXT),$(of_file)),,$(MAKE) --no-print-directory data)
	@$(RUN) -m pretraining --config $(call config,pretrain) $(ARGS) $(USE_BACKBONE) \
		$(if $(TEXT),--text '$(TEXT)' $(if $(findstring command,$(origin NAME)),--name '$(NAME)'))

distil: weights ## Teach a student of LAYERS=3 the backbone's states of a shop's texts, or a table's: DATASET=file TEXT=title
	@$(if $(or $(TEXT),$(of_file)),,$(MAKE) --no-print-directory data)
	@$(RUN) -m pretraining.distil --config $(call config,distil) $(ARGS) $(if $(LAYERS),--layers $(LAYERS)) $(USE_BACKBONE) \
		$(if $(TEXT),--text '$(TEXT)' $(if $(findstring command,$(origin NAME)),--name '$(NAME)'))

classify: weights ## Learn a column from texts: DATASET=folder or file, TARGET=label, TEXT=title,description
	@$(RUN) -m classifier --config $(call config,classifier) $(ARGS) --reports '$(REPORTS)' --target '$(TARGET)' $(USE_BACKBONE) \
		$(if $(TEXT),--text '$(TEXT)') $(if $(findstring command,$(origin NAME)),--name '$(NAME)')

answers: weights ## Learn when a FAQ answers questions: DATASET=its folder, NAME=the shop that it is for
	@for stage in data $(if $(call in_dataset,labels*),trial towers index); do $(MAKE) --no-print-directory $$stage NAME="$$(basename -- '$(DATASET)')" || exit $$?; done
	@$(RUN) -m answers --config $(call config,answers) $(ARGS) --reports '$(REPORTS)' \
		$(if $(findstring command,$(origin NAME)),--name '$(NAME)')

generative: trial ## Train a decoder that generates the next item; a release holds it where it is
	@$(RUN) -m generative --config $(call config,generative) $(ARGS)

##@ Publish and serve

nightly: weights ## Gather new events, retrain, compare with the live release, publish what is no worse, report
	@$(RUN) -m retraining --config $(call config,nightly) --configs '$(CONFIG)' --dataset '$(DATASET)' \
		--artifacts '$(NIGHTLY)' --releases '$(RELEASES)' --reports '$(REPORTS)'

last: install ## Train towers and build the index again on everything, the test split too
	@$(RUN) -m towers.last $(ARGS)
	@$(RUN) -m index.last $(ARGS)

publish: install ## Make the last fit, check all stages, make them the live release; KEY=file signs it
	@$(RUN) -m serving publish --config $(call config,publish) --artifacts '$(ARTIFACTS)/$(NAME)' \
		--releases '$(RELEASES)/$(NAME)' $(if $(KEY),--key '$(KEY)')

rollback: install ## Return to the release before the live one, or to RELEASE=id
	@$(RUN) -m serving rollback --releases '$(RELEASES)/$(NAME)' $(if $(RELEASE),--release $(RELEASE))

releases: install ## List the releases; which is live, which was before
	@$(RUN) -m serving releases --releases '$(RELEASES)/$(NAME)'

collections: install ## List the collections in Milvus at URI=…; DO=drop drops the unused ones
	@$(RUN) -m index.milvus_store $(or $(DO),list) --uri $(call path,$(URI)) --artifacts '$(ARTIFACTS)' --releases '$(RELEASES)'

serve: install ## Serve the live release over gRPC
	@$(RUN) -m serving serve --releases '$(RELEASES)/$(NAME)' --config $(call config,serving)

##@ Change items and events

upsert: install ## Add or change items: FILE=items.parquet, .csv or .jsonl, TARGET=host:port
	@$(RUN) -m serving upsert $(call path,$(FILE)) $(if $(TARGET),--target $(TARGET))

delete: install ## Delete items: IDS="b-16 b-17", TARGET=host:port
	@$(RUN) -m serving delete $(IDS) $(if $(TARGET),--target $(TARGET))

export-events: install ## Write the events as interactions: OUTPUT=events.parquet
	@$(RUN) -m serving export-events --releases '$(RELEASES)/$(NAME)' --output '$(or $(OUTPUT),events.parquet)'

prune-events: install ## Delete the events that are older than DAYS
	@$(RUN) -m serving prune-events --releases '$(RELEASES)/$(NAME)' --days $(DAYS)

##@ Benchmarks

bench: install ## Recall and NDCG beside the baselines; writes reports/<dataset>/
	@$(RUN) -m $(of_bench)

bench-speed: install ## Encoding, training and embedding beside sentence-transformers
	@$(PEERS)
	@$(RUN) -m benchmarks.latency.encoding --config $(call config,towers) $(ARGS) --reports '$(REPORTS)'

bench-ranking: install ## Latency of the finished ranker beside sentence-transformers' CrossEncoder
	@$(PEERS)
	@$(RUN) -m benchmarks.latency.ranking --config $(call config,ranker) $(ARGS) --reports '$(REPORTS)'

bench-recall: install ## Recall of both sources before the ranker, by width, beside peers
	@$(RUN) -m benchmarks.quality.recall --config $(call config,bench) $(ARGS) --reports '$(REPORTS)'

bench-index: install ## The index beside hnswlib and ScaNN; FULL=--full for 1M and 5M vectors
	@$(PEERS)
	@$(RUN) -m benchmarks.index.compare --config $(call config,index) $(ARGS) --reports '$(REPORTS)' $(FULL)

bench-live: install ## Latency of searches while items change, beside idle
	@$(RUN) -m benchmarks.index.live $(ARGS) --reports '$(REPORTS)'

bench-serving: install ## The server under load, beside sentence-transformers; FULL=--full runs 10 minutes
	@$(PEERS)
	@$(RUN) -m benchmarks.latency.serving $(ARGS) --reports '$(REPORTS)' $(FULL)

soak: install ## An hour of load on two servers of one PostgreSQL, one killed every minute: STORE=postgresql://…
	@$(RUN) -m benchmarks.soak $(ARGS) --reports '$(REPORTS)' --store $(call path,$(STORE)) $(if $(MINUTES),--minutes $(MINUTES))

bench-language: weights ## Labels, numbers or searches of DATASET beside peers: TARGET, TEXT, PER_CLASS=10,50,all, TYPOS=0.1
	@$(PEERS)
	@$(if $(call in_dataset,queries.*),$(MAKE) --no-print-directory data)
	@$(RUN) -m benchmarks.language $(ARGS) --reports '$(REPORTS)' --classifier $(call config,classifier) \
		$(if $(TARGET),--target '$(TARGET)') $(if $(TEXT),--text '$(TEXT)') $(if $(PER_CLASS),--per_class '$(PER_CLASS)') \
		$(if $(TYPOS),--typos '$(TYPOS)') $(if $(findstring command,$(origin NAME)),--name '$(NAME)')

bench-cold: install ## Recall of new, rare and searched items; PRETRAIN=configs/pretrain.yaml compares a pre-trained backbone
	@$(RUN) -m benchmarks.quality.cold --config $(call config,towers) $(ARGS) --reports '$(REPORTS)' \
		$(if $(PRETRAIN),--pretraining '$(PRETRAIN)')

##@ Checks

test: install weights ## Run the tests; the numeric ones run again with AVX2 and fp32 alone
	@$(PYTEST) -m 'not slow and not gpu'
	@$(if $(HAS_MORE),$(AVX2) $(PYTEST) -m 'numeric and not slow and not gpu' $(NUMERIC))

test-slow: install weights ## Run all tests: the slow ones too, and GPU tests where there is a GPU
	@$(RUN) -m pytest

gpu-check: install ## On a machine with a GPU: GPU tests, then every kind of index beside the CPU
	@$(RUN) -m pytest -m gpu -q
	@$(RUN) -m benchmarks.index.gpu --reports '$(REPORTS)'

fuzz: install ## Send REQUESTS=100000 hostile requests on the wire, and as many to the engine; 35 minutes
	@$(RUN) -m tests.serving.server.fuzz --requests $(or $(REQUESTS),100000) --seed $(or $(SEED),1)
	@$(RUN) -m pytest tests/serving/server/test_fuzz.py -m slow -q

check: install ## Lint, and the quick tests of what changed since main; within 30 seconds after the first run
	@.ci/check

lint: install ## ruff, mypy --strict, import contracts, the Dockerfile, the gRPC contract
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/hadolint deploy/Dockerfile
	@$(VENV)/bin/buf lint
	@$(VENV)/bin/buf breaking --against $(PUBLISHED)
	@$(DESCRIBE) | cmp -s - $(PUBLISHED) || \
		{ echo "$(PUBLISHED) must hold the contract as it is; run \`make protos\`" >&2; exit 1; }

format: install ## Sort imports and format the code
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

protos: install $(OLD_PROTOC) ## Generate the gRPC code from the .proto files, unless they break what is published
	@$(VENV)/bin/buf breaking --against $(PUBLISHED)
	@$(OLD_PROTOC) -m grpc_tools.protoc $(PROTOS) --python_out=. --grpc_python_out=.
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) -m grpc_tools.protoc $(PROTOS) --mypy_out=. --mypy_grpc_out=.
	@$(DESCRIBE) > $(PUBLISHED)

$(OLD_PROTOC): # the oldest one for Python 3.11: its code runs with every later protobuf
	@$(PYTHON) -m venv $(dir $(@D))
	@$@ -m pip install --quiet --disable-pip-version-check grpcio-tools==1.49.1 'protobuf<5' 'setuptools<80' || \
		{ rm -rf $(dir $(@D)); exit 1; }

client-wheel: install ## Build dist/shortlist_client-*.whl, the client alone
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist packaging/client

##@ Image

lock: $(LOCK_UV) ## Pin the image's dependencies by hash; run it after a change of a dependency
	@{ cat deploy/lock-head.txt; $(LOCKED) pyproject.toml --extra cpu --extra postgresql \
		--find-links '$(TORCH_WHEELS)'; } > deploy/requirements.lock.new
	@{ cat deploy/lock-head.txt; echo hatchling | $(LOCKED) -; } > deploy/build.lock.new
	@mv deploy/requirements.lock.new deploy/requirements.lock
	@mv deploy/build.lock.new deploy/build.lock

$(LOCK_UV):
	@$(PYTHON) -m venv .cache/lock-venv
	@.cache/lock-venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9 || \
		{ rm -rf .cache/lock-venv; exit 1; }

sbom: $(SBOM_TOOL) ## List the image's dependencies as CycloneDX in dist/shortlist.cdx.json
	@mkdir -p dist
	@$(SBOM_TOOL) requirements deploy/requirements.lock --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file dist/shortlist.cdx.json

$(SBOM_TOOL):
	@$(PYTHON) -m venv .cache/sbom-venv
	@.cache/sbom-venv/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0 || \
		{ rm -rf .cache/sbom-venv; exit 1; }
