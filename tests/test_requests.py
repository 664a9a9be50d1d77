"""The objects of v1: what they are beside their fields."""

from __future__ import annotations

from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import InvalidArgument
from quickpulse.requests import Batch, Deliveries, Delivery, Overflow, Policy, Pull, SettleReply
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

    def test_overflow_by_its_value(self) -> None:
        """As the command and the wire call it; anything else is refused at once."""
        self.assertIs(Policy(overflow="drop_oldest").overflow, Overflow.DROP_OLDEST)  # type: ignore[arg-type]
        with self.assertRaisesRegex(InvalidArgument, "'drop', expected one of reject, drop_oldest"):
            Policy(overflow="drop")  # type: ignore[arg-type]
