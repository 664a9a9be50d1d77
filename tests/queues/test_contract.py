"""Our own queues keep the contract: the one in memory, instrumented, answering late, and both."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import Policy
from tests.contract import ByteBoundContract, LateQueue


class MessageQueueTests(ByteBoundContract, SynchronousTestCase):
    """The queue in memory."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """A MessageQueue."""
        return MessageQueue(capacity, capacity_bytes)


class PlainQueueTests(ByteBoundContract, SynchronousTestCase):
    """A queue of the broker, as v0 uses it."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """The broker's queue `default`."""
        return Broker(defaults=Policy(capacity=capacity, capacity_bytes=capacity_bytes)).queue("default")


class SlowPlainQueueTests(ByteBoundContract, SynchronousTestCase):
    """The same while somebody watches it, which the short ways do not look at."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """The broker's queue `default`, watched."""
        broker = Broker(defaults=Policy(capacity=capacity, capacity_bytes=capacity_bytes))
        broker.watch("default", lambda: None)
        return broker.queue("default")


class InstrumentedQueueTests(ByteBoundContract, SynchronousTestCase):
    """Reporting changes nothing of what a queue promises."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """A MessageQueue that is reported on."""
        return InstrumentedQueue(MessageQueue(capacity, capacity_bytes), DefaultMetrics())


class LateQueueTests(ByteBoundContract, SynchronousTestCase):
    """A provider that answers each call a second later."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """A MessageQueue behind a clock."""
        self.clock = Clock()
        return LateQueue(MessageQueue(capacity, capacity_bytes), self.clock)

    def wait(self, deferred: Deferred) -> None:
        """A second goes by."""
        self.assertFalse(deferred.called)
        self.clock.advance(1)


class InstrumentedLateQueueTests(LateQueueTests):
    """A late provider, reported on."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """An InstrumentedQueue around the late one."""
        return InstrumentedQueue(super().make_queue(capacity, capacity_bytes), DefaultMetrics())
