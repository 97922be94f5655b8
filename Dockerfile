# The one image: server, worker, set-up and flows run from it, so their versions agree by construction.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS dependencies
RUN python3 -m venv /opt/trawl
COPY requirements/prefect.txt /tmp/requirements.txt
RUN /opt/trawl/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/requirements.txt

FROM ${PYTHON_IMAGE} AS wheel
RUN python3 -m venv /opt/build
WORKDIR /src
COPY requirements/dev.txt /tmp/
# The build tool and what it needs, out of the lock. A dependency missing here stops the build: it has no hash.
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' /tmp/dev.txt > /tmp/build.txt && \
    /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w /dist .

FROM ${PYTHON_IMAGE}
COPY --from=dependencies /opt/trawl /opt/trawl
# The one layer that changes with the code.
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    /opt/trawl/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /dist/*.whl
# The showcase and its neighbours, for deployments that name examples/showcase.py in /opt/trawl.
COPY examples /opt/trawl/examples
# Everything that is written goes to $HOME, a volume in the cluster: the root file system may be read-only.
ENV PATH=/opt/trawl/bin:$PATH \
    HOME=/home/trawl \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_EPHEMERAL_ENABLED=false
RUN install -d -o 1001 -g 1001 /home/trawl
USER 1001:1001
WORKDIR /home/trawl
CMD ["trawl", "--help"]
ARG REVISION=unknown
ENV TRAWL_REVISION=${REVISION}
LABEL org.opencontainers.image.title="trawl" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
