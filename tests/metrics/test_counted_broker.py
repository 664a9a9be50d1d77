"""Requests of a broker are counted, and nothing else about it changes."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import Draining, NotFound
from quickpulse.interfaces import IBroker
from quickpulse.metrics.counted_broker import REQUESTS, CountedBroker
from quickpulse.metrics.queues import RequestCollector
from quickpulse.metrics.traffic import ERRORS, Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import Batch, GetQueue, Publish, Pull, Subscribe
from quickpulse.wire.v1.table import ROWS
from tests.metrics.test_exposition import Page


class CountedTests(SynchronousTestCase):
    """CountedBroker around a memory broker."""

    def setUp(self) -> None:
        """Nothing is counted yet."""
        self.clock = Clock()
        self.broker = CountedBroker(MemoryBroker(self.clock, Broker()))

    def requests(self) -> dict[str, int]:
        """What was counted."""
        return {name: count for name, count in self.broker.requests_total.items() if count}

    def test_port(self) -> None:
        """It is a broker."""
        self.assertTrue(verifyObject(IBroker, self.broker))

    def test_every_request_is_counted(self) -> None:
        """Those of the table, which all transports are driven by."""
        asked = {row.name for row in ROWS if row.name in IBroker.names()}
        self.assertEqual(asked - set(REQUESTS), set())
        self.assertEqual(set(IBroker.names()) - set(REQUESTS), {"queue", "drain", "close"})

    def test_a_request(self) -> None:
        """By its kind; the reply is the broker's."""
        self.assertEqual(self.broker.publish(Publish("q", Batch([b"a", b"b"]))).sequences, ((1, 2),))
        self.broker.publish(Publish("q", Batch([b"c"])))
        self.broker.subscribe(Subscribe("q", 10), lambda _: None, lambda _: None)
        self.assertEqual(self.requests(), {"publish": 2, "subscribe": 1})
        self.assertEqual(self.broker.depth, 3)

    def test_one_that_is_refused(self) -> None:
        """It is counted too; the error is raised as it was."""
        self.assertRaises(NotFound, self.broker.get_queue, GetQueue("q"))
        self.broker.drain()
        self.assertRaises(Draining, self.broker.publish, Publish("q", Batch([b"a"])))
        self.assertEqual(self.requests(), {"get_queue": 1, "publish": 1})

    def test_a_late_reply(self) -> None:
        """It comes through, and is counted once."""
        waiting = self.broker.pull(Pull(("q",), wait_ms=1000))
        self.broker.publish(Publish("q", Batch([b"a"])))
        self.clock.advance(0)
        self.assertEqual(list(self.successResultOf(waiting).batch.payloads), [b"a"])
        self.assertEqual(self.requests(), {"pull": 1, "publish": 1})

    def test_what_no_broker_has(self) -> None:
        """It has not either."""
        self.assertRaises(AttributeError, getattr, self.broker, "promote")


class ExpositionTests(SynchronousTestCase):
    """RequestCollector."""

    def test_from_the_start(self) -> None:
        """Every kind and every reason, with 0."""
        page = Page(RequestCollector(CountedBroker(None), Traffic()))
        self.assertEqual(page.named("quickpulse_"), {"v1_requests_total": "counter", "v1_errors_total": "counter"})
        self.assertEqual(page.labels_of("quickpulse_v1_requests_total"), set(REQUESTS))
        self.assertEqual(page.labels_of("quickpulse_v1_errors_total"), {reason.lower() for reason in ERRORS})
        ours = {value for key, value in page.samples.items() if key[0].startswith("quickpulse_v1_")}
        self.assertEqual(ours, {0})

    def test_values(self) -> None:
        """What was counted; a reason that only a broker of somebody else's has is added."""

        class Strange(Draining):
            code = "STRANGE"

        broker, traffic = CountedBroker(MemoryBroker(Clock(), Broker())), Traffic()
        self.assertRaises(NotFound, broker.get_queue, GetQueue("q"))
        traffic.failed(NotFound("q"))
        traffic.failed(Strange())
        page = Page(RequestCollector(broker, traffic))
        self.assertEqual(page.samples["quickpulse_v1_requests_total", "get_queue"], 1)
        self.assertEqual(page.samples["quickpulse_v1_errors_total", "not_found"], 1)
        self.assertEqual(page.samples["quickpulse_v1_errors_total", "strange"], 1)
