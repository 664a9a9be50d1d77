# QuickPulse as a container image.
#
#   docker build -t quickpulse .
#   docker run --rm -p 50051:50051 -p 8080:8080 quickpulse
#   docker run --rm -e RPC_MODE=0 -e RPC_STREAM_MODE=1 -p 50051:50051 -p 8080:8080 quickpulse
#   docker run --rm -e WS_MODE=1 -e RPC_MODE=0 -p 8081:8081 -p 8080:8080 quickpulse
#   docker run --rm -e QUICKPULSE_MODE=all -p 50051:50051 -p 8081:8081 -p 8080:8080 quickpulse
#
# Any base with `python` (3.10 or newer), its venv module and pip will do: --build-arg BASE_IMAGE=...
ARG BASE_IMAGE=python:3.13-slim

# Wheels of the package and of all that it needs.
FROM ${BASE_IMAGE} AS wheels
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY quickpulse quickpulse
COPY twisted twisted
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels .

# An environment of those wheels, and of nothing else: no network from here on.
FROM ${BASE_IMAGE} AS environment
COPY --from=wheels /wheels /wheels
RUN python -m venv /opt/quickpulse \
    && /opt/quickpulse/bin/python -m pip install --no-cache-dir --no-index /wheels/*.whl \
    && /opt/quickpulse/bin/python -m pip uninstall --yes pip

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="QuickPulse" \
      org.opencontainers.image.description="In-memory message queue over WebSocket or gRPC, served by Twisted" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=environment /opt/quickpulse /opt/quickpulse
ENV PATH=/opt/quickpulse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    QUICKPULSE_HOST=0.0.0.0 \
    RPC_MODE=1
# Twisted writes its plugin cache beside the plugins; the server itself may not write there.
RUN python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
WORKDIR /
USER 10001:10001
# gRPC, WebSocket, HTTP (metrics, health, status page)
EXPOSE 50051 8081 8080
# The server drains for 8 s at most, so docker stop's 10 s are enough.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "quickpulse.cli.healthcheck"]
ENTRYPOINT ["twistd", "--pidfile=", "-n", "quickpulse"]
