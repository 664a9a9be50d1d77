"""What HTTP asks of a handshake's head (RFC 7230). What its fields mean to WebSocket is not read here."""

from __future__ import annotations

import re

_REQUEST_LINE = re.compile(rb"[^\0-\x1f\x7f]*")

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\0-\x08\x0a-\x1f\x7f]*)")
"""Section 3.2: a token, the colon right behind it, and a value without control characters. No value goes on in the next
line (3.2.4), and no line ends with LF alone: one reader would take for a value what is a field to another."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[!$&'()*+,;=.~%0-9A-Za-z_\x80-\xff-]*)(:[0-9]*)?")


def fault_in(head: bytes) -> str | None:
    """Why a request with this head must be refused with 400, before anything else is looked at; `None` if it is fine.

    :param head: request line and header lines, up to and with the empty line.
    """
    request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(request_line):
        return "control characters in the request line"
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return "malformed header line"
        if field[1].lower() == b"host" and not _HOST.fullmatch(field[2].strip(b" \t")):
            return "malformed Host header"
    return None


def has_body(content_length: str | None, transfer_encoding: str | None) -> bool:
    """Whether a request says that a body follows (section 3.3). Behind a handshake come frames, so it must not.

    :param content_length: the header, `None` when absent.
    :param transfer_encoding: likewise.
    """
    return transfer_encoding is not None or content_length not in (None, "0")
