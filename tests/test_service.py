"""The assembly's own words: what the service says of itself at its end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.logger import formatEvent, globalLogPublisher

from quickpulse.requests import Batch, Properties, Publish, Pull
from tests.serving import ServiceTestCase


class StatusTests(ServiceTestCase):
    """What the status page shows."""

    def test_all_queues(self):
        """v1's are in the totals, and v0's is; depth is v0's alone."""
        service = self.start("ws")
        service.queue.enqueue(b"a")
        service.broker.publish(Publish("jobs", Batch((b"b", b"c"))))
        service.broker.publish(Publish("jobs", Batch((b"d",), Properties(delay_ms=60_000))))
        service.broker.pull(Pull(("jobs",)))
        status = service.status()
        self.assertEqual((status["depth"], status["messages"], status["queues"]), (1, 4, 2))
        self.assertEqual((status["ready"], status["leased"], status["delayed"], status["waiters"]), (2, 1, 1, 0))
        self.assertEqual((status["published"], status["delivered"]), (4, 1))

    def test_another_provider(self):
        """It has no queues but v0's."""
        self.assertNotIn("messages", self.start("ws", queue="quickpulse.queues.memory:MessageQueue").status())


class LeftTests(ServiceTestCase):
    """What is still queued at the end of a drain."""

    @inlineCallbacks
    def drained(self, **settings: Any):
        """The log line of a drain: one message is left; with v1 one more that is ready, leased and delayed, each."""
        lines: list[str] = []

        def observe(event: Any) -> None:
            lines.append(formatEvent(event))

        service = self.start("ws", **settings)
        service.queue.enqueue(b"a")
        if service.broker is not None:
            service.broker.publish(Publish("jobs", Batch((b"b", b"c"))))
            service.broker.publish(Publish("jobs", Batch((b"d",), Properties(delay_ms=60_000))))
            service.broker.pull(Pull(("jobs",)))
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        yield service.lifecycle.drain()
        (line,) = [line for line in lines if line.startswith("drained:")]
        return line

    @inlineCallbacks
    def test_in_memory_it_is_gone(self):
        """Ephemeral, and it says so."""
        line = yield self.drained()
        self.assertEqual(line, "drained: 4 messages were still queued and are gone, 0 were taken but not delivered")

    @inlineCallbacks
    def test_another_provider_may_keep_it(self):
        """The server does not know, and does not claim it."""
        line = yield self.drained(queue="quickpulse.queues.memory:MessageQueue")
        self.assertEqual(line, "drained: 1 messages were still queued, 0 were taken but not delivered")
