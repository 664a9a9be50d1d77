"""WebSocket: what a client sees, byte for byte, and what becomes of the messages."""

from __future__ import annotations

import struct

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse.queues.memory import MessageQueue
from tests.transports.conversation import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Conversation,
    client_frame,
    close_frame,
    server_frames,
)

OK = (TEXT, b"ok")
FULL = (TEXT, b"error: queue is full")
EMPTY = (TEXT, b"error: queue is empty")


def close_of(frames: list[tuple[int, bytes]]) -> int:
    """The code of the Close that ends these frames."""
    opcode, payload = frames[-1]
    assert opcode == CLOSE, frames
    return int(struct.unpack("!H", payload[:2])[0])


class LateQueue:
    """A MessageQueue that answers when told to."""

    def __init__(self, capacity: int = 100) -> None:
        self.inner = MessageQueue(capacity)
        self.waiting: list[tuple[Deferred, object, object]] = []
        self.calls = 0

    def enqueue_many(self, messages):
        return self._later(self.inner.enqueue_many, messages)

    def dequeue_many(self, count):
        return self._later(self.inner.dequeue_many, count)

    def _later(self, method, argument):
        self.calls += 1
        result = Deferred()
        self.waiting.append((result, method, argument))
        return result

    def answer(self) -> None:
        """Do the oldest call and fire its Deferred."""
        result, method, argument = self.waiting.pop(0)
        result.callback(method(argument))

    def fail(self) -> None:
        """Fail the oldest call."""
        self.waiting.pop(0)[0].errback(RuntimeError("disk on fire"))


class PublishTests(SynchronousTestCase):
    """/ws/publish."""

    def test_binary_and_text_are_stored_as_their_bytes(self) -> None:
        """A message is enqueued as its bytes, whatever its kind, and answered with the text ok."""
        it = Conversation().open()
        self.assertEqual(it.frames(client_frame(b"\xff\x00") + client_frame("grüße".encode(), TEXT)), [OK, OK])
        self.assertEqual(it.queue.dequeue_many(9), [b"\xff\x00", "grüße".encode()])

    def test_an_empty_message_is_a_message(self) -> None:
        """Nothing in it, and yet one message."""
        it = Conversation().open()
        self.assertEqual(it.frames(client_frame(b"")), [OK])
        self.assertEqual(it.queue.dequeue(), b"")

    def test_one_read_is_one_call_and_one_write(self) -> None:
        """Many messages of one read go to the queue together and are answered together, in order."""
        queue = LateQueue(capacity=3)
        it = Conversation(queue=queue).open()
        it.say(b"".join(client_frame(b"%d" % i) for i in range(5)))
        queue.answer()
        self.assertEqual(queue.calls, 1)
        self.assertEqual(server_frames(it.written()), [OK, OK, OK, FULL, FULL])
        self.assertEqual(queue.inner.dequeue_many(9), [b"0", b"1", b"2"])

    def test_a_full_queue_refuses_and_the_connection_lives(self) -> None:
        """After one message was taken out, the next is accepted again, on the same connection."""
        it = Conversation(queue=MessageQueue(1)).open()
        self.assertEqual(it.frames(client_frame(b"a") + client_frame(b"b")), [OK, FULL])
        self.assertEqual(it.traffic.refused_total["queue_full"], 1)
        it.queue.dequeue()
        self.assertEqual(it.frames(client_frame(b"c")), [OK])

    def test_a_message_in_fragments(self) -> None:
        """Fragments make one message, with a ping between them answered at once."""
        it = Conversation().open()
        data = client_frame(b"he", TEXT, first=0) + client_frame(b"?", PING) + client_frame(b"llo", 0)
        self.assertEqual(it.frames(data), [(PONG, b"?"), OK])
        self.assertEqual(it.queue.dequeue(), b"hello")

    def test_cut_at_every_byte(self) -> None:
        """However the bytes arrive, the answers and the queue are the same."""
        frames = client_frame(b"one") + client_frame(b"two", TEXT) + client_frame(b"x" * 200) + close_frame()
        for cut in range(1, len(frames)):
            it = Conversation()
            it.say(it.handshake())
            answer = it.say(frames[:cut]) + it.say(frames[cut:])
            self.assertEqual(server_frames(answer)[:3], [OK, OK, OK], cut)
            self.assertEqual(close_of(server_frames(answer)), 1000)
            self.assertEqual(it.queue.dequeue_many(9), [b"one", b"two", b"x" * 200])

    def test_byte_by_byte(self) -> None:
        """A handshake and messages that come one byte at a time are served as well."""
        it = Conversation()
        answer = b"".join(it.say(bytes((byte,))) for byte in it.handshake() + client_frame(b"slow"))
        self.assertTrue(answer.endswith(b"\x81\x02ok"))

    def test_messages_right_behind_the_handshake(self) -> None:
        """A client that does not wait for the handshake's answer loses nothing."""
        it = Conversation()
        answer = it.say(it.handshake() + client_frame(b"early"))
        self.assertTrue(answer.endswith(b"\r\n\r\n\x81\x02ok"))

    def test_many_messages_right_behind_the_handshake(self) -> None:
        """The bound on a handshake's size is not on what follows it."""
        it = Conversation()
        answer = it.say(it.handshake() + client_frame(b"x" * 1000) * 50)
        self.assertEqual(server_frames(answer.partition(b"\r\n\r\n")[2]), [OK] * 50)


class ConsumeTests(SynchronousTestCase):
    """/ws/consume."""

    def test_oldest_first_then_empty(self) -> None:
        """Each message, whatever it says, is answered with the oldest one, binary, or with the text that says empty."""
        it = Conversation("/ws/consume").open()
        it.queue.enqueue_many([b"a", b"", b"\xff"])
        frames = it.frames(client_frame(b"next", TEXT) + client_frame(b"") * 3)
        self.assertEqual(frames, [(BINARY, b"a"), (BINARY, b""), (BINARY, b"\xff"), EMPTY])

    def test_long_messages(self) -> None:
        """Payloads of every length form come out as they went in."""
        for size in (125, 126, 65535, 65536):
            it = Conversation("/ws/consume").open()
            it.queue.enqueue(b"x" * size)
            self.assertEqual(it.frames(client_frame(b"")), [(BINARY, b"x" * size)])

    def test_a_message_that_did_not_get_away_is_counted(self) -> None:
        """A connection that is reset with an answer under way takes the message with it, and the metrics say so."""
        it = Conversation("/ws/consume").open()
        it.queue.enqueue_many([b"a", b"b"])
        it.say(client_frame(b"") * 2)
        it.reset()
        self.assertEqual(it.traffic.undelivered_total, 2)

    def test_an_answer_that_arrived_is_not_counted(self) -> None:
        """The peer's orderly end confirms what it was sent."""
        it = Conversation("/ws/consume").open()
        it.queue.enqueue(b"a")
        it.say(client_frame(b""))
        it.protocol.readConnectionLost()
        it.lose()
        self.assertEqual(it.traffic.undelivered_total, 0)


class HandshakeTests(SynchronousTestCase):
    """The opening handshake, and its refusals."""

    def refused(self, it: Conversation, request: bytes, code: int, reason: str) -> bytes:
        """Send a request and check that it is refused with this status, counted under this reason, and closed."""
        answer = it.say(request)
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % code), answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % len(body), head)
        self.assertEqual(it.traffic.refused_total[reason], 1)
        self.assertIn("half-close", it.transport.events)
        return body

    def test_any_other_path_is_404(self) -> None:
        """The body names the paths that there are."""
        it = Conversation("/ws/other")
        self.assertIn(b"/ws/publish", self.refused(it, it.handshake(), 404, "not_found"))

    def test_a_page_of_another_host_is_403(self) -> None:
        """The body names the option that would admit it."""
        it = Conversation()
        body = self.refused(it, it.handshake("Origin: http://evil.example"), 403, "forbidden_origin")
        self.assertIn(b"--allow-origin", body)

    def test_odd_origins_are_403_and_can_be_admitted(self) -> None:
        """null, a file and nonsense are other pages like any; so is one among several."""
        for lines in (
            ["Origin: null"],
            ["origin:file:///a.html"],
            ["Origin: ://["],
            ["Origin: http://queue.example", "Origin: null"],
        ):
            it = Conversation()
            self.refused(it, it.handshake(*lines), 403, "forbidden_origin")
            Conversation(allow_origin=("*",)).open(*lines)
        Conversation(allow_origin=("null",)).open("Origin: null")

    def test_a_page_of_the_same_host_is_served(self) -> None:
        """Whatever its port."""
        Conversation().open("Origin: http://queue.example:3000")

    def test_an_allowed_page_is_served(self) -> None:
        """The operator named it."""
        Conversation(allow_origin=("http://good.example",)).open("Origin: http://good.example")

    def test_no_subprotocol_is_needed_and_one_is_ignored(self) -> None:
        """A client that offers a subprotocol is served without one."""
        it = Conversation()
        answer = it.say(it.handshake("Sec-WebSocket-Protocol: chat"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 101"))
        self.assertNotIn(b"Sec-WebSocket-Protocol", answer)

    def test_what_is_not_http(self) -> None:
        """Bytes that are no request get 400."""
        it = Conversation()
        self.refused(it, b"\x16\x03\x01\x02\x00 hello\r\n\r\n", 400, "bad_request")

    def test_a_plain_get_is_426(self) -> None:
        """A browser that opens the address is told to upgrade."""
        it = Conversation()
        self.refused(it, b"GET /ws/publish HTTP/1.1\r\nHost: a\r\n\r\n", 426, "bad_request")

    def test_a_plain_get_of_another_path_is_404(self) -> None:
        """There is nothing to upgrade."""
        it = Conversation()
        self.refused(it, b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found")

    def test_only_the_standard_version(self) -> None:
        """Drafts of the protocol are refused with the version that is spoken."""
        it = Conversation()
        self.refused(it, it.handshake().replace(b"Version: 13", b"Version: 8"), 400, "bad_request")
        self.assertIn(b"Sec-WebSocket-Version: 13", it.written())

    def test_a_header_without_end_is_bounded(self) -> None:
        """More than 16 KiB of header are refused, not gathered."""
        it = Conversation()
        it.say(b"GET / HTTP/1.1\r\n")
        self.refused(it, b"X-Filler: " + b"x" * 16384, 431, "header_too_large")

    def test_half_a_handshake_is_closed_by_a_timeout(self) -> None:
        """Who does not finish the request in five seconds is cut, and counted."""
        it = Conversation()
        it.say(it.handshake()[:40])
        it.clock.pump([1] * 7)
        self.assertEqual(it.transport.events[-1], "abort")
        self.assertEqual(it.traffic.refused_total["timeout"], 1)

    def test_bad_bytes_in_a_reason_do_not_reach_the_answer(self) -> None:
        """What a client put in its request cannot add header lines to the answer."""
        it = Conversation()
        self.refused(it, "GET / HTTP/\u2028\x85X-Evil:1\r\nHost: a\r\n\r\n".encode(), 505, "bad_request")
        self.assertNotIn(b"\nX-Evil", it.written())


class FaultTests(SynchronousTestCase):
    """Frames that break the rules: the right close code, and the messages before them answered."""

    def closes(self, data: bytes, code: int, reason: str = "bad_request", **options: object) -> None:
        """A good message, then `data`: ok, then Close with `code`; the message is kept, nothing after it is."""
        it = Conversation(**options).open()
        frames = it.frames(client_frame(b"good") + data)
        self.assertEqual(frames[0], OK)
        self.assertEqual(close_of(frames), code)
        self.assertEqual(it.traffic.refused_total[reason], 1)
        it.say(client_frame(b"late"))
        self.assertEqual(it.queue.dequeue_many(9), [b"good"])

    def test_text_that_is_not_utf8(self) -> None:
        """1007."""
        self.closes(client_frame(b"\xff\xfe", TEXT), 1007)

    def test_a_message_over_the_limit(self) -> None:
        """1009, for one frame and for fragments together."""
        self.closes(client_frame(b"x" * 1001), 1009, "message_too_large")
        fragments = client_frame(b"x" * 600, first=0) + client_frame(b"x" * 600, 0)
        self.closes(fragments, 1009, "message_too_large")

    def test_exactly_the_limit_passes(self) -> None:
        """1,000 bytes of 1,000."""
        it = Conversation().open()
        self.assertEqual(it.frames(client_frame(b"x" * 1000)), [OK])

    def test_broken_frames(self) -> None:
        """1002 for an unmasked frame, reserved bits, unknown opcodes, a long ping, a stray continuation."""
        for data in (
            client_frame(b"a", mask=None),
            client_frame(b"a", first=0xC0),
            client_frame(b"a", opcode=3),
            client_frame(b"a", opcode=11),
            client_frame(b"x" * 126, PING),
            client_frame(b"a", 0),
            client_frame(b"a", PING, first=0),
            client_frame(b"\x03", CLOSE),
        ):
            self.closes(data, 1002)

    def test_what_follows_a_fault_is_discarded_without_being_kept(self) -> None:
        """A peer that goes on sending after our Close is neither served nor stored."""
        it = Conversation().open()
        it.say(client_frame(b"\xff", TEXT))
        it.say(close_frame(1007))
        for _ in range(100):
            it.protocol.dataReceived(client_frame(b"x" * 900))
        self.assertLess(len(it.protocol.data), 1000)
        self.assertEqual(it.queue.depth, 0)

    def test_a_peer_that_does_not_answer_our_close_is_cut(self) -> None:
        """After five seconds."""
        it = Conversation().open()
        it.say(client_frame(b"\xff", TEXT))
        it.clock.pump([1] * 7)
        self.assertEqual(it.transport.events[-1], "abort")


class CloseTests(SynchronousTestCase):
    """The end of a connection."""

    def test_close_is_echoed_after_the_answers(self) -> None:
        """The code comes back, behind the answers; then our half is closed, and the peer's end awaited."""
        it = Conversation().open()
        frames = it.frames(client_frame(b"a") + close_frame(3001))
        self.assertEqual((frames[0], close_of(frames)), (OK, 3001))
        self.assertEqual(it.transport.events[-1], "half-close")
        it.protocol.readConnectionLost()
        self.assertEqual(it.transport.events[-1], "close")

    def test_a_peer_that_never_ends_is_cut(self) -> None:
        """The wait after the closing handshake is bounded."""
        it = Conversation().open()
        it.say(close_frame())
        it.clock.advance(6)
        self.assertEqual(it.transport.events[-1], "abort")

    def test_the_timer_goes_with_the_connection(self) -> None:
        """Nothing is left to fire."""
        it = Conversation().open()
        it.say(close_frame())
        it.lose()
        it.clock.pump([10] * 20)
        self.assertEqual(it.transport.events[-1], "half-close")
        self.assertEqual(it.factory.connections, set())

    def test_without_half_close_the_connection_is_closed(self) -> None:
        """TLS has its own closing handshake."""
        it = Conversation()
        it.transport.loseWriteConnection = None
        it.open().say(close_frame())
        self.assertEqual(it.transport.events[-1], "close")

    def test_a_half_closed_peer_gets_its_answers(self) -> None:
        """A client that ends its side without a Close is answered, then the connection is closed."""
        it = Conversation().open()
        self.assertTrue(verifyObject(IHalfCloseableProtocol, it.protocol))
        self.assertEqual(it.frames(client_frame(b"a")), [OK])
        it.protocol.readConnectionLost()
        it.protocol.writeConnectionLost()
        self.assertEqual(it.transport.events[-1], "close")

    def test_silence_is_pinged_and_then_cut(self) -> None:
        """A ping every 25 s; without a pong for 50 s the peer is gone. A pong keeps the connection."""
        it = Conversation().open()
        it.transport.clear()
        it.clock.pump([1] * 26)
        ((opcode, payload),) = server_frames(it.written())
        self.assertEqual(opcode, PING)
        it.say(client_frame(payload, PONG))
        it.clock.pump([1] * 30)
        self.assertNotIn("abort", it.transport.events)
        it.clock.pump([1] * 60)
        self.assertEqual(it.transport.events[-1], "abort")
        self.assertEqual(it.traffic.refused_total["timeout"], 1)


class LateAnswerTests(SynchronousTestCase):
    """A queue that answers with a Deferred: reading rests, and order holds."""

    def setUp(self) -> None:
        self.queue = LateQueue()

    def test_reading_rests_until_the_answer(self) -> None:
        """The transport is paused, and goes on when the Deferred fires."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a"))
        self.assertEqual((it.transport.producerState, it.written()), ("paused", b""))
        self.queue.answer()
        self.assertEqual((it.transport.producerState, server_frames(it.written())), ("producing", [OK]))

    def test_what_came_meanwhile_is_served_next(self) -> None:
        """Bytes that were already on their way wait for their turn."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.protocol.dataReceived(client_frame(b"b") + client_frame(b"c"))
        self.assertEqual(self.queue.calls, 1)
        self.queue.answer()
        self.queue.answer()
        self.assertEqual(self.queue.inner.dequeue_many(9), [b"a", b"b", b"c"])
        self.assertEqual(server_frames(it.written()), [OK, OK, OK])

    def test_close_waits_for_the_answer(self) -> None:
        """The peer's Close behind a message is answered behind its answer."""
        it = Conversation(queue=self.queue).open()
        self.assertEqual(it.say(client_frame(b"a") + close_frame()), b"")
        self.queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1000))
        self.assertEqual(it.transport.events[-1], "half-close")

    def test_a_fault_waits_for_the_answer(self) -> None:
        """So does the Close that a fault brings."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a") + client_frame(b"\xff", TEXT))
        self.queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1007))

    def test_the_peers_end_waits_for_the_answer(self) -> None:
        """A half-closed peer gets the late answer too."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.protocol.readConnectionLost()
        self.assertNotIn("close", it.transport.events)
        self.queue.answer()
        self.assertEqual((server_frames(it.written()), it.transport.events[-1]), ([OK], "close"))

    def test_a_message_for_a_peer_that_left_is_counted(self) -> None:
        """It was taken out for a connection that is gone when it comes."""
        self.queue.inner.enqueue(b"a")
        it = Conversation("/ws/consume", queue=self.queue).open()
        it.say(client_frame(b""))
        it.lose()
        self.queue.answer()
        self.assertEqual(it.traffic.undelivered_total, 1)

    def test_a_request_of_a_peer_that_left_takes_nothing(self) -> None:
        """What had not been asked of the queue before the connection ended is not asked any more."""
        it = Conversation("/ws/consume", queue=self.queue).open()
        it.say(client_frame(b""))
        it.protocol.dataReceived(client_frame(b""))
        it.lose()
        self.queue.inner.enqueue_many([b"a", b"b"])
        self.queue.answer()
        self.assertEqual((self.queue.calls, self.queue.inner.depth), (1, 1))

    def test_a_failing_queue_is_said_to_be_unavailable(self) -> None:
        """Each request is told; the connection lives; the log has the cause."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a") * 2)
        self.queue.fail()
        self.assertEqual(server_frames(it.written()), [(TEXT, b"error: queue is unavailable")] * 2)
        self.assertEqual(it.traffic.refused_total["queue_unavailable"], 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        it.say(client_frame(b"b"))
        self.queue.answer()
        self.assertEqual(server_frames(it.written()), [OK])

    def test_a_failure_after_the_peer_left_is_only_logged(self) -> None:
        """There is nobody to tell."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.lose()
        self.queue.fail()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_queue_that_raises(self) -> None:
        """An error at once is told like one that comes late."""

        class Broken:
            def enqueue_many(self, messages):
                raise RuntimeError("no")

        it = Conversation(queue=Broken()).open()
        self.assertEqual(it.frames(client_frame(b"a")), [(TEXT, b"error: queue is unavailable")])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_an_answer_of_the_wrong_kind_ends_the_connection(self) -> None:
        """A provider that breaks its port is logged, and its connection does not hang."""
        it = Conversation(queue=self.queue).open()
        it.say(client_frame(b"a"))
        self.queue.waiting.pop()[0].callback("three")
        self.assertEqual(it.transport.events[-1], "abort")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class SlowReaderTests(SynchronousTestCase):
    """A peer that does not read its answers."""

    def test_reading_rests_above_high_water(self) -> None:
        """The transport pauses its producer, which pauses reading; both ways open again together."""
        it = Conversation().open()
        gate = it.transport.producer
        gate.pauseProducing()
        self.assertEqual(it.transport.producerState, "paused")
        gate.resumeProducing()
        self.assertEqual(it.transport.producerState, "producing")
        gate.stopProducing()

    def test_a_late_answer_does_not_open_what_a_slow_peer_closed(self) -> None:
        """Reading goes on only when neither waits."""
        queue = LateQueue()
        it = Conversation(queue=queue).open()
        gate = it.transport.producer
        it.say(client_frame(b"a"))
        gate.pauseProducing()
        queue.answer()
        self.assertEqual(it.transport.producerState, "paused")
        gate.resumeProducing()
        self.assertEqual(it.transport.producerState, "producing")


class DrainTests(SynchronousTestCase):
    """The orderly end of all connections."""

    def test_without_connections_it_is_done_at_once(self) -> None:
        """Nothing to wait for."""
        it = Conversation()
        it.lose()
        self.successResultOf(it.factory.drain(8))

    def test_close_1012_then_done(self) -> None:
        """Each peer is told 1012; when the last has gone the drain is over, and no timer stays."""
        it = Conversation().open()
        it.transport.clear()
        done = it.factory.drain(8)
        self.assertEqual(close_of(server_frames(it.written())), 1012)
        self.assertNoResult(done)
        it.say(close_frame(1012))
        self.assertEqual(it.transport.events[-1], "half-close")
        it.lose()
        self.successResultOf(done)
        self.assertEqual(it.clock.getDelayedCalls(), [])

    def test_messages_after_our_close_are_not_accepted(self) -> None:
        """They get no answer and are not stored: the client knows that they were not taken."""
        it = Conversation().open()
        it.factory.drain(8)
        self.assertEqual(it.frames(client_frame(b"late")), [])
        self.assertEqual(it.queue.depth, 0)

    def test_an_answer_under_way_comes_before_the_close(self) -> None:
        """The drain waits for a queue that answers late."""
        queue = LateQueue()
        it = Conversation(queue=queue).open()
        it.say(client_frame(b"a"))
        it.factory.drain(8)
        self.assertEqual(it.written(), b"")
        queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1012))

    def test_who_does_not_end_is_cut_at_the_deadline(self) -> None:
        """What it was sent and did not confirm is counted."""
        it = Conversation("/ws/consume").open()
        it.queue.enqueue(b"a")
        it.say(client_frame(b""))
        it.transport.dataBuffer = b"x" * 30  # more than our Close: the message is in it
        done = it.factory.drain(8)
        it.clock.pump([1] * 9)
        self.assertEqual(it.transport.events[-1], "abort")
        it.reset()
        self.successResultOf(done)
        self.assertEqual(it.traffic.undelivered_total, 1)

    def test_half_a_handshake_is_refused(self) -> None:
        """503, as the server takes no new clients."""
        it = Conversation()
        it.say(it.handshake()[:30])
        it.factory.drain(8)
        self.assertTrue(it.written().startswith(b"HTTP/1.1 503"))
