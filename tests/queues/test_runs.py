"""Runs: cutting, picking, joining, and the size of messages."""

from __future__ import annotations

from array import array

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.framing import FRAME_BYTES, LETTER_BYTES, PROPERTIES_BYTES
from quickpulse.queues.runs import Extra, Run, fitting, framed, measured, weight_of
from quickpulse.requests import DeadLetter, Properties


def run(*payloads: bytes, first: int = 1, accepted: int = 5, **more: int) -> Run:
    """Messages with consecutive sequences."""
    return Run(list(payloads), range(first, first + len(payloads)), accepted, sum(map(len, payloads)), **more)


class RunTests(SynchronousTestCase):
    """Columns."""

    def test_cut(self) -> None:
        """The head leaves, with its part of each column."""
        whole = Run([b"a", b"bb", b"ccc"], [1, 4, 5], array("q", (7, 8, 9)), 6)
        head = whole.cut(2, {})
        self.assertEqual(
            (head.payloads, list(head.sequences), list(head.accepted_each())), ([b"a", b"bb"], [1, 4], [7, 8])
        )
        self.assertEqual((head.size_bytes, whole.size_bytes), (3, 3))
        self.assertEqual((whole.payloads, list(whole.sequences), list(whole.accepted_each())), ([b"ccc"], [5], [9]))

    def test_cut_all(self) -> None:
        """The run that is left is empty, wherever it is listed."""
        whole = run(b"a", b"b", deliveries=2)
        head = whole.cut(9, {})
        self.assertEqual((head.payloads, head.deliveries, whole.payloads, whole.size_bytes), ([b"a", b"b"], 2, [], 0))

    def test_pick(self) -> None:
        """Any of them; a range stays one where there is no hole."""
        whole = run(b"a", b"b", b"c", b"d")
        self.assertEqual(whole.pick([1, 2], {}).sequences, range(2, 4))
        picked = whole.pick([0, 3], {})
        self.assertEqual((picked.payloads, list(picked.sequences), picked.size_bytes), ([b"a", b"d"], [1, 4], 2))
        self.assertEqual(len(whole.payloads), 4)

    def test_take_on(self) -> None:
        """What goes on where a run ends is added; moments become a column when they differ."""
        whole = run(b"a", accepted=5)
        whole.take_on(run(b"b", first=2, accepted=5))
        self.assertEqual(whole.accepted, 5)
        whole.take_on(run(b"c", first=3, accepted=6))
        self.assertEqual(
            (whole.payloads, whole.sequences, list(whole.accepted_each())), ([b"a", b"b", b"c"], range(1, 4), [5, 5, 6])
        )

    def test_what_counts_beside(self) -> None:
        """Goes with each message, whatever it is cut into."""
        whole = run(b"a", b"b", beside=7)
        self.assertEqual(whole.beside_bytes, 14)
        whole.take_on(run(b"c", first=3, beside=7))
        self.assertEqual(whole.beside, 7)
        whole.take_on(run(b"d", b"e", first=4))
        self.assertEqual(list(whole.beside), [7, 7, 7, 0, 0])
        self.assertEqual([whole.pick(each, {}).beside_bytes for each in ([0, 4], [1, 2])], [7, 14])
        self.assertEqual((whole.cut(2, {}).beside_bytes, whole.beside_bytes), (14, 7))
        self.assertEqual((whole.moved().beside_bytes, run(b"a").beside_bytes), (7, 0))

    def test_what_cannot_be_taken_on(self) -> None:
        """A hole, or anything that is not in common."""
        whole = run(b"a")
        self.assertTrue(whole.can_take_on(run(b"b", first=2)))
        self.assertFalse(whole.can_take_on(run(b"b", first=3)))
        for field in ("deliveries", "priority", "expires_at"):
            self.assertFalse(whole.can_take_on(run(b"b", first=2, **{field: 1})))
        other = run(b"b", first=2)
        other.common = Properties(id="x")
        self.assertFalse(whole.can_take_on(other))
        self.assertFalse(whole.cut(1, {}) is None or whole.can_take_on(run(b"b", first=2)))

    def test_size(self) -> None:
        """Payloads, the weight that all have, or the own one."""
        self.assertEqual(measured([b"ab", b"c"], (1, 2), 10, {}), 23)
        self.assertEqual(measured([b"ab", b"c"], (1, 2), 10, {2: Extra(None, 4)}), 17)

    def test_weight_of_properties(self) -> None:
        """Bytes of all texts."""
        self.assertEqual(weight_of(Properties(id="é", headers={"a": "bc"}, dedup_key="k", priority=9)), 6)

    def test_fitting(self) -> None:
        """As many as there is room for, each with what it takes of a frame."""
        each = 3 + FRAME_BYTES
        payloads, numbers = [b"abc"] * 4, range(1, 5)
        self.assertEqual(fitting(payloads, numbers, 3 * each, 0, FRAME_BYTES, {}), 3)
        self.assertEqual(fitting(payloads, numbers, each - 1, 0, FRAME_BYTES, {}), 0)
        self.assertEqual(fitting(payloads, numbers, 3 * each, 2, FRAME_BYTES, {}), 2)
        self.assertEqual(fitting(payloads, numbers, 2 * each, 0, FRAME_BYTES, {1: Extra(None, each)}), 1)

    def test_framed(self) -> None:
        """The same of all together: own properties and a letter's source count for the message that has them."""
        extras = {2: Extra(Properties(id="ab"), 2), 3: Extra(None, 0, DeadLetter("jobs", "why", 1))}
        self.assertEqual(framed(9, range(1, 4), FRAME_BYTES, {}), 9 + 3 * FRAME_BYTES)
        more = PROPERTIES_BYTES + LETTER_BYTES + len("jobswhy")
        self.assertEqual(framed(9, range(1, 4), FRAME_BYTES, extras), 9 + 3 * FRAME_BYTES + more)
        whole = run(b"abc", b"d")
        whole.common = Properties(headers={"a": "b"})
        self.assertEqual(whole.framed({}), 4 + 2 * whole.framing)
        self.assertGreater(whole.framing, FRAME_BYTES + PROPERTIES_BYTES)
