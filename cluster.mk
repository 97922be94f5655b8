# A cluster on this machine, by kind. KIND_NODE_IMAGE chooses Kubernetes' version, TRAWL_SOURCE_POKEAPI_BASE_URL the source.
CLUSTER   := trawl
NAMESPACE := trawl
CONTEXT   := kind-$(CLUSTER)
KUBECTL   := kubectl --context $(CONTEXT)
HELM      := helm --kube-context $(CONTEXT)
IMAGE     := trawl
E2E       := $(BIN)/pytest tests/e2e --override-ini faulthandler_timeout=3600  # the long ones take minutes each
UI_PORT   ?= 4200
S3_PORT   ?= 9000
REPLICA_URL := http://pokeapi.trawl-replica/api/v2
# An address on this machine, set for a laptop's crawl, is none that a pod could reach.
POKEAPI_URL ?= $(or $(filter-out http://127.0.0.1% http://localhost%,$(TRAWL_SOURCE_POKEAPI_BASE_URL)),$(REPLICA_URL))
REVISION  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

# The tag is the image's own id: the same code changes nothing in the cluster, other code rolls it out.
image_id = $(shell docker image inspect --format '{{.Id}}' $(IMAGE):latest | cut -c8-19)
# Full speed is for the replica; a POKEAPI_URL of one's own is asked as politely as the source says.
chart_args = --namespace $(NAMESPACE) --values k8s/values-kind.yaml \
  --set-string image.repository=$(IMAGE),image.tag=$(image_id),sources.pokeapi.baseUrl=$(POKEAPI_URL) \
  $(if $(filter-out $(REPLICA_URL),$(POKEAPI_URL)),--set-string sources.pokeapi.rate=) $(HELM_ARGS)
say = @printf '\033[1m==> %s\033[0m\n'

.PHONY: up down ui image load e2e e2e-all report kind-cluster need-%
up: kind-cluster load ## Run all of it in kind: cluster, image, replica of PokeAPI, chart
	$(say) "replica of PokeAPI"
	@$(KUBECTL) apply -f k8s/namespace.yaml
	@sed 's|image: trawl$$|image: $(IMAGE):$(image_id)|' k8s/replica.yaml | $(KUBECTL) apply -f -
	$(say) "helm upgrade --install trawl (about a minute)"
	@$(HELM) upgrade --install trawl helm/trawl $(chart_args) --wait --wait-for-jobs --timeout 10m >/dev/null || \
	  { $(KUBECTL) -n $(NAMESPACE) get pods; \
	    $(KUBECTL) -n $(NAMESPACE) get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -15; exit 1; }
	@$(KUBECTL) -n trawl-replica rollout status deployment/pokeapi --timeout 5m
	@$(KUBECTL) -n $(NAMESPACE) logs -l app.kubernetes.io/component=bootstrap --tail -1
	@printf '%s\n' '' \
	  'Trawl runs. Open the UI:     make ui' \
	  'Crawl now:                   make run' \
	  'Ask the data, after a run:   make query SQL="SELECT endpoint, count(*) FROM pokeapi.records GROUP BY 1"' \
	  'Any other command on it:     make trawl CMD="changes pokeapi"' \
	  'Remove everything:           make down'

down: need-kind need-docker ## Remove the cluster, all that is in it, and the image
	kind delete cluster --name $(CLUSTER)
	@docker image ls --format '{{.Repository}}:{{.Tag}}' --filter reference='$(IMAGE)' | grep -v '<none>' | xargs -r docker image rm --force >/dev/null

ui: need-kubectl ## Open the way to Prefect's UI at http://localhost:4200 (UI_PORT)
	@printf 'http://localhost:%s, sign in with the string that this prints:\n  %s\n' $(UI_PORT) \
	  "$(KUBECTL) -n $(NAMESPACE) get secret trawl-api -o jsonpath='{.data.auth-string}' | base64 -d"
	@$(KUBECTL) -n $(NAMESPACE) port-forward svc/trawl-server $(UI_PORT):4200

.PHONY: run query trawl
run: need-kubectl ## Run refresh-pokeapi in the cluster and watch it
	@$(KUBECTL) -n $(NAMESPACE) exec deploy/trawl-worker -- prefect deployment run refresh/refresh-pokeapi --watch

SQL ?= SELECT * FROM pokeapi.records LIMIT 10
CMD ?= status
export SQL
# A command with the lake in the cluster as its own: a way to MinIO, and the flows' keys, for as long as it runs.
at_lake = $(KUBECTL) -n $(NAMESPACE) port-forward svc/trawl-minio $(S3_PORT):9000 >/dev/null & forward=$$!; \
	trap 'kill $$forward' EXIT; \
	secret() { $(KUBECTL) -n $(NAMESPACE) get secret trawl-s3 -o jsonpath="{.data.$$1}" | base64 -d; }; \
	export AWS_ENDPOINT_URL=http://localhost:$(S3_PORT) AWS_ALLOW_HTTP=true AWS_REGION=us-east-1 TRAWL_LAKE=s3://trawl-lake; \
	export AWS_ACCESS_KEY_ID="$$(secret access-key)" AWS_SECRET_ACCESS_KEY="$$(secret secret-key)";
query: setup need-kubectl ## Ask the lake in the cluster from here: make query SQL="SELECT ..."
	@$(at_lake) $(BIN)/trawl query "$$SQL"

trawl: setup need-kubectl ## Any command of Trawl's on the lake in the cluster: make trawl CMD="changes pokeapi"
	@$(at_lake) $(BIN)/trawl $(CMD)

image: need-docker ## Build the image
	$(say) "image $(IMAGE)"
	@docker build --build-arg REVISION=$(REVISION) --tag $(IMAGE):latest .

# What the local Docker does not have, the cluster pulls by itself.
load: image kind-cluster ## Load the image, and those of the chart that Docker has, into the cluster
	@docker tag $(IMAGE):latest $(IMAGE):$(image_id)
	@there="$$(docker exec $(CLUSTER)-control-plane ctr --namespace k8s.io images list -q)"; images=; \
	for image in $$($(HELM) template trawl helm/trawl $(chart_args) $(load_args) | sed -n 's/^ *image: "\([^{]*\)"$$/\1/p' | sort -u); do \
	  echo "$$there" | grep -qxF -e "$$image" -e "docker.io/library/$$image" && continue; \
	  docker image inspect "$$image" >/dev/null 2>&1 && images="$$images $$image"; \
	done; \
	if [ -n "$$images" ]; then \
	  printf '\033[1m==> load%s (a minute or two the first time)\033[0m\n' "$$images"; \
	  kind load docker-image --quiet --name $(CLUSTER) $$images; \
	fi

kind-cluster: need-docker need-kind need-helm need-kubectl
	$(say) "cluster $(CLUSTER)"
	@kind get clusters 2>/dev/null | grep -qx $(CLUSTER) || \
	  kind create cluster --name $(CLUSTER) --config k8s/kind.yaml --wait 120s $(if $(KIND_NODE_IMAGE),--image $(KIND_NODE_IMAGE))

e2e: setup need-kubectl ## Test the installation that `make up` made
	$(E2E) -m "not long"

e2e-all: load_args := --values helm/trawl/ci/high-availability-values.yaml
e2e-all: setup need-kubectl load ## The same with the long ones: backups, high availability, stores elsewhere, repeated kills
	$(E2E)

report: need-kind need-kubectl ## Gather what the cluster says about itself in build/report
	@mkdir -p build/report
	-@$(KUBECTL) get pods,jobs,pvc --all-namespaces --output wide >build/report/objects.txt 2>&1
	-@$(KUBECTL) get events --all-namespaces --sort-by .lastTimestamp >build/report/events.txt 2>&1
	-@$(KUBECTL) --namespace $(NAMESPACE) describe pods >build/report/pods.txt 2>&1
	-@kind export logs build/report/logs --name $(CLUSTER)

need-docker:
	@command -v docker >/dev/null || { echo "Docker is needed and not installed: https://docs.docker.com/get-docker/" >&2; exit 1; }
	@docker info >/dev/null 2>&1 || { echo "Docker is installed but its engine does not answer (docker info)." >&2; exit 1; }
need-kind:
	@command -v kind >/dev/null || { echo "kind is needed and not installed: https://kind.sigs.k8s.io/docs/user/quick-start/" >&2; exit 1; }
need-helm:
	@command -v helm >/dev/null || { echo "Helm is needed and not installed: https://helm.sh/docs/intro/install/" >&2; exit 1; }
need-kubectl:
	@command -v kubectl >/dev/null || { echo "kubectl is needed and not installed: https://kubernetes.io/docs/tasks/tools/" >&2; exit 1; }
