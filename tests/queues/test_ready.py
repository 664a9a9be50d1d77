"""What is ready: the order over lane and runs, and what is passed over."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.framing import FRAME_BYTES
from quickpulse.queues.ready import LEAST_SWEPT, Ready
from quickpulse.queues.runs import Run

ROOM = 1 << 40


class ReadyTests(SynchronousTestCase):
    """The order of taking."""

    def setUp(self) -> None:
        """Nothing is."""
        self.ready = Ready()

    def put(self, *sequences: int, priority: int = 0, deliveries: int = 0) -> Run:
        """A run of messages that are named by their sequences."""
        payloads = [b"%d" % each for each in sequences]
        run = Run(payloads, list(sequences), 5, sum(map(len, payloads)), deliveries, priority)
        self.ready.put(run)
        return run

    def lane(self, count: int) -> None:
        """As many fresh plain messages."""
        first = self.ready.lane.stored + 1
        self.ready.lane.put([b"%d" % each for each in range(first, first + count)], 5)

    def take(self, count: int, room: int = ROOM) -> list[int]:
        """Sequences of what is taken."""
        runs = self.ready.take(count, room, {})
        self.assertEqual(
            [b"%d" % each for run in runs for each in run.sequences], [p for r in runs for p in r.payloads]
        )
        return [each for run in runs for each in run.sequences]

    def test_nothing(self) -> None:
        """Is taken."""
        self.assertEqual((self.take(3), len(self.ready), self.ready.oldest_at), ([], 0, None))

    def test_what_came_back_goes_to_its_place(self) -> None:
        """Lane and runs by sequence."""
        self.lane(3)
        self.ready.lane.skip(1)
        self.lane(2)
        self.assertEqual(self.take(2), [1, 2])
        self.put(1)
        self.put(4)
        self.assertEqual(len(self.ready), 5)
        self.assertEqual(self.take(9), [1, 3, 4, 5, 6])

    def test_runs_that_lie_between_each_other(self) -> None:
        """Message by message where it has to be."""
        self.put(1, 4, 7)
        self.put(2, 5, 6)
        self.put(3)
        self.assertEqual(self.take(4), [1, 2, 3, 4])
        self.assertEqual(self.take(9), [5, 6, 7])

    def test_priorities(self) -> None:
        """The highest first, strictly; the lane has none."""
        self.lane(2)
        self.put(11, priority=1)
        self.put(10, priority=9)
        self.put(12, priority=9)
        self.assertEqual(self.take(4), [10, 12, 11, 1])
        self.assertEqual(self.take(4), [2])

    def test_a_priority_that_was_empty(self) -> None:
        """Is used again."""
        self.put(1, priority=5)
        self.assertEqual(self.take(1), [1])
        self.lane(1)
        self.put(2, priority=5)
        self.assertEqual(self.take(9), [2, 1])

    def test_room(self) -> None:
        """As much as fits; one message at least, however long."""
        self.put(100, 101, 102)
        self.assertEqual(self.take(3, 2 * (FRAME_BYTES + 3)), [100, 101])
        self.assertEqual(self.take(3, 1), [102])
        self.lane(2)
        self.assertEqual(self.take(3, 1), [1])

    def test_one_by_one_needs_no_run_each(self) -> None:
        """What comes back in order, alike, is joined."""
        self.assertTrue(self.ready.put(Run([b"1"], range(1, 2), 5, 1)))
        self.assertFalse(self.ready.put(Run([b"2"], range(2, 3), 6, 1)))
        self.assertTrue(self.ready.put(Run([b"4"], range(4, 5), 6, 1)))
        self.assertEqual(self.take(9), [1, 2, 4])

    def test_the_oldest(self) -> None:
        """The lowest sequence, whatever its priority."""
        self.ready.lane.skip(2)
        self.lane(1)
        self.put(1, priority=9)
        self.put(2)
        taken = [self.ready.take_oldest(1, 1 << 62, 0, {}) for _ in range(4)]
        self.assertEqual([list(run.sequences) if run else None for run in taken], [[1], [2], [3], None])

    def test_emptied(self) -> None:
        """A run can leave from the middle of its heap; empty ones do not pile up."""
        self.put(1)
        runs = [self.put(2 * each, 2 * each + 1) for each in range(1, 500)]
        for run in runs:
            self.ready.emptied(run)
        self.assertEqual((len(self.ready), self.take(9)), (1, [1]))
        self.assertLessEqual(sum(map(len, self.ready._heaps.values())), 2 * LEAST_SWEPT + 2)

    def test_look(self) -> None:
        """Copies in the order of taking."""
        self.lane(2)
        self.put(3, 6, priority=0)
        self.put(4, 5, priority=0)
        self.put(9, priority=2)
        looked = [each for run in self.ready.look(99) for each in run.sequences]
        self.assertEqual(looked, [9, 1, 2, 3, 4, 5, 6])
        self.assertEqual(self.take(99), looked)

    def test_clear(self) -> None:
        """Nothing is left, and it works on."""
        self.lane(2)
        self.put(3, priority=3)
        self.ready.clear()
        self.assertEqual((len(self.ready), self.take(9)), (0, []))
        self.lane(1)
        self.assertEqual(self.take(9), [3])
