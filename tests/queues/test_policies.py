"""Names, policies and their bounds."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import InvalidArgument
from quickpulse.queues.policies import SERVER_POLICY, dead_name, over, require_name, require_policy
from quickpulse.requests import Policy


class NameTests(SynchronousTestCase):
    """What a queue may be called."""

    def test_names(self) -> None:
        """1 to 255 of these."""
        for name in ("a", "A.b_c:d@e-f", "x" * 255, "0"):
            require_name(name)

    def test_no_names(self) -> None:
        """Others are refused, and the text shows the name, cut."""
        for name in ("", "x" * 256, "$a", "a b", "é", "a\n", "a/b", None, b"a"):
            self.assertRaises(InvalidArgument, require_name, name)
        self.assertLess(len(str(self.assertRaises(InvalidArgument, require_name, "x" * 10_000))), 500)

    def test_dead_letter_queues(self) -> None:
        """Are names themselves."""
        self.assertEqual(dead_name("a"), "a.dead")
        self.assertEqual(dead_name("a" * 250), f"{'a' * 250}.dead")
        names = ["x" * 251, "x" * 255, f"{'x' * 254}y", f"{'x' * 250}.dead"]
        for name in names:
            require_name(dead_name(name))
        self.assertEqual(len({*names, *map(dead_name, names)}), 8)


class PolicyTests(SynchronousTestCase):
    """How a queue behaves."""

    def test_over(self) -> None:
        """What is not said is as in the defaults."""
        self.assertIs(over(SERVER_POLICY, None), SERVER_POLICY)
        mixed = over(SERVER_POLICY, Policy(capacity=3, max_deliveries=0))
        self.assertEqual((mixed.capacity, mixed.max_deliveries, mixed.lease_ms), (3, 0, 30_000))

    def test_the_servers_says_all(self) -> None:
        """Nothing in it is None, and it is valid."""
        self.assertNotIn(None, [getattr(SERVER_POLICY, name) for name in Policy.__dataclass_fields__])
        require_policy("q", SERVER_POLICY)

    def test_bounds(self) -> None:
        """A value that makes no sense is refused, with the field's name."""
        bad: dict[str, Any] = {
            "capacity": 0,
            "capacity_bytes": -1,
            "lease_ms": 12 * 3600 * 1000 + 1,
            "max_deliveries": -1,
            "retry_delays_ms": (5, -1),
            "dedup_window_ms": -1,
            "idle_expiry_ms": 0,
            "dead_letter_queue": "q",
        }
        for name, value in bad.items():
            error = self.assertRaises(InvalidArgument, require_policy, "q", Policy(**{name: value}))
            self.assertIn(name, str(error))
        self.assertRaises(InvalidArgument, require_policy, "q", Policy(dead_letter_queue="no name"))
        self.assertRaises(InvalidArgument, require_policy, "q", Policy(retry_delays_ms=[1] * 101))
