# A cluster of your own: whatever KUBECONFIG says, or KUBE_CONTEXT of it. The workflows call these targets too.
RELEASE   ?= trawl
PLATFORMS ?= linux/amd64,linux/arm64
# Where images and charts go.
REPOSITORY ?= ghcr.io/trawl-crawler/trawl
CHARTS     ?= oci://ghcr.io/trawl-crawler/charts
TAGS       ?= $(REVISION)
# Who may have signed: the workflow that published it.
SIGNER     ?= https://github.com/trawl-crawler/trawl/.github/workflows/deploy.yml@refs/heads/main
ISSUER     ?= https://token.actions.githubusercontent.com
# Registries know small letters only; an owner's name may have others.
small = $(shell printf '%s' '$(1)' | tr '[:upper:]' '[:lower:]')
deploy_env = IMAGE='$(IMAGE)' RELEASE='$(RELEASE)' NAMESPACE='$(NAMESPACE)' VALUES='$(VALUES)' TIMEOUT='$(TIMEOUT)' \
  TO='$(TO)' HELM_ARGS='$(HELM_ARGS)' DRY_RUN='$(DRY_RUN)' KUBE_CONTEXT='$(KUBE_CONTEXT)'

.PHONY: deploy rollback publish publish-chart sign verify image-all release-check release-notes
deploy: need-helm $(if $(DRY_RUN),,need-kubectl) ## Install or upgrade in your cluster: make deploy IMAGE=...@sha256:... (VALUES, NAMESPACE, DRY_RUN)
	@$(deploy_env) scripts/deploy deploy

rollback: need-helm need-kubectl ## Go back to a revision of it: make rollback TO=3; without TO they are listed
	@$(deploy_env) scripts/deploy rollback

# -- what it keeps, and with which passwords ----------------------------------
cluster_env = RELEASE='$(RELEASE)' NAMESPACE='$(NAMESPACE)' KUBE_CONTEXT='$(KUBE_CONTEXT)' FORCE='$(FORCE)'
.PHONY: backup backups restore rotate
backup: need-kubectl ## Back up Prefect's database and the lake now
	@$(cluster_env) $(PYTHON) scripts/restore.py backup

backups: need-kubectl ## List the backups, and the dumps from before upgrades
	@$(cluster_env) $(PYTHON) scripts/restore.py list

restore: need-kubectl ## Restore the newest backup into a new installation (AT=...), or a dump into its database (DUMP=... FORCE=1)
	@$(cluster_env) AT='$(AT)' DUMP='$(DUMP)' $(PYTHON) scripts/restore.py restore

rotate: need-kubectl ## Give a new password: make rotate SECRET=api|postgres|minio|s3|valkey
	@$(cluster_env) SECRET='$(SECRET)' $(PYTHON) scripts/rotate.py

image-all: need-docker ## Build the image for all PLATFORMS, and keep none
	docker buildx build --platform $(PLATFORMS) --build-arg REVISION=$(REVISION) --output type=cacheonly .

publish: need-docker ## Push the image for all PLATFORMS to REPOSITORY, with SBOM and provenance; its digest goes to build/image.ref
	@mkdir -p build
	docker buildx build --platform $(PLATFORMS) --build-arg REVISION=$(REVISION) --sbom=true --provenance=mode=max \
	  $(foreach tag,$(TAGS),--tag $(call small,$(REPOSITORY)):$(tag)) --metadata-file build/image.json --push .
	@$(PYTHON) scripts/release.py reference '$(call small,$(REPOSITORY)):$(firstword $(TAGS))' build/image.json >build/image.ref
	@cat build/image.ref

publish-chart: need-helm ## Package the chart and push it to CHARTS; its digest goes to build/chart.ref
	@mkdir -p build/chart && rm -f build/chart/*.tgz
	helm package helm/trawl --destination build/chart
	helm push build/chart/*.tgz $(call small,$(CHARTS)) 2>&1 | tee build/chart.txt
	@digest="$$(sed -n 's/^Digest: *//p' build/chart.txt)"; \
	test -n "$$digest" || { echo "helm push has named no digest: the chart was not pushed" >&2; exit 1; }; \
	echo "$(patsubst oci://%,%,$(call small,$(CHARTS)))/trawl@$$digest" >build/chart.ref

sign: need-cosign ## Sign what REF names, by digest: in a workflow without a key, by its identity
	@case '$(REF)' in *@sha256:*) ;; *) echo "REF is needed, by digest: make sign REF=...@sha256:..." >&2; exit 1;; esac
	cosign sign --yes --recursive '$(REF)'

verify: need-cosign ## Check that SIGNER has signed IMAGE
	@case '$(IMAGE)' in *@sha256:*) ;; *) echo "IMAGE is needed, by digest: make verify IMAGE=...@sha256:..." >&2; exit 1;; esac
	cosign verify --certificate-identity '$(SIGNER)' --certificate-oidc-issuer '$(ISSUER)' --output text '$(IMAGE)'

release-check: ## Check that package, chart and changelog agree with TAG: make release-check TAG=v1.2.3
	@$(PYTHON) scripts/release.py check '$(TAG)'

release-notes: ## Print what the changelog says about TAG
	@$(PYTHON) scripts/release.py notes '$(TAG)'

need-cosign:
	@command -v cosign >/dev/null || { echo "cosign is needed and not installed: https://docs.sigstore.dev/cosign/" >&2; exit 1; }
