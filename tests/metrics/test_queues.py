"""The named queues on /metrics. Names, types and labels are API; the values are those of the broker."""

from __future__ import annotations

from prometheus_client import generate_latest
from twisted.trial.unittest import SynchronousTestCase, TestCase

from quickpulse.interfaces import QueueReading
from quickpulse.metrics.prometheus import PrometheusMetrics, TrafficCollector, make_registry
from quickpulse.metrics.queues import COUNTERS, QueueCollector
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues import readings
from quickpulse.queues.broker import Broker
from quickpulse.queues.policies import LONGEST_NAME
from quickpulse.requests import Batch, DeleteQueue, Publish
from tests.deploy.files import run_tool
from tests.metrics.test_exposition import Page

FAMILIES = {
    "acked_total": "counter",
    "dead_lettered_total": "counter",
    "dead_letters": "gauge",
    "delayed": "gauge",
    "delivered_total": "counter",
    "dropped_total": "counter",
    "expired_total": "counter",
    "leased": "gauge",
    "nacked_total": "counter",
    "oldest_message_age_seconds": "gauge",
    "published_total": "counter",
    "purged_total": "counter",
    "ready": "gauge",
    "redelivered_total": "counter",
    "rejected_total": "counter",
    "released_total": "counter",
    "size_bytes": "gauge",
    "void_total": "counter",
    "waiters": "gauge",
}
"""Names are API: dashboards of users depend on them."""

REASONS = {"batch_rejected", "invalid_argument", "message_too_large", "paused", "queue_full", "server_full"}
"""So are the values of the label `reason`."""


def reading(name: str = "jobs", queues: int = 1) -> QueueReading:
    """One in which every number is another."""
    return QueueReading(
        name=name,
        queues=queues,
        ready=1,
        leased=2,
        delayed=3,
        dead_letters=4,
        size_bytes=5,
        oldest_ms=6500,
        waiters=7,
        counts={counter: 10 + place for place, (counter, _) in enumerate(COUNTERS)},
        rejected={"QUEUE_FULL": 30},
    )


class FamiliesTests(SynchronousTestCase):
    """QueueCollector over given readings."""

    def test_names_and_types(self) -> None:
        """Exactly these."""
        self.assertEqual(Page(QueueCollector(lambda: [reading()])).named("quickpulse_queue_"), FAMILIES)

    def test_values(self) -> None:
        """Each is its own number, in base units."""
        page = Page(QueueCollector(lambda: [reading()]))
        values = {
            key[0].removeprefix("quickpulse_queue_"): value for key, value in page.samples.items() if "jobs" in key
        }
        gauges = {name: value for name, value in values.items() if not name.endswith("_total")}
        self.assertEqual(
            gauges,
            {
                "ready": 1,
                "leased": 2,
                "delayed": 3,
                "dead_letters": 4,
                "size_bytes": 5,
                "oldest_message_age_seconds": 6.5,
                "waiters": 7,
            },
        )
        for place, (counter, _) in enumerate(COUNTERS):
            self.assertEqual(values[f"{counter}_total"], 10 + place)
        self.assertEqual(page.samples["quickpulse_queue_rejected_total", "jobs", "queue_full"], 30)

    def test_a_queue_that_is_gone(self) -> None:
        """Has counts, and nothing that would say that it is there."""
        page = Page(QueueCollector(lambda: [reading("jobs", 0), reading("mails", 1)]))
        self.assertEqual(page.labels_of("quickpulse_queue_ready"), {"mails"})
        self.assertEqual(page.labels_of("quickpulse_queue_published_total"), {"jobs", "mails"})

    def test_it_is_read_once_for_a_scrape(self) -> None:
        """All numbers are of one moment."""
        taken = []

        def read() -> list[QueueReading]:
            taken.append(1)
            return [reading()]

        list(QueueCollector(read).collect())
        self.assertEqual(taken, [1])

    def test_no_queue(self) -> None:
        """Families without samples are still named."""
        self.assertEqual(Page(QueueCollector(list)).named("quickpulse_queue_"), FAMILIES)


class BrokerTests(TestCase):
    """QueueCollector over a broker."""

    def setUp(self) -> None:
        """It is empty."""
        self.broker = Broker()

    def page(self) -> Page:
        """A scrape."""
        return Page(QueueCollector(lambda: self.broker.read_queues({}, 1000)))

    def publish(self, *names: str) -> None:
        """One message into each."""
        for name in names:
            self.broker.publish(Publish(name, Batch([b"x"])), 1000)

    def test_every_count_is_shown(self) -> None:
        """What a broker counts has a family."""
        (other,) = self.broker.read_queues({}, 1000)
        self.assertEqual(set(other.counts), {counter for counter, _ in COUNTERS})

    def test_reasons(self) -> None:
        """Each from the start, for each queue."""
        self.publish("jobs")
        shown = {key[1:] for key in self.page().samples if key[0] == "quickpulse_queue_rejected_total"}
        self.assertEqual(shown, {(name, reason) for name in ("jobs", "$other") for reason in REASONS})

    def test_the_cap(self) -> None:
        """Two hundred names and the others, however many there are."""
        self.publish(*(f"queue-{number}" for number in range(readings.MOST_NAMED + 50)))
        page = self.page()
        self.assertEqual(len(page.labels_of("quickpulse_queue_ready")), 201)
        self.assertEqual(page.samples["quickpulse_queue_ready", "$other"], 50)
        self.assertEqual(page.samples["quickpulse_queue_published_total", "$other"], 50)

    def test_what_is_gone_is_still_counted(self) -> None:
        """The counter of a deleted queue stays, its gauge does not."""
        self.publish("jobs")
        self.page()
        self.broker.delete_queue(DeleteQueue("jobs"), 1000)
        page = self.page()
        self.assertEqual(page.samples["quickpulse_queue_published_total", "jobs"], 1)
        self.assertEqual(page.labels_of("quickpulse_queue_ready"), set())

    def test_promtool_finds_nothing(self) -> None:
        """A whole page, as a server shows it, is clean to Prometheus' own linter."""
        self.publish("jobs", "A.b_c:d@e-1", "n" * LONGEST_NAME)
        sources = (
            PrometheusMetrics(),
            TrafficCollector(Traffic(), "0", "all", 1),
            QueueCollector(lambda: self.broker.read_queues({}, 1000)),
        )
        text = generate_latest(make_registry(*sources)).decode()
        ours = "".join(line for line in text.splitlines(keepends=True) if "quickpulse_queue_" in line)
        self.assertEqual(run_tool(self, "promtool", "check", "metrics", text=ours), "")
