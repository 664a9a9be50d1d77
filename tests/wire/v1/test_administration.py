"""What an administrator asks, on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument
from quickpulse.queues.counts import Counts
from quickpulse.queues.describing import INFO_BYTES
from quickpulse.queues.policies import LONGEST_LEASE_MS, LONGEST_MS, LONGEST_NAME, MOST_RETRY_DELAYS
from quickpulse.requests import UNBOUNDED, Overflow, Policy, QueueInfo
from quickpulse.wire.v1.administration import fill_policy, fill_queue, read_policy
from quickpulse.wire.v1.errors import ERRORS
from quickpulse.wire.v1.json_form import to_json


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


class InfoTests(SynchronousTestCase):
    """fill_queue."""

    def test_the_longest(self) -> None:
        """It is no longer than a page of them reckons with, as protobuf and as JSON."""
        name, most = "x" * LONGEST_NAME, UNBOUNDED - 1
        delays = [LONGEST_MS] * MOST_RETRY_DELAYS
        policy = Policy(most, most, Overflow.DROP_OLDEST, LONGEST_LEASE_MS, 1 << 31, name, delays, most, most)
        counts = dict.fromkeys(Counts().as_dict(0), most)
        counts |= {f"rejected:{kind.code}": most for kind in ERRORS}
        message = pb.QueueInfo()
        fill_queue(QueueInfo(name, most, most, most, most, most, True, True, most, policy, True, counts), message)
        sizes = len(message.SerializeToString()), len(to_json(message))
        self.assertLess(max(sizes), INFO_BYTES, sizes)
