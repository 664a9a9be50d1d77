"""Parts, whole, and what lies between."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.micro.budget import BETWEEN, budget, markdown
from perf.micro.layers import Layer, Place, nanoseconds


def layer(path: str, name: str, place: Place) -> Layer:
    """One that is never run."""
    return Layer(path, name, place, lambda batch, rounds: (len, []))


class BudgetTests(SynchronousTestCase):
    """The table."""

    def setUp(self) -> None:
        """Two paths."""
        self.paths = budget(
            {
                layer("a", "read", Place.PART): {1: 300.0, 20: 30.0},
                layer("a", "of it the key", Place.INSIDE): {1: 200.0, 20: 20.0},
                layer("a", "write", Place.PART): {1: 500.0, 20: 50.0},
                layer("a", "all", Place.WHOLE): {1: 1000.0, 20: 90.0},
                layer("b", "all", Place.WHOLE): {1: 1500.0, 20: 20.0},
            }
        )

    def test_between(self) -> None:
        """What the whole takes beyond its parts; what is inside a part counts once."""
        rests = {path: line.nanoseconds for path, lines in self.paths.items() for line in lines if line.name == BETWEEN}
        self.assertEqual(rests, {"a": {1: 200.0, 20: 10.0}, "b": {1: 1500.0, 20: 20.0}})

    def test_markdown(self) -> None:
        """A line each, the whole in bold."""
        lines = markdown(self.paths, (1, 20)).splitlines()
        self.assertEqual(lines[0], "| path | layer | 1 in a read | 20 in a read |")
        self.assertIn("| a | &nbsp;&nbsp;of it the key | 200 | 20 |", lines)
        self.assertIn("| a | **all** | **1,000** | **90** |", lines)


class TimingTests(SynchronousTestCase):
    """How a layer is run."""

    def test_batches(self) -> None:
        """Fresh state for each sample, and as many batches as the messages make, one at least."""
        prepared: list[tuple[int, int]] = []
        seen: list[int] = []

        def prepare(batch: int, rounds: int):
            prepared.append((batch, rounds))
            return seen.append, list(range(rounds))

        made = nanoseconds(Layer("", "", Place.PART, prepare), 20, 100, 3)
        self.assertEqual(prepared, [(20, 5)] * 3)
        self.assertEqual(seen, [0, 1, 2, 3, 4] * 3)
        self.assertGreaterEqual(made, 0.0)
        nanoseconds(Layer("", "", Place.PART, prepare), 200, 100, 1)
        self.assertEqual(prepared[-1], (200, 1))
