"""The objects of v1: what they are beside their fields."""

from __future__ import annotations

from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.requests import Batch, Deliveries, Delivery, Pull, SettleReply
from quickpulse.transports.flow import HeldReader


class RequestsTests(SynchronousTestCase):
    """Requests and replies."""

    def test_by_value(self) -> None:
        """Equal, and with the same hash, if all that they say is."""
        self.assertEqual(Deliveries("q", Batch([b"a"])), Deliveries("q", Batch([b"a"])))
        self.assertNotEqual(Deliveries("q"), Deliveries("p"))
        self.assertEqual(hash(SettleReply(1)), hash(SettleReply(1, ())))

    def test_read_by(self) -> None:
        """All else of a pull is as it was."""
        pull = Pull(("a", "b"), 2, 3, 4, 5, Delivery.TAKEN, True, object())
        self.assertNotIn(pull, [Pull(("a", "b"), **{each.name: getattr(pull, each.name)}) for each in fields(Pull)[1:]])
        reader = HeldReader()
        self.assertEqual(pull.read_by(reader), replace(pull, reader=reader))
