"""The table of statuses, and the line that goes with one."""

from __future__ import annotations

import re

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from quickpulse import errors
from quickpulse.cli.app import EPILOG
from quickpulse.cli.exits import Exit, say, status_of
from quickpulse.client import ClientClosed, ConnectionLost, LeaseLost, PartialPublish, Timeout
from quickpulse.requests import Rejection


class StatusTests(SynchronousTestCase):
    """Which error is which status."""

    def test_each(self) -> None:
        """Every class of errors that a client may raise."""
        for status, kinds in {
            Exit.FAILURE: [ClientClosed(), LeaseLost(1), errors.QuickPulseError("internal error")],
            Exit.USAGE: [errors.InvalidArgument("x"), errors.SettingsError("x"), errors.MalformedRequest("x")],
            Exit.NOTHING: [errors.NotFound("x"), errors.QueueEmpty()],
            Exit.REFUSED: [
                *(errors.QueueFull(), errors.QueuePaused(), errors.ServerFull(), errors.TooManyQueues(1)),
                *(errors.BatchRejected(), errors.NoDeadLetterQueue("q"), errors.MessageTooLarge(2, 1)),
                *(errors.RequestTooLarge("x"), errors.TooManyRequests("x"), errors.Unsupported("x")),
                *(errors.Unauthenticated(), errors.PermissionDenied("x")),
            ],
            Exit.UNAVAILABLE: [ConnectionLost("x"), Timeout("x"), errors.Draining(), errors.QueueUnavailable()],
        }.items():
            for error in kinds:
                self.assertEqual(status_of(error), status, repr(error))

    def test_a_part_was_refused(self) -> None:
        """The first reason decides."""
        self.assertEqual(status_of(PartialPublish(1, [Rejection(0, errors.QueueFull())])), Exit.REFUSED)
        self.assertEqual(status_of(PartialPublish(1, [Rejection(0, Timeout("x"))])), Exit.UNAVAILABLE)

    def test_the_help_has_them_all(self) -> None:
        """Each status has its line there."""
        self.assertEqual([int(found) for found in re.findall(r"^  (\d)  ", EPILOG, re.MULTILINE)], list(Exit))

    def test_one_line(self) -> None:
        """Whatever an error's text has in it."""
        with CliRunner().isolation() as (_, error, *_rest):
            say("two\nlines \t and\r more")
        self.assertEqual(error.getvalue(), b"two lines and more\n")
