# The HTTP service of Impasto: docs/deploy.md says how to start it.
FROM python:3.13-slim

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src ./src
COPY examples/photos ./examples/photos
RUN pip install --no-cache-dir -c constraints.txt ".[serve,heic]"

# Nobody, by number, so that a cluster can see that it is not root.
USER 65534:65534
WORKDIR /
EXPOSE 8000

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD python -c "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"IMPASTO_PORT\", 8000)}/healthz', timeout=4)"

# Other machines reach it, so it does not start without IMPASTO_TOKEN.
CMD ["impasto", "serve", "--host", "0.0.0.0"]
