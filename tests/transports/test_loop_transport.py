"""The event loop's connections as Twisted transports: one suite over them and over Twisted's own."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ISystemHandle, ITCPTransport
from zope.interface.verify import verifyObject

from quickpulse.transports.flow import unacknowledged_bytes
from quickpulse.transports.loop_transport import TURN_BYTES, Stall
from tests.transports.sockets import (
    HalfCloseable,
    Producer,
    Remembering,
    SocketTestCase,
    TwistedSocketTestCase,
    next_turn,
)

MUCH = b"0123456789abcdef" * (1024 * 1024)
"""16 MiB: more than the kernel's buffers of both ends hold."""


class TransportContract:
    """What a TCP transport does. Mixed into a test case that says whose."""

    # What it is.

    @inlineCallbacks
    def test_interfaces_and_addresses(self):
        """A TCP transport, a consumer, a producer; both addresses; the socket's options."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        transport = protocol.transport
        for interface in (ITCPTransport, IConsumer, IPushProducer, ISystemHandle):
            self.assertTrue(verifyObject(interface, transport))
        self.assertEqual((transport.getPeer().host, transport.getPeer().port), peer.socket.getsockname())
        self.assertEqual((transport.getHost().host, transport.getHost().port), peer.socket.getpeername())
        self.assertEqual(transport.fileno(), transport.getHandle().fileno())
        for turn in (True, False):
            transport.setTcpNoDelay(turn)
            transport.setTcpKeepAlive(turn)
            self.assertEqual((transport.getTcpNoDelay(), transport.getTcpKeepAlive()), (turn, turn))
        self.assertTrue(transport.connected)
        self.assertFalse(transport.disconnecting)

    @inlineCallbacks
    def test_both_ways(self):
        """What is written comes, in order, however it is cut."""
        protocol = Remembering(data=lambda p: p.transport.write(p.events[-1][1]))
        peer = self.connect(protocol)
        sending = peer.send(MUCH)
        echo = yield peer.read(len(MUCH))
        yield sending
        self.assertEqual(echo, MUCH)
        protocol.transport.writeSequence([b"a", b"", b"b"])
        protocol.transport.writeSequence([])
        protocol.transport.write(b"")
        self.assertEqual((yield peer.read(2)), b"ab")

    @inlineCallbacks
    def test_no_read_is_longer_than_a_turns_share(self):
        """64 KiB at most."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield peer.send(MUCH[: 1 << 20])
        peer.close_write()
        yield protocol.when("lost")
        self.assertEqual(protocol.received, MUCH[: 1 << 20])
        self.assertLessEqual(max(len(value) for name, value in protocol.events if name == "data"), TURN_BYTES)

    def test_only_bytes(self):
        """Text is an error of the caller's."""
        protocol = Remembering()
        self.connect(protocol)
        return protocol.when("made").addCallback(
            lambda _: self.assertRaises(TypeError, protocol.transport.write, "text")
        )

    # How it ends.

    @inlineCallbacks
    def lost(self, protocol: Remembering, error: type[Exception]) -> Any:
        """It ended for that reason, once; the transport is dead and harmless."""
        reason = yield protocol.when("lost")
        transport = protocol.transport
        self.assertIs(type(reason), error)
        yield next_turn(3)
        self.assertEqual(protocol.names().count("lost"), 1)
        self.assertFalse(transport.connected)
        self.assertTrue(transport.disconnected)
        transport.write(b"too late")
        transport.writeSequence([b"too late"])
        transport.loseConnection()
        transport.abortConnection()
        transport.resumeProducing()
        producer = Producer()
        transport.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["stop"])
        transport.unregisterProducer()
        yield next_turn(2)
        self.assertEqual(protocol.names().count("lost"), 1)

    @inlineCallbacks
    def test_the_peers_end(self):
        """FIN is the end for a protocol that knows of no halves."""
        protocol = Remembering()
        peer = self.connect(protocol)
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual((yield peer.read_all()), b"")

    @inlineCallbacks
    def test_the_peers_reset(self):
        """RST is a loss."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        peer.reset()
        yield self.lost(protocol, ConnectionLost)

    @inlineCallbacks
    def test_a_reset_that_a_write_finds(self):
        """Reading rests, so that only writing can find the loss."""
        protocol = Remembering(made=lambda p: p.transport.pauseProducing())
        peer = self.connect(protocol)
        yield protocol.when("made")
        peer.reset()
        while "lost" not in protocol.names():
            protocol.transport.write(b"x")
            yield next_turn()
        yield self.lost(protocol, ConnectionLost)

    @inlineCallbacks
    def test_lose_connection_sends_all_first(self):
        """Megabytes that wait are sent before the end, and what is written in the same turn as well."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.write(MUCH)
        protocol.transport.loseConnection()
        self.assertTrue(protocol.transport.disconnecting)
        protocol.transport.write(b"last")
        self.assertEqual((yield peer.read_all()), MUCH + b"last")
        yield self.lost(protocol, ConnectionDone)

    @inlineCallbacks
    def test_write_after_lose_connection_with_nothing_under_way(self):
        """A write in the turn of loseConnection is sent."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.loseConnection()
        protocol.transport.loseConnection()
        protocol.transport.write(b"last")
        self.assertEqual((yield peer.read_all()), b"last")
        yield self.lost(protocol, ConnectionDone)

    @inlineCallbacks
    def test_lose_connection_reads_no_more(self):
        """What comes after it is not the protocol's."""
        protocol = Remembering(data=lambda p: p.transport.loseConnection())
        peer = self.connect(protocol)
        yield peer.send(b"first")
        yield protocol.when("data")
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.received, b"first")
        yield peer.send(b"second")

    @inlineCallbacks
    def test_lose_connection_in_a_long_read(self):
        """Of what was read at once, the rest is dropped."""
        protocol = Remembering(data=lambda p: p.transport.loseConnection())
        peer = self.connect(protocol)
        sending = peer.send(MUCH).addErrback(lambda _: None)
        yield self.lost(protocol, ConnectionDone)
        yield sending
        self.assertEqual(protocol.names().count("data"), 1)

    @inlineCallbacks
    def test_lose_connection_at_the_beginning(self):
        """In connectionMade, and no data comes after it."""
        protocol = Remembering(made=lambda p: p.transport.loseConnection())
        peer = self.connect(protocol)
        sending = peer.send(b"hello").addErrback(lambda _: None)
        yield self.lost(protocol, ConnectionDone)
        yield sending
        self.assertEqual(protocol.names(), ["made", "lost"])

    @inlineCallbacks
    def test_abort(self):
        """A reset; what was not sent is dropped; a second abort changes nothing."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.write(MUCH)
        protocol.transport.loseConnection()
        protocol.transport.abortConnection()
        protocol.transport.abortConnection()
        self.assertEqual(protocol.names(), ["made"])  # never within the call
        yield self.lost(protocol, ConnectionAborted)
        yield self.assertFailure(peer.read_all(), ConnectionResetError)

    @inlineCallbacks
    def test_abort_at_the_beginning(self):
        """In connectionMade."""
        protocol = Remembering(made=lambda p: p.transport.abortConnection())
        self.connect(protocol)
        yield self.lost(protocol, ConnectionAborted)
        self.assertEqual(protocol.names(), ["made", "lost"])

    @inlineCallbacks
    def test_an_exception_is_the_end_of_its_connection(self):
        """It is logged, and it is the reason."""

        def fail(_):
            raise ZeroDivisionError("on purpose")

        protocol = Remembering(data=fail)
        peer = self.connect(protocol)
        yield peer.send(b"x")
        yield self.lost(protocol, ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((yield peer.read_all()), b"")

    @inlineCallbacks
    def test_an_exception_at_the_end_is_logged(self):
        """The end is the end."""

        def fail(_):
            raise ZeroDivisionError("on purpose")

        protocol = Remembering(lost=fail)
        peer = self.connect(protocol)
        peer.close_write()
        yield protocol.when("lost")
        yield next_turn(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    # Halves.

    @inlineCallbacks
    def test_the_peer_closes_its_half(self):
        """The protocol is told and may still write; it closes when it wants."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        yield peer.send(b"question")
        peer.close_write()
        yield protocol.when("read lost")
        self.assertEqual(protocol.received, b"question")
        yield next_turn(3)
        protocol.transport.write(MUCH)
        protocol.transport.loseConnection()
        self.assertEqual((yield peer.read_all()), MUCH)
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.names().count("read lost"), 1)

    @inlineCallbacks
    def test_we_close_our_half(self):
        """After all is sent; the protocol is told, and reads on; writing is over."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.write(MUCH)
        protocol.transport.loseWriteConnection()
        protocol.transport.loseWriteConnection()
        self.assertEqual((yield peer.read_all()), MUCH)
        yield protocol.when("write lost")
        protocol.transport.write(b"too late")
        protocol.transport.writeSequence([b"too late"])
        yield peer.send(b"answer")
        peer.close_write()
        yield protocol.when("read lost")
        self.assertEqual(protocol.received, b"answer")
        protocol.transport.loseConnection()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.names().count("write lost"), 1)

    @inlineCallbacks
    def test_we_close_our_half_of_a_protocol_without_halves(self):
        """It works too; the peer's end is then the end."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.write(b"all")
        protocol.transport.loseWriteConnection()
        self.assertEqual((yield peer.read_all()), b"all")
        yield peer.send(b"answer")
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.received, b"answer")

    @inlineCallbacks
    def test_both_halves_closed(self):
        """The connection is there until the protocol loses it."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        peer.close_write()
        yield protocol.when("read lost")
        protocol.transport.loseWriteConnection()
        yield protocol.when("write lost")
        yield next_turn(3)
        self.assertNotIn("lost", protocol.names())
        protocol.transport.loseConnection()
        yield self.lost(protocol, ConnectionDone)

    @inlineCallbacks
    def test_an_exception_when_a_half_closes(self):
        """Is the end, whichever half it is."""

        def fail(_):
            raise ZeroDivisionError("on purpose")

        reading = HalfCloseable(**{"read lost": fail})
        self.connect(reading).close_write()
        yield self.lost(reading, ZeroDivisionError)
        writing = HalfCloseable(made=lambda p: p.transport.loseWriteConnection(), **{"write lost": fail})
        self.connect(writing)
        yield self.lost(writing, ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    # Reading rests.

    @inlineCallbacks
    def test_pause_and_resume(self):
        """Nothing comes while reading rests, and nothing is lost."""
        protocol = Remembering(data=lambda p: p.transport.pauseProducing())
        peer = self.connect(protocol)
        sending = peer.send(MUCH)
        for pauses in range(1, 20):
            while protocol.names().count("data") < pauses:
                yield next_turn()
            yield next_turn(2)
            self.assertEqual(protocol.names().count("data"), pauses)
            protocol.transport.resumeProducing()
        protocol._on.clear()
        protocol.transport.resumeProducing()
        yield sending
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.received, MUCH)

    @inlineCallbacks
    def test_pause_at_the_beginning(self):
        """In connectionMade; what the peer sent comes when reading is resumed."""
        protocol = Remembering(made=lambda p: p.transport.pauseProducing())
        peer = self.connect(protocol)
        yield peer.send(b"early")
        yield protocol.when("made")
        yield next_turn(5)
        self.assertEqual(protocol.names(), ["made"])
        protocol.transport.resumeProducing()
        yield protocol.when("data")
        self.assertEqual(protocol.received, b"early")
        yield peer.send(b"late")
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.received, b"earlylate")

    @inlineCallbacks
    def test_stop_producing(self):
        """Whoever consumes what is read can end the connection."""
        protocol = Remembering(made=lambda p: p.transport.stopProducing())
        self.connect(protocol)
        yield self.lost(protocol, ConnectionDone)

    # A producer behind.

    @inlineCallbacks
    def test_a_streaming_producer_is_paused_and_resumed(self):
        """Paused when the peer does not keep up, resumed when it has caught up."""
        protocol = Remembering()
        peer = self.connect(protocol, receive_buffer=65536)
        yield protocol.when("made")
        producer = Producer()
        protocol.transport.registerProducer(producer, True)
        self.assertRaises(RuntimeError, protocol.transport.registerProducer, producer, True)
        protocol.transport.write(b"little")
        yield next_turn(2)
        self.assertEqual(producer.calls, [])
        protocol.transport.write(MUCH)
        self.assertEqual(producer.calls, ["pause"])
        self.assertGreater(unacknowledged_bytes(protocol.transport), len(MUCH) // 2)
        reading = peer.read(6 + len(MUCH))
        yield producer.resumed
        yield reading
        self.assertEqual(producer.calls, ["pause", "resume"])
        protocol.transport.unregisterProducer()
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(producer.calls, ["pause", "resume"])

    @inlineCallbacks
    def test_a_producer_is_stopped_at_the_end(self):
        """It has nobody to produce for."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        producer = Producer()
        protocol.transport.registerProducer(producer, True)
        peer.reset()
        yield self.lost(protocol, ConnectionLost)
        self.assertEqual(producer.calls, ["stop"])

    @inlineCallbacks
    def test_a_pulled_producer(self):
        """It is asked for each piece, and the close waits until it has no more."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        left = [MUCH[:1_000_000]] * 20

        def piece():
            transport.write(left.pop())
            if not left:
                transport.unregisterProducer()

        transport, producer = protocol.transport, Producer(piece)
        transport.registerProducer(producer, False)
        transport.loseConnection()
        self.assertEqual(producer.calls, ["resume"])
        self.assertEqual(len((yield peer.read_all())), 20_000_000)
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(producer.calls, ["resume"] * 20)

    @inlineCallbacks
    def test_a_pulled_producer_that_ends_without_a_word(self):
        """UnregisterProducer lets a close go on that waited for it."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        transport = protocol.transport
        transport.registerProducer(Producer(), False)
        transport.loseConnection()
        yield next_turn(3)
        self.assertNotIn("lost", protocol.names())
        transport.write(b"last")
        transport.unregisterProducer()
        self.assertEqual((yield peer.read_all()), b"last")
        yield self.lost(protocol, ConnectionDone)

    @inlineCallbacks
    def test_a_streaming_producer_does_not_hold_up_a_close(self):
        """As soon as all is sent; a half-close likewise."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.registerProducer(Producer(), True)
        protocol.transport.write(b"all")
        protocol.transport.loseWriteConnection()
        self.assertEqual((yield peer.read_all()), b"all")
        protocol.transport.loseConnection()
        yield self.lost(protocol, ConnectionDone)

    @inlineCallbacks
    def test_an_exception_of_a_producer(self):
        """It is logged, and the end of the connection."""

        def fail():
            raise ZeroDivisionError("on purpose")

        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.registerProducer(Producer(fail), True)
        protocol.transport.write(MUCH)
        reading = peer.read_all()
        yield self.lost(protocol, ZeroDivisionError)
        yield reading
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TwistedTransportTests(TransportContract, TwistedSocketTestCase):
    """Twisted's own: what it does is what is asked for."""


class LoopTransportTests(TransportContract, SocketTestCase):
    """The event loop's, and what only it has."""

    @inlineCallbacks
    def test_small_writes_are_sent_at_once(self):
        """Nagle's algorithm is off from the start."""
        protocol = Remembering()
        self.connect(protocol)
        yield protocol.when("made")
        self.assertTrue(protocol.transport.getTcpNoDelay())

    @inlineCallbacks
    def test_turns_are_shared(self):
        """While one connection has megabytes to be read, another gets its turn after each share."""
        order: list[str] = []
        greedy = Remembering(data=lambda p: order.append("greedy"))
        modest = Remembering(data=lambda p: order.append("modest"))
        greedy_peer, modest_peer = self.connect(greedy), self.connect(modest)
        yield modest.when("made")
        yield greedy.when("made")
        turns: list[str] = []

        def turn():
            turns.append("turn")
            order.append("turn")
            self.ticking = reactor._asyncioEventloop.call_soon(turn)

        turn()
        sending = greedy_peer.send(MUCH)
        yield modest_peer.send(b"x")
        yield sending
        greedy_peer.close_write()
        yield greedy.when("lost")
        self.ticking.cancel()
        shares = "".join({"greedy": "g", "modest": "m", "turn": " "}[name] for name in order)
        self.assertNotIn("gg", shares.replace("m", ""))
        self.assertEqual(len(greedy.received), len(MUCH))
        self.assertIn("m", shares)

    @inlineCallbacks
    def test_a_pause_in_a_long_read(self):
        """Of what was read at once, no more comes while reading rests."""
        protocol = Remembering(data=lambda p: p.transport.pauseProducing())
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.pauseProducing()
        yield peer.send(MUCH[:200_000])
        protocol.transport.resumeProducing()
        yield protocol.when("data")
        protocol.transport.pauseProducing()
        yield next_turn(5)
        self.assertEqual(protocol.received, MUCH[:TURN_BYTES])
        protocol._on.clear()
        protocol.transport.resumeProducing()
        protocol.transport.pauseProducing()
        protocol.transport.resumeProducing()
        peer.close_write()
        yield self.lost(protocol, ConnectionDone)
        self.assertEqual(protocol.received, MUCH[:200_000])

    @inlineCallbacks
    def test_a_late_producer_is_paused_at_once(self):
        """One that registers while much is unsent; and resumed, though it never wrote."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.write(MUCH)
        producer = Producer()
        protocol.transport.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["pause"])
        yield peer.read(len(MUCH))
        yield producer.resumed

    @inlineCallbacks
    def test_a_paused_producer_does_not_hold_up_a_close(self):
        """It has nothing to say when it is resumed: the half-close that waited goes on."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.registerProducer(Producer(), True)
        protocol.transport.write(MUCH)
        protocol.transport.loseWriteConnection()
        self.assertEqual(len((yield peer.read_all())), len(MUCH))
        yield protocol.when("write lost")

    @inlineCallbacks
    def test_exceptions_wherever_they_come_from(self):
        """At the beginning, in a later piece of a long read, from a producer that is paused or stopped."""

        def fail(*_):
            raise ZeroDivisionError("on purpose")

        def fail_late(protocol):
            if len(protocol.received) > TURN_BYTES:
                fail()

        beginning = Remembering(made=fail)
        self.connect(beginning)
        yield self.lost(beginning, ZeroDivisionError)
        reading = Remembering(data=fail_late)
        peer = self.connect(reading)
        sending = peer.send(MUCH).addErrback(lambda _: None)
        yield self.lost(reading, ZeroDivisionError)
        yield sending
        writing = Remembering()
        self.connect(writing)
        yield writing.when("made")
        producer = Producer()
        producer.pauseProducing = producer.stopProducing = fail
        writing.transport.registerProducer(producer, True)
        writing.transport.write(MUCH)
        yield self.lost(writing, ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    @inlineCallbacks
    def test_the_end_in_the_middle_of_a_long_read(self):
        """No piece comes after it."""
        protocol = Remembering(data=lambda p: p.transport.abortConnection())
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.pauseProducing()
        yield peer.send(MUCH[:200_000])
        protocol.transport.resumeProducing()
        yield self.lost(protocol, ConnectionAborted)
        self.assertEqual(protocol.names(), ["made", "data", "lost"])

    @inlineCallbacks
    def test_unregister_after_our_half_is_closed(self):
        """Writing does not come back."""
        protocol = HalfCloseable()
        peer = self.connect(protocol)
        yield protocol.when("made")
        protocol.transport.registerProducer(Producer(), True)
        protocol.transport.loseWriteConnection()
        yield protocol.when("write lost")
        protocol.transport.unregisterProducer()
        protocol.transport.write(b"too late")
        self.assertEqual((yield peer.read_all()), b"")
        protocol.transport.abortConnection()
        yield self.lost(protocol, ConnectionAborted)

    @inlineCallbacks
    def test_unsent_bytes_are_known(self):
        """What the kernel has not taken, and with the kernel's part what the peer has not confirmed."""
        protocol = Remembering()
        peer = self.connect(protocol)
        yield protocol.when("made")
        transport = protocol.transport
        self.assertEqual((transport.unsent_bytes(), unacknowledged_bytes(transport)), (0, 0))
        transport.write(MUCH)
        self.assertGreater(transport.unsent_bytes(), 0)
        self.assertGreater(unacknowledged_bytes(transport), transport.unsent_bytes())
        yield peer.read(len(MUCH) // 2)
        transport.abortConnection()
        yield protocol.when("lost")
        self.assertEqual((transport.unsent_bytes(), unacknowledged_bytes(transport)), (0, 0))

    @inlineCallbacks
    def test_arrivals_are_known_after_a_reset(self):
        """What is written when the reset is there already enters no buffer, and has not arrived."""
        protocol = AskingAtTheEnd()
        peer = self.connect(protocol)
        yield protocol.when("made")
        transport = protocol.transport
        self.assertEqual(transport.acknowledged_bytes(), 0)
        transport.write(b"arrives")
        self.assertEqual((yield peer.read(7)), b"arrives")
        peer.reset()
        transport.write(b"too late")
        yield protocol.when("lost")
        self.assertEqual(protocol.arrived, 7)
        self.assertIsNone(transport.acknowledged_bytes())


class AskingAtTheEnd(Remembering):
    """Asks its transport in `connectionLost` what has arrived."""

    arrived: int | None = None

    def connectionLost(self, reason):
        """The last moment."""
        self.arrived = self.transport.acknowledged_bytes()
        super().connectionLost(reason)


class Timer:
    """The loop's clock in the test's hands: `call_later` keeps, `fire` calls."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.calls: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, seconds: float, call: Any, *args: Any) -> Timer:
        """Keep it."""
        self.calls.append((seconds, call, args))
        return self

    def cancel(self) -> None:
        """The last one is off."""
        self.calls.clear()

    def fire(self) -> None:
        """The time has passed."""
        _, call, args = self.calls.pop()
        call(*args)


class StallTests(SocketTestCase):
    """Peers that do not read."""

    @inlineCallbacks
    def begin(self, seconds: float = 7.0) -> Any:
        """A connection with a bound, and its timer."""
        self.stalled = 0

        def happened():
            self.stalled += 1

        protocol = Remembering()
        peer = self.connect(protocol, receive_buffer=65536, stall=Stall(seconds, happened))
        yield protocol.when("made")
        protocol.transport._loop = timer = Timer(protocol.transport._loop)
        return protocol, peer, timer

    @inlineCallbacks
    def test_no_timer_unless_something_waits(self):
        """Whoever reads costs nothing."""
        protocol, peer, timer = yield self.begin()
        protocol.transport.write(b"little")
        yield peer.read(6)
        self.assertEqual(timer.calls, [])

    @inlineCallbacks
    def test_who_reads_nothing_is_cut_off(self):
        """With a reset, and counted."""
        protocol, peer, timer = yield self.begin()
        protocol.transport.write(MUCH)
        self.assertEqual(timer.calls[0][0], 7.0)
        while timer.calls:  # the peer's kernel may have taken some since
            yield next_turn(3)
            timer.fire()
        self.assertIsInstance((yield protocol.when("lost")), ConnectionAborted)
        self.assertEqual(self.stalled, 1)
        yield self.assertFailure(peer.read_all(), ConnectionResetError)

    @inlineCallbacks
    def test_who_reads_slowly_is_not(self):
        """Fewer bytes than before are enough; and when all is sent the timer is off."""
        protocol, peer, timer = yield self.begin()
        protocol.transport.write(MUCH)
        yield peer.read(len(MUCH) // 2)
        timer.fire()
        self.assertEqual((len(timer.calls), self.stalled), (1, 0))
        yield peer.read(len(MUCH) // 2)
        yield next_turn(3)
        self.assertEqual((timer.calls, self.stalled), ([], 0))

    @inlineCallbacks
    def test_the_end_while_it_waits(self):
        """Nothing is left behind."""
        protocol, _, timer = yield self.begin()
        protocol.transport.write(MUCH)
        protocol.transport.abortConnection()
        yield protocol.when("lost")
        self.assertEqual((timer.calls, self.stalled), ([], 0))

    @inlineCallbacks
    def test_zero_is_no_bound(self):
        """As the option says."""
        protocol, _, timer = yield self.begin(0.0)
        protocol.transport.write(MUCH)
        self.assertEqual(timer.calls, [])
