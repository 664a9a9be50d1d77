"""The client's part of the tree of exceptions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse import client
from quickpulse import errors as all_errors
from quickpulse.client import errors
from quickpulse.errors import QueueFull, QuickPulseError
from quickpulse.requests import Rejection


class ErrorTests(SynchronousTestCase):
    """One tree, stable codes."""

    def test_one_tree(self) -> None:
        """Whoever catches QuickPulseError catches all; each has a code of its own."""
        kinds = [
            kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__
        ]
        self.assertTrue(all(issubclass(kind, errors.ClientError) for kind in kinds))
        self.assertTrue(issubclass(errors.ClientError, QuickPulseError))
        self.assertEqual(len({kind.code for kind in kinds}), len(kinds))

    def test_builtin_kinds(self) -> None:
        """Whoever catches what Python calls so catches them, too."""
        self.assertIsInstance(errors.Timeout("late"), TimeoutError)
        for error in (errors.ConnectionLost("gone"), errors.ConnectionRefused("nobody")):
            self.assertIsInstance(error, ConnectionError)
        self.assertEqual(str(errors.ConnectionLost("gone")), "gone")

    def test_one_place(self) -> None:
        """All that a client may raise can be imported where the client is; a server's own errors are left out."""
        own = {"SettingsError", "ListenError", "MalformedRequest", "QueueEmpty"}
        for module in (errors, all_errors):
            names = {kind.__name__ for kind in vars(module).values() if isinstance(kind, type)}
            names = {name for name in names if issubclass(getattr(module, name), QuickPulseError)}
            self.assertEqual(names - own - set(client.__all__), set())

    def test_partial_publish(self) -> None:
        """It says how many, which and why."""
        error = errors.PartialPublish(3, [Rejection(3, QueueFull())])
        self.assertEqual(str(error), "1 not accepted, 3 accepted; index 3: queue is full")

    def test_lease_lost(self) -> None:
        """It says how many."""
        self.assertIn("2 message", str(errors.LeaseLost(2)))
