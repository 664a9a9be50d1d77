"""Exit statuses: one table from errors to what the shell sees, and the one line that says it. No command is here."""

from __future__ import annotations

from enum import IntEnum

import click

from quickpulse.client import ClientError, ConnectionLost, PartialPublish, Timeout
from quickpulse.errors import (
    Draining,
    InvalidArgument,
    NotFound,
    QueueEmpty,
    QueueUnavailable,
    QuickPulseError,
    SettingsError,
)


class Exit(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILURE = 1
    """It went wrong, or was interrupted or declined."""
    USAGE = 2
    """What was typed cannot be done by anybody."""
    NOTHING = 3
    """There was no message, or there is no such queue."""
    REFUSED = 4
    """The server said no: full, paused, too large, not allowed."""
    UNAVAILABLE = 5
    """There is no server, or it does not answer, or it is about to end."""


STATUSES: tuple[tuple[type[QuickPulseError], Exit], ...] = (
    (NotFound, Exit.NOTHING),
    (QueueEmpty, Exit.NOTHING),
    (InvalidArgument, Exit.USAGE),
    (SettingsError, Exit.USAGE),
    (ConnectionLost, Exit.UNAVAILABLE),
    (Timeout, Exit.UNAVAILABLE),
    (Draining, Exit.UNAVAILABLE),
    (QueueUnavailable, Exit.UNAVAILABLE),
    (ClientError, Exit.FAILURE),
    (QuickPulseError, Exit.REFUSED),
)
"""The first row whose class it is decides."""


def status_of(error: QuickPulseError) -> Exit:
    """The status that an error ends the command with."""
    if isinstance(error, PartialPublish):
        return status_of(error.rejections[0].error)
    if error.code == QuickPulseError.code:  # the server's own fault, or an exception of its provider
        return Exit.FAILURE
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def say(text: str) -> None:
    """One line for the person: on stderr, whatever is in it."""
    click.echo(" ".join(text.split()), err=True)


def complain(error: Exception) -> None:
    """Say what went wrong."""
    say(f"quickpulse: {error}")
