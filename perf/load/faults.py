"""Why a load fails: the server did what it must not. A run with a fault has no figures."""

from __future__ import annotations


class LoadFaultError(Exception):
    """A wrong answer, a lost one, or a connection that ended; the text is one line for people."""


SHOWN_BYTES = 60


def wrong_answer(got: bytes, expected: bytes | None = None) -> LoadFaultError:
    """The fault for an answer that is another than it must be."""
    due = "" if expected is None else f", not {expected[:SHOWN_BYTES]!r}"
    return LoadFaultError(f"wrong answer: {got[:SHOWN_BYTES]!r}{due}")
