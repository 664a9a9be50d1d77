"""The Origin rule: which browser pages may talk to us. It reads headers; who refuses with what is the transport's."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

ANY_ORIGIN = "*"

REFUSAL = "this page's origin may not connect: start the server with --allow-origin to admit it"

_ORIGIN_LINE = re.compile(rb"\r\norigin[ \t]*:([^\r\n]*)(?=\r\n)", re.IGNORECASE)
"""Spaces around the value are stripped later: matched here, a long run of them takes the cube of its length."""


def take_origin(head: bytes) -> tuple[list[str], bytes]:
    """The Origin headers of a request's head, and the head without them.

    autobahn has a rule of its own for them, which refuses `null` and `file://` as malformed before we are asked.

    :param head: request line and header lines, up to and with the empty line.
    """
    origins = [value.strip(b" \t").decode("latin-1") for value in _ORIGIN_LINE.findall(head)]
    return origins, _ORIGIN_LINE.sub(b"", head)


def is_origin_allowed(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a request with these headers may be served.

    Clients that are no browsers send no Origin. A page of the same host is ours, on whatever port; of another host
    only one that the operator named (scheme and port included where they were given), or any where `*` was.

    :param origin: the Origin header ("https://example.org:8443"), `None` when absent.
    :param host: the Host header ("localhost:8081"), `None` when absent.
    :param allowed: origins of other hosts that are admitted.
    """
    if not origin or ANY_ORIGIN in allowed or origin in allowed:
        return True
    try:
        page, ours = urlsplit(origin).hostname, urlsplit(f"//{host or ''}").hostname
    except ValueError:  # an unclosed bracket, for one
        return False
    return page is not None and page == ours
