"""What befalls requests."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import Draining, NotFound, QueueFull
from quickpulse.interfaces import IBroker, IQueueReadings
from quickpulse.queues.broker import Broker
from quickpulse.requests import Batch, GetQueue, GetServerInfo, Publish
from quickpulse.testing.faults import KINDS, Faults, FaultyBroker


class FaultTests(SynchronousTestCase):
    """A broker in memory, and how often the connections were cut."""

    def setUp(self) -> None:
        """Nothing is planned."""
        self.cuts = 0
        self.faults = Faults(self.cut)
        self.inner = MemoryBroker(Clock(), Broker())
        self.broker = FaultyBroker(self.inner, self.faults)

    def cut(self) -> None:
        """Counted."""
        self.cuts += 1

    def publish(self) -> Any:
        """One message."""
        return self.broker.publish(Publish("jobs", Batch([b"one"])))

    def stored(self) -> int:
        """How many arrived."""
        return self.inner.get_queue(GetQueue("jobs")).ready

    def test_it_is_a_broker(self) -> None:
        """Of the same interface, and it has each kind of request but the client's first."""
        verifyObject(IQueueReadings, self.broker)
        verifyObject(IBroker, self.broker)
        asked = {
            name
            for name, method in IBroker.namesAndDescriptions()
            if "request" in method.getSignatureInfo()["positional"]
        }
        self.assertEqual(KINDS, asked - {"get_server_info"})

    def test_without_faults(self) -> None:
        """Everything gets there."""
        self.publish()
        self.assertEqual((self.stored(), self.cuts), (1, 0))
        self.assertEqual(
            self.broker.get_server_info(GetServerInfo()).limits, self.inner.get_server_info(GetServerInfo()).limits
        )

    def test_before(self) -> None:
        """It is not done, and nobody is answered; the next one is done."""
        self.faults.drop_before("publish")
        self.failureResultOf(self.publish(), Draining)
        self.assertRaises(NotFound, self.stored)
        self.assertEqual((self.cuts, self.faults.left), (1, 0))
        self.publish()
        self.assertEqual((self.stored(), self.cuts), (1, 1))

    def test_after(self) -> None:
        """It is done, and nobody is answered."""
        self.faults.drop_after("publish")
        self.failureResultOf(self.publish(), Draining)
        self.assertEqual((self.stored(), self.cuts), (1, 1))

    def test_after_a_refusal(self) -> None:
        """The broker's own error is not heard either."""
        self.faults.drop_after("get_queue")
        self.failureResultOf(self.broker.get_queue(GetQueue("none")), Draining)
        self.assertEqual(self.cuts, 1)

    def test_fail(self) -> None:
        """So often, with this error; connections stay."""
        self.faults.fail("publish", QueueFull(), times=2)
        self.assertRaises(QueueFull, self.publish)
        self.assertRaises(QueueFull, self.publish)
        self.publish()
        self.assertEqual((self.stored(), self.cuts), (1, 0))

    def test_in_their_order(self) -> None:
        """Each kind has a row of its own."""
        self.faults.fail("publish", QueueFull())
        self.faults.drop_after("publish")
        self.faults.fail("get_queue", NotFound())
        self.assertEqual(self.faults.left, 3)
        self.assertRaises(QueueFull, self.publish)
        self.failureResultOf(self.publish(), Draining)
        self.assertRaises(NotFound, self.broker.get_queue, GetQueue("jobs"))
        self.assertEqual(self.broker.get_queue(GetQueue("jobs")).ready, 1)

    def test_clear(self) -> None:
        """What was planned is forgotten."""
        self.faults.drop_before("publish", times=5)
        self.faults.clear()
        self.publish()
        self.assertEqual((self.stored(), self.faults.left), (1, 0))

    def test_no_such_kind(self) -> None:
        """The error names those that there are."""
        error = self.assertRaises(ValueError, self.faults.drop_before, "ack")
        self.assertIn("'ack' is none of", str(error))
        self.assertIn("settle", str(error))
