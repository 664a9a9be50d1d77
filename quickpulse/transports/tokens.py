"""Bearer tokens: the file that holds them, and whether what a client shows is one of them. No transport is known here.

A token itself is kept nowhere, only its digest, and it is never part of a text: neither of a log nor of an error.
Source: RFC 6750, section 2.1, for what a token and its header look like.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from base64 import b64decode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from quickpulse.errors import SettingsError, Unauthenticated

_log = Logger()

OPTION = "--auth-token-file"

CHALLENGE = 'Bearer realm="quickpulse"'
"""Value of WWW-Authenticate, which an answer with status 401 must have (RFC 9110, section 11.6.1)."""

MOST_TOKENS = 1_000
"""Each is compared with what a client shows."""

MOST_TOKEN_BYTES = 512
"""So that it fits into a header beside the others; 32 random bytes are 43 characters."""

MOST_FILE_BYTES = 1024 * 1024

UNKNOWN = "this bearer token is not known"
REVOKED = "this bearer token is not valid any more"

_TOKEN = rb"[A-Za-z0-9._~+/-]+=*"
_LINE = re.compile(rb"(?:(%b)(?:[ \t]+#.*)?|#.*)?" % _TOKEN)
_HEADER = re.compile(rb"bearer +(%b)" % _TOKEN, re.IGNORECASE)


class Holder(Protocol):
    """A conversation that goes on for long after its token was looked at."""

    def revoked(self, error: Unauthenticated) -> None:
        """End, if that is still to do."""


class Tokens:
    """The tokens that are valid now.

    :param path: of the file.
    :raises SettingsError: it cannot be read, or there is no token in it, or something else.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = self._path.absolute()  # a daemon may go elsewhere
        self._digests = self._read()
        self._held: WeakKeyDictionary[Holder, bytes] = WeakKeyDictionary()
        self._reloaded: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._digests)

    def check(self, headers: Sequence[bytes]) -> bytes:
        """What a valid token is known by here; it proves nothing elsewhere.

        :param headers: the values of Authorization that came.
        :raises Unauthenticated: there is not one, or it is not valid.
        """
        if not headers:
            raise Unauthenticated()
        shown = _HEADER.fullmatch(headers[0].strip(b" \t")) if len(headers) == 1 else None
        digest = _digest(shown[1]) if shown is not None else b""
        if not self._is_valid(digest):
            raise Unauthenticated(UNKNOWN)
        return digest

    def require(self, digest: bytes) -> None:
        """Look again, where a while has gone by since.

        :param digest: as `check` gave it.
        :raises Unauthenticated: it is not valid any more.
        """
        if not self._is_valid(digest):
            raise Unauthenticated(REVOKED)

    def hold(self, holder: Holder, digest: bytes) -> None:
        """Have a long conversation ended, if it still is one, when its token is not valid any more.

        :param digest: as `check` gave it.
        """
        self._held[holder] = digest

    def when_reloaded(self, act: Callable[[], None]) -> None:
        """Call `act` each time that the tokens may have changed."""
        self._reloaded.append(act)

    def reload(self) -> None:
        """Read the file again. Where it is no good, the tokens stay as they are, and the log says why."""
        try:
            self._digests = self._read()
        except SettingsError as error:
            _log.error("the tokens stay as they were: {error}", error=error)
            return
        ended = [holder for holder, digest in self._held.items() if not self._is_valid(digest)]
        for act in self._reloaded:
            act()
        for holder in ended:
            del self._held[holder]
            holder.revoked(Unauthenticated(REVOKED))
        _log.info("{option}: tokens that are valid now: {count}", option=OPTION, count=len(self))

    def _is_valid(self, digest: bytes) -> bool:
        """All are compared, each in constant time, and digests at that: no time tells anything of a token."""
        return sum(hmac.compare_digest(digest, each) for each in self._digests) > 0

    def _read(self) -> tuple[bytes, ...]:
        try:
            with self._file.open("rb") as file:
                text = file.read(MOST_FILE_BYTES + 1)
                mode = os.fstat(file.fileno()).st_mode
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise SettingsError(f"{OPTION} {str(self._path)!r}: {getattr(error, 'strerror', error)}") from None
        if mode & stat.S_IROTH:
            _log.warn("{option} {path}: everybody on this machine may read it", option=OPTION, path=str(self._path))
        try:
            return read_tokens(text)
        except SettingsError as error:
            raise SettingsError(f"{OPTION} {str(self._path)!r}: {error}") from None


def read_tokens(text: bytes) -> tuple[bytes, ...]:
    """The digests of the tokens in a file: one a line, and comments behind `#`.

    :raises SettingsError: there is none, or a line is something else. It says which, and not what is in it.
    """
    if len(text) > MOST_FILE_BYTES:
        raise SettingsError(f"more than {MOST_FILE_BYTES} bytes")
    digests: dict[bytes, None] = {}
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        found = _LINE.fullmatch(line.strip())
        if found is None or len(found[1] or b"") > MOST_TOKEN_BYTES:
            raise SettingsError(
                f"line {number} is no token: 1 to {MOST_TOKEN_BYTES} of A-Z a-z 0-9 - . _ ~ + /, with = at the end"
            )
        if found[1]:
            digests[_digest(found[1])] = None
    if not digests:
        raise SettingsError("there is no token in it")
    if len(digests) > MOST_TOKENS:
        raise SettingsError(f"more than {MOST_TOKENS} tokens")
    return tuple(digests)


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()


SUBPROTOCOL_PREFIX = "quickpulse.token."
"""Of an entry in Sec-WebSocket-Protocol: behind it the token in base64url, as a page can set no header."""


def header_in(subprotocols: Sequence[str]) -> list[bytes]:
    """What Authorization would say, by the entries of Sec-WebSocket-Protocol that carry a token."""
    coded = [name.removeprefix(SUBPROTOCOL_PREFIX) for name in subprotocols if name.startswith(SUBPROTOCOL_PREFIX)]
    return [b"Bearer " + _decoded(each) for each in coded]


def _decoded(coded: str) -> bytes:
    """Base64url with or without its padding; b"", which is no token, for anything else."""
    bare = coded.rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), b"-_", validate=True)
    except ValueError:  # of characters that are not ASCII too
        return b""
