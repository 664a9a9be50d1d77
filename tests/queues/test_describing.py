"""What is told of queues, and a look into a long one."""

from __future__ import annotations

from quickpulse.errors import InvalidArgument
from quickpulse.queues.describing import INFO_BYTES
from quickpulse.queues.framing import FRAME_BYTES, HEAD_BYTES
from quickpulse.queues.policies import Limits
from quickpulse.requests import ListQueues, Peek, Properties
from tests.queues.brokers import BrokerTestCase


class DescribingTests(BrokerTestCase):
    """Peeks and figures."""

    limits = Limits(max_batch_bytes=HEAD_BYTES + 3000)

    def peek(self, count: int, max_bytes: int = 0) -> list[bytes]:
        """The payloads."""
        return list(self.broker.peek(Peek("q", count, max_bytes), self.now).batch.payloads)

    def test_peek_over_lane_and_runs(self) -> None:
        """In the order of taking, which a pull confirms."""
        self.publish(*[b"%d" % each for each in range(10)])
        self.pull(6, lease_ms=10)
        self.publish_each(*[(b"p%d" % each, Properties(priority=each % 3)) for each in range(9)])
        self.publish(*[b"c%d" % each for each in range(5)], id="x")
        self.later(10)
        looked = self.peek(50)
        self.assertEqual(len(looked), 24)
        self.assertEqual(self.peek(7), looked[:7])
        self.assertEqual(self.payloads(50), looked)

    def test_a_peek_is_bounded(self) -> None:
        """By its own bytes and by the frame's."""
        self.publish(*[b"x" * (100 - FRAME_BYTES)] * 40)
        self.assertEqual((len(self.peek(40)), len(self.peek(30, 200)), len(self.peek(30, 1))), (30, 2, 1))

    def test_peek_of_a_queue_that_is_paused_or_leased(self) -> None:
        """What is leased is not shown."""
        self.publish(b"a", b"b")
        self.pull()
        self.assertEqual(self.peek(5), [b"b"])

    def test_properties_and_sizes(self) -> None:
        """A message's size is its payload and the texts of its properties."""
        self.publish(b"abc", id="é", headers={"k": "v"})
        self.publish_each((b"d", Properties(dedup_key="xyz")))
        self.assertEqual(self.info().size_bytes, 3 + 4 + 1 + 3)
        got = self.broker.peek(Peek("q", 2), self.now)
        self.assertEqual([got.batch.properties[index].id for index in (0,)], ["é"])
        self.assertEqual(got.batch.properties[1].dedup_key, "xyz")

    def test_the_oldest(self) -> None:
        """The age of the oldest ready message, wherever it is; none is 0."""
        self.publish(b"a", priority=1)
        self.later(5)
        self.publish(b"b")
        self.later(5)
        self.assertEqual(self.info().oldest_ms, 10)
        self.payloads(1)
        self.assertEqual(self.info().oldest_ms, 5)
        self.payloads(1)
        self.assertEqual(self.info().oldest_ms, 0)


class PageTests(BrokerTestCase):
    """Lists of queues, three of which fit into a frame."""

    limits = Limits(max_batch_bytes=3 * INFO_BYTES)

    def setUp(self) -> None:
        """Seven queues."""
        super().setUp()
        for name in "gbdface":
            self.publish(b"x", queue=name)

    def page(self, *request: str | int) -> tuple[str, str]:
        """The names, and the token."""
        page = self.broker.list_queues(ListQueues(*request), self.now)  # type: ignore[arg-type]
        return "".join(each.name for each in page.queues), page.next_page_token

    def test_no_more_than_fit(self) -> None:
        """Whether so many were asked for or not; the last page has no token."""
        self.assertEqual(self.page(), ("abc", "c"))
        self.assertEqual(self.page("", 100, "c"), ("def", "f"))
        self.assertEqual(self.page("", 0, "f"), ("g", ""))

    def test_fewer(self) -> None:
        """As many as were asked for; a page that ends with the last queue is the last."""
        self.assertEqual(self.page("", 2, "d"), ("ef", "f"))
        self.assertEqual(self.page("", 2, "e"), ("fg", ""))

    def test_a_queue_that_is_gone(self) -> None:
        """Its name as a token still says where to go on; nothing behind it is an empty page."""
        self.assertEqual(self.page("", 1, "dd"), ("e", "e"))
        self.assertEqual(self.page("", 1, "x"), ("", ""))

    def test_one_at_least(self) -> None:
        """However short a frame may be."""
        self.broker._directory.limits = Limits(max_batch_bytes=10)
        self.assertEqual(self.page(), ("a", "a"))

    def test_what_is_no_token(self) -> None:
        """Longer than any name; and a number out of its range."""
        self.assertRaises(InvalidArgument, self.page, "", 0, "x" * 256)
        self.assertRaises(InvalidArgument, self.page, "", -1)
