# usher in a container: docker build -t entra-usher .
# The tag names the Python; ledger, lists and secrets come from outside and never into a layer.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/usher
WORKDIR /src
# The lock alone first: a change of code does not install the libraries again. Where pip needs a mirror, hand its
# configuration over for this one step: docker build --secret id=pip_conf,src=$HOME/.config/pip/pip.conf -t entra-usher .
COPY requirements.lock ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    /opt/usher/bin/python -m pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY worker worker
COPY tasks tasks
COPY cli cli
COPY console console
COPY sandbox sandbox
# What only building needs stays behind.
RUN /opt/usher/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/usher/bin/python -m pip uninstall --yes --quiet setuptools pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="usher" \
      org.opencontainers.image.description="Turns a list of people into guests of Microsoft Entra tenants" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 usher \
    && useradd --uid 10001 --gid usher --create-home --shell /usr/sbin/nologin usher \
    && install --directory --owner usher --group usher --mode 700 /data
COPY --from=build /opt/usher /opt/usher
ENV PATH=/opt/usher/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
# No HEALTHCHECK here: what "healthy" means differs between worker, beat and Flower; docker-compose.yml says it for each.
CMD ["usher", "--help"]
