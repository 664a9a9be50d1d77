"""What an administrator asks, on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument
from quickpulse.requests import UNBOUNDED, Overflow, Policy
from quickpulse.wire.v1.administration import fill_policy, read_policy


class PolicyTests(SynchronousTestCase):
    """read_policy and fill_policy."""

    def test_nothing_is_set(self) -> None:
        """All as the server has it by default."""
        self.assertEqual(read_policy(pb.Policy()), Policy())

    def test_zero_is_a_value(self) -> None:
        """Another one than nothing."""
        policy = Policy(0, 1, None, 0, 0, "", None, 0, 0)
        message = pb.Policy()
        fill_policy(policy, message)
        self.assertEqual(read_policy(pb.Policy.FromString(message.SerializeToString())), policy)

    def test_no_bound_in_bytes(self) -> None:
        """0 on the wire."""
        message = pb.Policy()
        fill_policy(Policy(capacity_bytes=UNBOUNDED), message)
        self.assertTrue(message.HasField("capacity_bytes"))
        self.assertEqual(message.capacity_bytes, 0)
        self.assertEqual(read_policy(message).capacity_bytes, UNBOUNDED)

    def test_no_delays_are_the_default(self) -> None:
        """An empty column cannot be told from none."""
        message = pb.Policy()
        fill_policy(Policy(retry_delays_ms=[]), message)
        self.assertIsNone(read_policy(message).retry_delays_ms)

    def test_overflow(self) -> None:
        """By its number; one that is not known is refused."""
        self.assertIs(read_policy(pb.Policy(overflow=2)).overflow, Overflow.DROP_OLDEST)
        error = self.assertRaises(InvalidArgument, read_policy, pb.Policy(overflow=3))
        self.assertIn("overflow: 3", str(error))
