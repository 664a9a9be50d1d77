"""WebSocket: what a client sees, byte for byte, and what becomes of the messages. Here by autobahn's reading alone."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from quickpulse.queues.memory import MessageQueue
from tests.transports.conversation import (
    BINARY,
    CLOSE,
    EMPTY,
    FULL,
    OK,
    PING,
    PONG,
    TEXT,
    Conversation,
    LateQueue,
    WsTestCase,
    client_frame,
    close_frame,
    close_of,
    server_frames,
)


class PublishTests(WsTestCase):
    """/ws/publish."""

    def test_binary_and_text_are_stored_as_their_bytes(self) -> None:
        """A message is enqueued as its bytes, whatever its kind, and answered with the text ok."""
        it = self.talk().open()
        self.assertEqual(it.frames(client_frame(b"\xff\x00") + client_frame("grüße".encode(), TEXT)), [OK, OK])
        self.assertEqual(it.queue.dequeue_many(9), [b"\xff\x00", "grüße".encode()])

    def test_an_empty_message_is_a_message(self) -> None:
        """Nothing in it, and yet one message."""
        it = self.talk().open()
        self.assertEqual(it.frames(client_frame(b"")), [OK])
        self.assertEqual(it.queue.dequeue(), b"")

    def test_one_read_is_one_call_and_one_write(self) -> None:
        """Many messages of one read go to the queue together and are answered together, in order."""
        queue = LateQueue(capacity=3)
        it = self.talk(queue=queue).open()
        it.say(b"".join(client_frame(b"%d" % i) for i in range(5)))
        queue.answer()
        self.assertEqual(queue.calls, 1)
        self.assertEqual(server_frames(it.written()), [OK, OK, OK, FULL, FULL])
        self.assertEqual(queue.inner.dequeue_many(9), [b"0", b"1", b"2"])

    def test_a_full_queue_refuses_and_the_connection_lives(self) -> None:
        """After one message was taken out, the next is accepted again, on the same connection."""
        it = self.talk(queue=MessageQueue(1)).open()
        self.assertEqual(it.frames(client_frame(b"a") + client_frame(b"b")), [OK, FULL])
        self.assertEqual(it.traffic.refused_total["queue_full"], 1)
        it.queue.dequeue()
        self.assertEqual(it.frames(client_frame(b"c")), [OK])

    def test_a_message_in_fragments(self) -> None:
        """Fragments make one message, with a ping between them answered at once."""
        it = self.talk().open()
        data = client_frame(b"he", TEXT, first=0) + client_frame(b"?", PING) + client_frame(b"llo", 0)
        self.assertEqual(it.frames(data), [(PONG, b"?"), OK])
        self.assertEqual(it.queue.dequeue(), b"hello")

    def test_cut_at_every_byte(self) -> None:
        """However the bytes arrive, the answers and the queue are the same."""
        frames = client_frame(b"one") + client_frame(b"two", TEXT) + client_frame(b"x" * 200) + close_frame()
        for cut in range(1, len(frames)):
            it = self.talk()
            it.say(it.handshake())
            answer = it.say(frames[:cut]) + it.say(frames[cut:])
            self.assertEqual(server_frames(answer)[:3], [OK, OK, OK], cut)
            self.assertEqual(close_of(server_frames(answer)), 1000)
            self.assertEqual(it.queue.dequeue_many(9), [b"one", b"two", b"x" * 200])

    def test_byte_by_byte(self) -> None:
        """A handshake and messages that come one byte at a time are served as well."""
        it = self.talk()
        answer = b"".join(it.say(bytes((byte,))) for byte in it.handshake() + client_frame(b"slow"))
        self.assertTrue(answer.endswith(b"\x81\x02ok"))

    def test_messages_right_behind_the_handshake(self) -> None:
        """A client that does not wait for the handshake's answer loses nothing."""
        it = self.talk()
        answer = it.say(it.handshake() + client_frame(b"early"))
        self.assertTrue(answer.endswith(b"\r\n\r\n\x81\x02ok"))

    def test_many_messages_right_behind_the_handshake(self) -> None:
        """The bound on a handshake's size is not on what follows it."""
        it = self.talk()
        answer = it.say(it.handshake() + client_frame(b"x" * 1000) * 50)
        self.assertEqual(server_frames(answer.partition(b"\r\n\r\n")[2]), [OK] * 50)


class ConsumeTests(WsTestCase):
    """/ws/consume."""

    def test_oldest_first_then_empty(self) -> None:
        """Each message, whatever it says, is answered with the oldest one, binary, or with the text that says empty."""
        it = self.talk("/ws/consume").open()
        it.queue.enqueue_many([b"a", b"", b"\xff"])
        frames = it.frames(client_frame(b"next", TEXT) + client_frame(b"") * 3)
        self.assertEqual(frames, [(BINARY, b"a"), (BINARY, b""), (BINARY, b"\xff"), EMPTY])

    def test_long_messages(self) -> None:
        """Payloads of every length form come out as they went in."""
        for size in (125, 126, 65535, 65536):
            it = self.talk("/ws/consume").open()
            it.queue.enqueue(b"x" * size)
            self.assertEqual(it.frames(client_frame(b"")), [(BINARY, b"x" * size)])

    def test_a_message_that_did_not_get_away_is_counted(self) -> None:
        """A connection that is reset with an answer under way takes the message with it, and the metrics say so."""
        it = self.talk("/ws/consume").open()
        it.queue.enqueue_many([b"a", b"b"])
        it.say(client_frame(b"") * 2)
        it.reset()
        self.assertEqual(it.traffic.undelivered_total, 2)

    def test_an_answer_that_arrived_is_not_counted(self) -> None:
        """The peer's orderly end confirms what it was sent."""
        it = self.talk("/ws/consume").open()
        it.queue.enqueue(b"a")
        it.say(client_frame(b""))
        it.protocol.readConnectionLost()
        it.lose()
        self.assertEqual(it.traffic.undelivered_total, 0)


class HandshakeTests(WsTestCase):
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

    def test_the_log(self) -> None:
        """What a client does wrong is no line of it, as there might be any number of them; a fault of ours is one."""
        lines: list[Any] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        it = self.talk()
        it.say(it.handshake("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=" + "9" * 9000))
        self.talk("/ws/other").say(it.handshake())
        self.talk().open().say(client_frame(b"a", mask=None))
        it = self.talk()
        it.say(it.handshake()[:40])
        it.clock.pump([1] * 7)
        self.assertEqual(lines, [])
        it = self.talk()
        it.factory.paths = None
        self.refused(it, it.handshake(), 500, "bad_request")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_any_other_path_is_404(self) -> None:
        """The body names the paths that there are."""
        it = self.talk("/ws/other")
        self.assertIn(b"/ws/publish", self.refused(it, it.handshake(), 404, "not_found"))

    def test_parameters_belong_to_the_path(self) -> None:
        """What begins with a semicolon makes it another one; a query does not."""
        it = self.talk("/ws/publish;a=b")
        self.refused(it, it.handshake(), 404, "not_found")
        self.talk("/ws/publish?a=b;c").open()

    def test_a_page_of_another_host_is_403(self) -> None:
        """The body names the option that would admit it."""
        it = self.talk()
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
            it = self.talk()
            self.refused(it, it.handshake(*lines), 403, "forbidden_origin")
            self.talk(allow_origin=("*",)).open(*lines)
        self.talk(allow_origin=("null",)).open("Origin: null")

    def test_a_page_of_the_same_host_is_served(self) -> None:
        """Whatever its port."""
        self.talk().open("Origin: http://queue.example:3000")

    def test_an_allowed_page_is_served(self) -> None:
        """The operator named it."""
        self.talk(allow_origin=("http://good.example",)).open("Origin: http://good.example")

    def test_no_subprotocol_is_needed_and_one_is_ignored(self) -> None:
        """A client that offers a subprotocol is served without one."""
        it = self.talk()
        answer = it.say(it.handshake("Sec-WebSocket-Protocol: chat"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 101"))
        self.assertNotIn(b"Sec-WebSocket-Protocol", answer)

    def test_what_is_not_http(self) -> None:
        """Bytes that are no request get 400."""
        it = self.talk()
        self.refused(it, b"\x16\x03\x01\x02\x00 hello\r\n\r\n", 400, "bad_request")

    def test_malformed_headers(self) -> None:
        """A line that one reader takes for a field and another does not is refused before anybody reads it."""
        for line in ("X : a", " X: a", "X: a\nOrigin: null", "X: \0", "no colon"):
            it = self.talk()
            self.refused(it, it.handshake(line), 400, "bad_request")

    def test_a_handshake_has_no_body(self) -> None:
        """Its bytes would be taken for frames."""
        for line in ("Content-Length: 6", "Transfer-Encoding: chunked"):
            it = self.talk()
            self.refused(it, it.handshake(line) + client_frame(b"a"), 400, "bad_request")
            self.assertEqual(it.queue.depth, 0)
        self.talk().open("Content-Length: 0")

    def test_an_empty_line_before_the_request(self) -> None:
        """It is ignored (RFC 7230, section 3.5), in whatever pieces it comes."""
        it = self.talk()
        self.assertTrue(it.say(b"\r\n" + it.handshake()).startswith(b"HTTP/1.1 101"))
        it = self.talk()
        answer = b"".join(it.say(bytes((byte,))) for byte in b"\r\n" + it.handshake())
        self.assertTrue(answer.startswith(b"HTTP/1.1 101"))

    def test_another_method_is_405(self) -> None:
        """The answer names the one that there is."""
        it = self.talk()
        self.refused(it, it.handshake().replace(b"GET", b"POST"), 405, "bad_request")
        self.assertIn(b"\r\nAllow: GET\r\n", it.written())

    def test_a_plain_get_is_426(self) -> None:
        """A browser that opens the address is told to upgrade, and to what."""
        it = self.talk()
        self.refused(it, b"GET /ws/publish HTTP/1.1\r\nHost: a\r\n\r\n", 426, "bad_request")
        self.assertIn(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", it.written())
        self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n", it.written())

    def test_a_plain_get_of_another_path_is_404(self) -> None:
        """There is nothing to upgrade."""
        it = self.talk()
        self.refused(it, b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found")

    def test_only_the_standard_version(self) -> None:
        """Drafts of the protocol are refused with the version that is spoken."""
        it = self.talk()
        self.refused(it, it.handshake().replace(b"Version: 13", b"Version: 8"), 400, "bad_request")
        self.assertIn(b"Sec-WebSocket-Version: 13", it.written())

    def test_a_header_without_end_is_bounded(self) -> None:
        """More than 16 KiB of header are refused, not gathered."""
        it = self.talk()
        it.say(b"GET / HTTP/1.1\r\n")
        self.refused(it, b"X-Filler: " + b"x" * 16384, 431, "header_too_large")

    def test_half_a_handshake_is_closed_by_a_timeout(self) -> None:
        """Who does not finish the request in five seconds is cut, and counted."""
        it = self.talk()
        it.say(it.handshake()[:40])
        it.clock.pump([1] * 7)
        self.assertEqual(it.transport.events[-1], "abort")
        self.assertEqual(it.traffic.refused_total["timeout"], 1)

    def test_bad_bytes_in_a_reason_do_not_reach_the_answer(self) -> None:
        """What a client put in its request cannot add header lines to the answer."""
        it = self.talk()
        self.refused(it, "GET / HTTP/\u2028\x85X-Evil:1\r\nHost: a\r\n\r\n".encode(), 505, "bad_request")
        self.assertNotIn(b"\nX-Evil", it.written())


class FaultTests(WsTestCase):
    """Frames that break the rules: the right close code, and the messages before them answered."""

    def closes(self, data: bytes, code: int, reason: str = "bad_request", **options: object) -> None:
        """A good message, then `data`: ok, then Close with `code`; the message is kept, nothing after it is."""
        it = self.talk(**options).open()
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
        it = self.talk().open()
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
        it = self.talk().open()
        it.say(client_frame(b"\xff", TEXT))
        it.say(close_frame(1007))
        for _ in range(100):
            it.protocol.dataReceived(client_frame(b"x" * 900))
        self.assertLess(len(it.protocol.data), 1000)
        self.assertEqual(it.queue.depth, 0)

    def test_a_peer_that_does_not_answer_our_close_is_cut(self) -> None:
        """After five seconds."""
        it = self.talk().open()
        it.say(client_frame(b"\xff", TEXT))
        it.clock.pump([1] * 7)
        self.assertEqual(it.transport.events[-1], "abort")


class CloseTests(WsTestCase):
    """The end of a connection."""

    def test_close_is_echoed_after_the_answers(self) -> None:
        """The code comes back, behind the answers; then our half is closed, and the peer's end awaited."""
        it = self.talk().open()
        frames = it.frames(client_frame(b"a") + close_frame(3001))
        self.assertEqual((frames[0], close_of(frames)), (OK, 3001))
        self.assertEqual(it.transport.events[-1], "half-close")
        it.protocol.readConnectionLost()
        self.assertEqual(it.transport.events[-1], "close")

    def test_a_peer_that_never_ends_is_cut(self) -> None:
        """The wait after the closing handshake is bounded."""
        it = self.talk().open()
        it.say(close_frame())
        it.clock.advance(6)
        self.assertEqual(it.transport.events[-1], "abort")

    def test_the_timer_goes_with_the_connection(self) -> None:
        """Nothing is left to fire."""
        it = self.talk().open()
        it.say(close_frame())
        it.lose()
        it.clock.pump([10] * 20)
        self.assertEqual(it.transport.events[-1], "half-close")
        self.assertEqual(it.factory.connections, set())
        it = self.talk().open()
        it.say(client_frame(b"a", 3))
        it.lose()
        self.assertEqual(it.clock.getDelayedCalls(), [], "nobody waits for the peer's Close")

    def test_without_half_close_the_connection_is_closed(self) -> None:
        """TLS has its own closing handshake."""
        it = self.talk()
        it.transport.loseWriteConnection = None
        it.open().say(close_frame())
        self.assertEqual(it.transport.events[-1], "close")

    def test_a_half_closed_peer_gets_its_answers(self) -> None:
        """A client that ends its side without a Close is answered, then the connection is closed."""
        it = self.talk().open()
        self.assertTrue(verifyObject(IHalfCloseableProtocol, it.protocol))
        self.assertEqual(it.frames(client_frame(b"a")), [OK])
        it.protocol.readConnectionLost()
        it.protocol.writeConnectionLost()
        self.assertEqual(it.transport.events[-1], "close")

    def test_silence_is_pinged_and_then_cut(self) -> None:
        """A ping every 25 s; without a pong for 50 s the peer is gone. A pong keeps the connection."""
        it = self.talk().open()
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


class BoundTests(WsTestCase):
    """What one connection may do to the others: floods, silence, endless headers."""

    def test_a_flood_of_pings_ends_with_1008(self) -> None:
        """A thousand pings within a second are answered; one more is not, and the message behind it is not taken."""
        it = self.talk().open()
        frames = it.frames(client_frame(b"a") + client_frame(b"?", PING) * 1001 + client_frame(b"late"))
        self.assertEqual((frames.count((PONG, b"?")), frames.count(OK)), (1000, 1))
        self.assertEqual((close_of(frames), len(frames)), (1008, 1002))
        self.assertEqual(it.traffic.refused_total["flood"], 1)
        self.assertEqual(it.queue.dequeue_many(9), [b"a"])
        self.assertEqual(it.transport.events[-1], "half-close")

    def test_the_rest_of_a_flood_is_not_read(self) -> None:
        """What comes after our Close is discarded as it is."""
        it = self.talk().open()
        it.say(client_frame(b"?", PING) * 1001)
        it.protocol.processData = lambda: self.fail("it was read")
        self.assertEqual(it.say(client_frame(b"?", PING) * 1000), b"")

    def test_pings_with_time_between_them_are_no_flood(self) -> None:
        """A thousand a second may go on for ever."""
        it = self.talk().open()
        for _ in range(3):
            self.assertEqual(it.frames(client_frame(b"?", PING) * 1000), [(PONG, b"?")] * 1000)
            it.clock.advance(1.01)

    def test_pings_with_messages_between_them_are_no_flood(self) -> None:
        """Each message lets a thousand more pass."""
        it = self.talk().open()
        for _ in range(3):
            self.assertEqual(len(it.frames(client_frame(b"?", PING) * 600 + client_frame(b"a"))), 601)
        it = self.talk(queue=MessageQueue(2000)).open()
        self.assertEqual(len(it.frames((client_frame(b"?", PING) + client_frame(b"a")) * 1200)), 2400)

    def test_empty_fragments_are_bounded(self) -> None:
        """They bring a message no nearer to the limit of its length, but each is kept."""
        it = self.talk().open()
        fragments = client_frame(b"", TEXT, first=0) + client_frame(b"", 0, first=0) * 998
        self.assertEqual(it.frames(fragments + client_frame(b"end", 0)), [OK])
        frames = it.frames(fragments + client_frame(b"", 0, first=0) * 2)
        self.assertEqual(close_of(frames), 1008)
        self.assertEqual(it.traffic.refused_total["flood"], 1)
        self.assertEqual(it.queue.dequeue_many(9), [b"end"])

    def test_others_get_their_turn(self) -> None:
        """A read of many frames is parsed in slices; then nothing more is read before the loop was at the others."""
        it = self.talk(queue=MessageQueue(2000)).open()
        it.transport.clear()
        it.protocol.dataReceived((client_frame(b"?", PING) * 2 + client_frame(b"a")) * 600 + client_frame(b"!", PING))
        self.assertEqual(it.transport.producerState, "paused")
        self.assertLess(len(server_frames(it.written())), 1600)
        turns = 0
        while it.transport.producerState == "paused":
            it.clock.advance(0)
            turns += 1
        frames = server_frames(it.written())
        self.assertEqual((frames.count(OK), frames.count((PONG, b"?")), frames.count((PONG, b"!"))), (600, 1200, 1))
        self.assertGreater(turns, 0)

    def test_no_turn_is_left(self) -> None:
        """It goes with the connection."""
        it = self.talk().open()
        it.protocol.dataReceived((client_frame(b"?", PING) * 2 + client_frame(b"a")) * 600)
        it.lose()
        self.assertEqual(it.clock.getDelayedCalls(), [])

    def test_what_was_received_goes_with_the_connection(self) -> None:
        """A connection that has ended is held by its own circles; half a message is not."""
        for half in (
            client_frame(b"x" * 900)[:800],
            client_frame(b"x" * 900, TEXT)[:800],
            client_frame(b"x" * 900, first=0),
            client_frame(b"x" * 450, first=0) + client_frame(b"x" * 450, 0)[:300],
            client_frame(b"x" * 900)[:5],
        ):
            it = self.talk().open()
            it.say(half)
            it.lose()
            protocol = it.protocol
            kept = (protocol.data, protocol.message_data, protocol.frame_data, getattr(protocol, "_parts", []))
            self.assertEqual([len(one) for one in kept], [0] * 4)

    def test_the_head_is_forgotten(self) -> None:
        """Nobody looks at it again."""
        it = self.talk().open("X-Long: " + "x" * 10_000)
        self.assertEqual((it.protocol.http_headers, it.protocol.http_request_data), ({}, b""))
        self.assertEqual(it.frames(client_frame(b"a")), [OK])

    def test_fragments_are_joined(self) -> None:
        """An object for each byte would cost fifty times as much."""
        it = self.talk(max_message_bytes=10_000).open()
        it.say(client_frame(b"", first=0) + client_frame(b"x", 0, first=0) * 8999)
        self.assertLess(len(it.protocol.message_data), 1100)
        self.assertEqual(it.frames(client_frame(b"end", 0)), [OK])
        self.assertEqual(it.queue.dequeue(), b"x" * 8999 + b"end")

    def test_a_frame_that_comes_byte_by_byte_is_joined(self) -> None:
        """Likewise, where each read is a byte; text and bytes."""
        for opcode in (TEXT, BINARY):
            it = self.talk(max_message_bytes=10_000).open()
            frame = client_frame(b"".join(b"%4d" % at for at in range(2400)), opcode)
            for byte in frame[:-1]:
                it.protocol.dataReceived(bytes((byte,)))
            pieces = [*getattr(it.protocol, "frame_data", []), *getattr(it.protocol, "_parts", [])]
            self.assertTrue(0 < len(pieces) < 1100, len(pieces))
            self.assertEqual(it.frames(frame[-1:]), [OK])
            self.assertEqual(it.queue.dequeue(), b"".join(b"%4d" % at for at in range(2400)))

    def test_many_fragments_are_not(self) -> None:
        """A message may be sent byte by byte."""
        it = self.talk().open()
        fragments = client_frame(b"x", first=0) + client_frame(b"x", 0, first=0) * 998 + client_frame(b"x", 0)
        self.assertEqual(it.frames(fragments), [OK])
        self.assertEqual(it.queue.dequeue(), b"x" * 1000)

    def test_idle_connections_are_closed(self) -> None:
        """Without a message for --idle-seconds, pings or not: Close 1001, at most a quarter late."""
        it = self.talk(idle_seconds=20.0).open()
        for _ in range(19):
            it.say(client_frame(b"?", PING))
            it.clock.advance(1)
        it.transport.clear()
        it.clock.pump([1] * 6)
        self.assertEqual(server_frames(it.written()), [(CLOSE, b"\x03\xe9no message for 20 s")])
        self.assertEqual(it.traffic.refused_total["idle"], 1)

    def test_a_message_keeps_a_connection(self) -> None:
        """From the last one on, the time counts anew."""
        it = self.talk(idle_seconds=20.0).open()
        for _ in range(5):
            it.clock.pump([1] * 14)
            self.assertEqual(it.frames(client_frame(b"a")), [OK])

    def test_one_that_waits_for_its_answer_is_not_idle(self) -> None:
        """It is the server that it waits for."""
        queue = LateQueue()
        it = self.talk(queue=queue, idle_seconds=2.0).open()
        it.say(client_frame(b"a"))
        it.clock.pump([1] * 10)
        queue.answer()
        self.assertEqual(server_frames(it.written()), [OK])

    def test_no_idle_timer_is_left(self) -> None:
        """It goes with the connection, and ends after a Close."""
        it = self.talk(idle_seconds=20.0).open()
        it.lose()
        self.assertEqual(it.clock.getDelayedCalls(), [])
        it = self.talk(idle_seconds=4.0).open()
        it.say(close_frame())
        it.clock.advance(1)
        self.assertEqual(it.traffic.refused_total["idle"], 0)

    def test_the_handshakes_time_is_an_option(self) -> None:
        """--handshake-seconds; 0 is no such bound."""
        it = self.talk(handshake_seconds=20.0)
        it.clock.pump([1] * 19)
        self.assertEqual(it.transport.events, [])
        it.clock.pump([1] * 2)
        self.assertEqual(it.transport.events[-1], "abort")
        it = self.talk(handshake_seconds=0.0)
        it.clock.pump([10] * 100)
        self.assertEqual(it.transport.events, [])

    def test_the_headers_length_is_an_option(self) -> None:
        """--max-header-bytes, for a header that ends and for one that does not."""
        for end in ("", "\r\n\r\n"):
            it = self.talk(max_header_bytes=1024)
            answer = it.say(it.handshake("X-Filler: " + "x" * 1024)[: None if end else -4])
            self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer)
