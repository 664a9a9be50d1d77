"""A broker for tests: its time stands still until a test moves it, and requests are short to write."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.broker import Broker
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import Limits
from quickpulse.requests import (
    Action,
    Batch,
    Deliveries,
    GetQueue,
    Policy,
    Properties,
    Publish,
    PublishReply,
    Pull,
    QueueInfo,
    SetPolicy,
    Settle,
    SettleReply,
)

START_MS = 1_000_000


class BrokerTestCase(SynchronousTestCase):
    """A broker with nothing in it."""

    limits = Limits()

    def setUp(self) -> None:
        """It is START_MS."""
        self.now = START_MS
        self.broker = Broker(limits=self.limits, first_receipt=1000)

    def named(self, name: str = "q") -> NamedQueue:
        """The queue itself."""
        return self.broker._directory.queues[name]

    def publish(self, *payloads: bytes, queue: str = "q", **properties: Any) -> PublishReply:
        """Messages that have these properties in common."""
        common = Properties(**properties) if properties else None
        return self.broker.publish(Publish(queue, Batch(payloads, common)), self.now)

    def publish_each(self, *each: tuple[bytes, Properties], queue: str = "q", **more: Any) -> PublishReply:
        """Messages with properties of their own."""
        own = dict(enumerate(properties for _, properties in each))
        batch = Batch([payload for payload, _ in each], None, own)
        return self.broker.publish(Publish(queue, batch, **more), self.now)

    def pull(self, count: int = 1, queue: str = "q", **more: Any) -> Deliveries:
        """What there is."""
        return self.broker.pull(Pull((queue,), count, **more), self.now)

    def payloads(self, count: int = 100, queue: str = "q", **more: Any) -> list[bytes]:
        """The payloads of a pull."""
        return list(self.pull(count, queue, **more).batch.payloads)

    def settle(self, *receipts: int, action: Action = Action.ACK, queue: str = "q", **more: Any) -> SettleReply:
        """Single receipts."""
        return self.broker.settle(Settle(queue, [(each, each) for each in receipts], action, **more), self.now)

    def policy(self, queue: str = "q", **fields: Any) -> None:
        """Of a queue."""
        self.broker.set_policy(SetPolicy(queue, Policy(**fields)), self.now)

    def info(self, queue: str = "q") -> QueueInfo:
        """Of a queue."""
        return self.broker.get_queue(GetQueue(queue), self.now)

    def later(self, ms: int) -> int | None:
        """So much later; what is due has happened."""
        self.now += ms
        return self.broker.tick(self.now)

    def assert_counts(self, queue: str = "q", **counts: int) -> None:
        """Of a queue; those that are not named are zero."""
        have = {name: count for name, count in self.info(queue).counts.items() if count}
        self.assertEqual(have, counts)

    def assert_where(self, ready: int = 0, leased: int = 0, delayed: int = 0, queue: str = "q") -> None:
        """How many messages are where."""
        info = self.info(queue)
        self.assertEqual((info.ready, info.leased, info.delayed), (ready, leased, delayed))
