"""`python -m quickpulse.cli.healthcheck [URL]`: the container's health check, without curl. It asks, and exits."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 3.0

_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The environment's http_proxy is meant for other hosts: it would ask its own 127.0.0.1."""


def default_url() -> str:
    """/readyz on the port that this environment gives the server."""
    return f"http://127.0.0.1:{os.environ.get('QUICKPULSE_HTTP_PORT', '8080')}/readyz"


def main(arguments: list[str]) -> int:
    """Exit status 0 when the server is ready, 5 when it is not or does not answer; the reason is on stderr."""
    url = arguments[0] if arguments else default_url()
    try:
        with _DIRECTLY.open(url, timeout=TIMEOUT_SECONDS) as response:
            response.read()
    except urllib.error.HTTPError as error:
        print(f"not ready: {error.read().decode(errors='replace').strip()}", file=sys.stderr)
        return 5
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"{url}: {str(error).strip()}", file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
