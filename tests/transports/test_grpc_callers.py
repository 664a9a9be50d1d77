"""What is known of connections by their unary calls: room for replies, and leases until they are over."""

from __future__ import annotations

import asyncio

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from quickpulse.requests import Action, Batch, Deliveries, Pull, Settle, SettleReply
from quickpulse.transports.grpc_callers import LEAST_SWEPT, MOST_UNSENT_BYTES, Callers, UnaryCall
from tests.serving import in_loop
from tests.transports.grpc_v1_peers import UnaryContext

LONG = bytes(MOST_UNSENT_BYTES + 1)


class CallersTestCase(SynchronousTestCase):
    """Callers at a time that the test sets."""

    def setUp(self) -> None:
        """Nobody has called."""
        self.now = 100.0
        self.callers = Callers(lambda: self.now)

    def call(self, name: str = "ipv4:127.0.0.1:1") -> tuple[UnaryCall, UnaryContext]:
        """A call of somebody's."""
        context = UnaryContext(name)
        return self.callers.call(context), context


class RoomTests(CallersTestCase):
    """What waits to be sent."""

    def test_held_until_it_is_sent(self) -> None:
        """A long reply holds its connection's reader until it is out; others' are not held."""
        call, context = self.call()
        again, _ = self.call()
        other, _ = self.call("ipv4:127.0.0.1:2")
        self.assertIs(call.replied(LONG), LONG)
        self.assertEqual((again.peer.is_held, other.peer.is_held), (True, False))
        context.end()
        self.assertFalse(again.peer.is_held)

    def test_many_short_ones(self) -> None:
        """They count together."""
        calls = [self.call() for _ in range(3)]
        for call, _ in calls:
            call.replied(bytes(MOST_UNSENT_BYTES // 2))
        reader = calls[0][0].peer
        self.assertTrue(reader.is_held)
        calls[0][1].end()
        self.assertFalse(reader.is_held)

    def test_a_reply_after_the_end(self) -> None:
        """It waits for nobody."""
        call, context = self.call()
        context.end()
        call.replied(LONG)
        self.assertFalse(call.peer.is_held)

    def test_peers_without_a_name(self) -> None:
        """One that does not read holds up no others that look the same."""
        call, _ = self.call("unix:")
        call.replied(LONG)
        self.assertFalse(call.peer.is_held)


class WaitingForRoomTests(TestCase):
    """Calls that are not served while their peer does not read."""

    def test_in_turn(self) -> Deferred:
        """The first gets the room; if it fills it, the next waits on. One that is gone is not waited with."""

        async def story() -> None:
            callers, served = Callers(lambda: 0.0), []
            first = UnaryContext("a")
            callers.call(first).replied(LONG)

            async def serve(name: str, context: UnaryContext) -> None:
                call = callers.call(context)
                await call.has_room()
                served.append(name)
                call.replied(LONG)

            contexts = [UnaryContext("a") for _ in range(3)]
            tasks = [asyncio.ensure_future(serve(n, c)) for n, c in zip("bcd", contexts, strict=True)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)
            self.assertEqual(served, [])
            first.end()
            await tasks[0]
            await asyncio.sleep(0)
            self.assertEqual(served, ["b"])
            contexts[0].end()
            await tasks[2]
            self.assertEqual(served, ["b", "d"])

        return in_loop(asyncio.wait_for(story(), 20))


class LeaseTests(CallersTestCase):
    """What connections hold."""

    def lease(self, messages: int = 2, lease_ms: int = 1_000) -> UnaryCall:
        """A pull's call, which is over."""
        call, context = self.call()
        call.held.note(Pull(("q",)), Deliveries("q", Batch([b"a"] * messages), 7, lease_ms))
        context.end()
        return call

    def settle(self, settled: int, action: Action = Action.ACK, lease_ms: int = 0) -> None:
        """In a call of its own."""
        call, context = self.call()
        call.held.note(Settle("q", ((7, 8),), action, lease_ms=lease_ms), SettleReply(settled))
        context.end()

    def test_until_they_are_settled(self) -> None:
        """By whichever call of the connection."""
        self.assertFalse(self.callers.hold_leases)
        self.lease()
        self.settle(1)
        self.assertTrue(self.callers.hold_leases)
        self.settle(1)
        self.assertFalse(self.callers.hold_leases)

    def test_until_they_are_over(self) -> None:
        """Nobody tells that a client is gone, or that a lease ran out: none lasts longer than the last of them may."""
        self.lease()
        self.now += 1.5
        self.assertFalse(self.callers.hold_leases)
        self.lease(1)
        self.settle(1)
        self.assertFalse(self.callers.hold_leases)

    def test_extended(self) -> None:
        """They last longer then; as long as they did where it is not said how long."""
        self.lease()
        self.settle(2, Action.EXTEND, 3_000)
        self.now += 2.5
        self.assertTrue(self.callers.hold_leases)
        self.settle(2, Action.EXTEND)
        self.now += 0.75
        self.assertTrue(self.callers.hold_leases)
        self.now += 0.5
        self.assertFalse(self.callers.hold_leases)

    def test_forgotten(self) -> None:
        """Connections with nothing open and nothing held are, so that there are not more and more of them."""
        self.lease(lease_ms=1_000_000)
        _, open_one = self.call("ipv4:127.0.0.1:2")
        for number in range(3, 10 * LEAST_SWEPT):
            self.call(f"ipv4:127.0.0.1:{number}")[1].end()
        self.assertLess(len(self.callers), 2 * LEAST_SWEPT)
        self.assertTrue(self.callers.hold_leases)
        open_one.end()
