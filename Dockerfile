# The base is any image with Python 3.11+ and its venv module; its two stages must use the same one.
# `scripts/image` builds and tries this file where no registry can be reached.
ARG BASE=python:3.13-slim
# Where the native kernel is compiled. Its wheel runs on every Python from 3.11 on (stable ABI).
ARG RUST=rust:1-slim

FROM ${RUST} AS wheel
WORKDIR /src
COPY . .
ARG PIP_CONFIG_FILE=
# A wheel that was built elsewhere may be mounted instead: then RUST needs no compiler.
RUN if ls /mnt/leafmirror-*.whl >/dev/null 2>&1; then \
        install -D --target-directory=/wheel /mnt/leafmirror-*.whl; \
    else \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv \
     && python3 -m venv /opt/build \
     && LEAFMIRROR_BUILD_KERNEL=1 /opt/build/bin/python -m pip wheel --no-deps --wheel-dir /wheel .; \
    fi

FROM ${BASE} AS build
COPY --from=wheel /wheel /wheel
# `demo` brings the genesis allocation that `leafmirror demo` mirrors; EXTRAS= leaves it out.
ARG EXTRAS=demo
# Where pip finds the settings of the machine that builds, if they were mounted; of this stage only.
ARG PIP_CONFIG_FILE=
# The last line is the promise that this image is a fast one.
RUN python3 -m venv /opt/leafmirror \
 && /opt/leafmirror/bin/python -m pip install --no-cache-dir --disable-pip-version-check "$(ls /wheel/*.whl)[${EXTRAS}]" \
 && /opt/leafmirror/bin/python -m pip uninstall --yes --quiet pip \
 && /opt/leafmirror/bin/python -c "from proofs import get_kernel; get_kernel('native')"

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="leafmirror" \
      org.opencontainers.image.description="Verified state sync for blockchain nodes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

COPY --from=build /opt/leafmirror /opt/leafmirror
# A fixed id, so that the owner of a volume's files is known before the container starts.
RUN groupadd --gid 65532 leafmirror \
 && useradd --key UID_MAX=65532 --uid 65532 --gid 65532 --home-dir /data --no-create-home \
            --shell /usr/sbin/nologin leafmirror \
 && install --directory --owner=65532 --group=65532 /data
ENV PATH=/opt/leafmirror/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8470

# Asks the endpoint or the sidecar in this container whether it lives. A container that runs a command with an
# end (apply, restore, check) is over before the first question.
ENV LEAFMIRROR_HEALTH_URL=http://127.0.0.1:8470/v1/health
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['LEAFMIRROR_HEALTH_URL'], timeout=4)"]

ENTRYPOINT ["leafmirror"]
CMD ["--help"]
