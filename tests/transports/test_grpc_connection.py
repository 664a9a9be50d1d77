"""The native gRPC server's connection in memory: its beginning, its keepalive, its bounds and its end."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.transports.grpc_conversation import (
    ACK,
    CHECK,
    CONSUME,
    DATA,
    END_STREAM,
    GOAWAY,
    NO_ERROR,
    NOTHING,
    PING,
    PREFACE,
    PRODUCE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    STREAM,
    WATCH,
    GrpcConversation,
    exchange,
    frame,
    frames_of,
    produce,
)

UNAVAILABLE, RESOURCE_EXHAUSTED = 14, 8

HTTP1 = b"GET / HTTP/1.1\r\nHost: queue.example\r\n\r\n"


class BeginningTests(SynchronousTestCase):
    """The preface, and what is none."""

    def test_interfaces(self) -> None:
        """A protocol that may be half-closed, and its transport's producer."""
        it = GrpcConversation()
        self.assertTrue(verifyObject(IHalfCloseableProtocol, it.protocol))
        self.assertTrue(verifyObject(IPushProducer, it.protocol))
        self.assertIs(it.transport.producer, it.protocol)
        self.assertEqual(it.transport.events, ["nodelay"])

    def test_settings_come_with_the_preface(self) -> None:
        """SETTINGS first, and the acknowledgement of the client's."""
        it = GrpcConversation(max_streams=17)
        it.protocol.dataReceived(PREFACE + frame(SETTINGS, 0, 0))
        kinds = [(kind, flags) for kind, flags, _, _ in frames_of(it.written())]
        self.assertEqual(kinds[0], (SETTINGS, 0))
        self.assertIn((SETTINGS, ACK), kinds)
        self.assertIn(b"\x00\x03\x00\x00\x00\x11", it.written())

    def test_cut_at_every_byte(self) -> None:
        """Preface, SETTINGS and a request, byte by byte, mean the same."""
        it = GrpcConversation()
        for byte in PREFACE + frame(SETTINGS, 0, 0) + it.request(PRODUCE, produce(b"a")):
            it.say(bytes((byte,)))
        self.assertEqual(it.responses[1].status, 0)
        self.assertEqual(it.queue.dequeue(), b"a")

    def test_all_in_one_read(self) -> None:
        """The preface and a request behind it."""
        it = GrpcConversation()
        it.say(PREFACE + frame(SETTINGS, 0, 0) + it.request(PRODUCE, produce(b"a")))
        self.assertEqual(it.responses[1].status, 0)

    def test_a_client_that_never_begins(self) -> None:
        """It is cut after handshake_seconds, and counted."""
        for said in (b"", PREFACE[:10]):
            it = GrpcConversation(handshake_seconds=5.0)
            it.say(said)
            it.advance(4.9)
            self.assertEqual(it.transport.events, ["nodelay"])
            it.advance(0.2)
            self.assertEqual(it.transport.events, ["nodelay", "abort"])
            self.assertEqual(it.refused["timeout"], 1)
            it.lose()
            self.assertEqual(it.clock.getDelayedCalls(), [])

    def test_no_such_bound(self) -> None:
        """handshake_seconds of 0: it may take for ever."""
        it = GrpcConversation(handshake_seconds=0.0)
        it.advance(10_000)
        it.open()
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, 0)

    def test_http1_gets_an_answer(self) -> None:
        """400 with a body that says what this port is, then the end; nothing of HTTP/2."""
        it = GrpcConversation()
        it.protocol.dataReceived(HTTP1)
        answer = it.written()
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d\r\n" % len(body), head + b"\r\n")
        self.assertIn(b"HTTP/2", body)
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        self.assertEqual(it.refused["bad_request"], 1)

    def test_http1_in_pieces(self) -> None:
        """Likewise, wherever its first line is cut; methods that begin like the preface too."""
        for method in (b"GET", b"POST", b"PRI", b"OPTIONS"):
            request = method + HTTP1[3:]
            for at in range(1, len(request)):
                it = GrpcConversation()
                it.protocol.dataReceived(request[:at])
                it.protocol.dataReceived(request[at:])
                self.assertTrue(it.written().startswith(b"HTTP/1.1 400"), (method, at, it.written()))

    def test_http1_that_stays(self) -> None:
        """What it says more is not read, and it is cut after a while; that is no second refusal."""
        it = GrpcConversation(handshake_seconds=3.0)
        it.protocol.dataReceived(HTTP1)
        it.transport.clear()
        it.say(HTTP1)
        self.assertEqual(it.written(), b"")
        it.advance(60)
        self.assertEqual(it.transport.events, ["nodelay", "half-close", "abort"])
        self.assertEqual((it.refused["bad_request"], it.refused["timeout"]), (1, 0))

    def test_garbage(self) -> None:
        """GOAWAY with PROTOCOL_ERROR, and the end."""
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\x00" * 40, b"hello world, this is nothing\r\n"):
            it = GrpcConversation()
            it.say(garbage)
            [(last, code, _)] = it.goaways()
            self.assertEqual((last, code), (0, PROTOCOL_ERROR))
            self.assertEqual(it.transport.events, ["nodelay", "half-close"])
            self.assertEqual(it.refused["bad_request"], 1)

    def test_what_only_begins_like_http1(self) -> None:
        """GOAWAY too, once the first line is complete or too long for one (RFC 9113, section 3.4)."""
        for opening in (
            b"INVALID CONNECTION PREFACE\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx",
            b"GET /HTTP/1.1\r\n",
            b"GET  HTTP/1.1\r\n",
            b"GET /\r\n",
            b"GET\r\n",
            b"METHODSTHATARETOOLONG / HTTP/1.1\r\n",
            b"GET /" + b"a" * 8000,
        ):
            for at in range(1, min(len(opening), 30)):
                it = GrpcConversation()
                it.say(opening[:at])
                it.say(opening[at:])
                [(last, code, _)] = it.goaways()
                self.assertEqual((last, code), (0, PROTOCOL_ERROR), (opening, at))
                self.assertEqual(it.transport.events, ["nodelay", "half-close"])
                self.assertEqual(it.refused["bad_request"], 1)

    def test_a_first_line_that_does_not_end(self) -> None:
        """It is waited for, as long as a handshake may take."""
        it = GrpcConversation(handshake_seconds=3.0)
        it.say(b"GET /" + b"a" * 7000)
        self.assertEqual((it.transport.events, it.written()), (["nodelay"], b""))
        it.advance(3)
        self.assertEqual(it.transport.events, ["nodelay", "abort"])
        self.assertEqual(it.refused["timeout"], 1)

    def test_http2_that_is_no_grpc(self) -> None:
        """415 with a line of text, and the connection lives."""
        it = GrpcConversation().open()
        for fields in ((":method", "GET"),), (("content-type", "application/json"),):
            it.say(it.head("/", *fields, flags=END_STREAM))
            response = it.responses[it.last_stream]
            if not response.is_ended:
                it.advance(1)
            self.assertEqual(response.blocks[0][":status"], "415")
            self.assertEqual(response.blocks[0]["content-length"], str(len(response.body)))
            self.assertIn(b"gRPC", response.body)
            self.assertTrue(response.is_ended)
        self.assertEqual(it.refused["bad_request"], 2)
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, 0)


class KeepaliveTests(SynchronousTestCase):
    """Dead peers, and idle ones."""

    def test_a_silent_peer(self) -> None:
        """A PING after 25 s, cut after 50 s without a sign of life."""
        it = GrpcConversation().open()
        it.advance(24.9)
        self.assertEqual(it.pings(), [])
        it.advance(0.2)
        self.assertEqual(len(it.pings()), 1)
        it.advance(24.8)
        self.assertEqual(it.transport.events, ["nodelay"])
        it.advance(0.3)
        self.assertEqual(it.transport.events, ["nodelay", "abort"])
        self.assertEqual(it.refused["timeout"], 1)

    def test_a_peer_that_answers(self) -> None:
        """It may be silent for ever."""
        it = GrpcConversation().open()
        for _ in range(20):
            it.advance(25)
            it.answer_pings()
        self.assertEqual(it.transport.events, ["nodelay"])
        self.assertEqual(it.refused["timeout"], 0)

    def test_a_peer_that_talks_is_not_asked(self) -> None:
        """Requests are signs of life."""
        it = GrpcConversation().open()
        for _ in range(20):
            it.advance(10)
            it.call(PRODUCE, produce(b"a"))
        self.assertEqual(it.pings(), [])

    def test_a_peer_that_we_do_not_read(self) -> None:
        """While its answers wait it cannot be heard, so it is not cut."""
        it = GrpcConversation().open()
        it.protocol.pauseProducing()
        it.advance(25)
        it.advance(25)
        it.advance(25)
        self.assertEqual(it.transport.events, ["nodelay"])

    def test_the_clients_own_pings(self) -> None:
        """Are answered with their bytes."""
        it = GrpcConversation().open()
        it.say(frame(PING, 0, 0, b"12345678"))
        self.assertEqual(it.frames, [(PING, ACK, 0, b"12345678")])

    def test_idle(self) -> None:
        """A connection without a request for idle_seconds is told GOAWAY and closed."""
        it = GrpcConversation(idle_seconds=60.0).open()
        it.call(PRODUCE, produce(b"a"))
        for _ in range(6):
            it.advance(20)
            it.answer_pings()
        self.assertEqual(it.refused["idle"], 1)
        self.assertEqual([(last, code) for last, code, _ in it.goaways()], [(1, NO_ERROR)])
        self.assertIn("half-close", it.transport.events)

    def test_idle_counts_from_the_beginning(self) -> None:
        """A connection that has made no request yet has idle_seconds as well, not less."""
        it = GrpcConversation(idle_seconds=100.0).open()
        for _ in range(9):
            it.advance(10)
            it.answer_pings()
        self.assertEqual(it.refused["idle"], 0)
        self.assertEqual(it.transport.events, ["nodelay"])
        for _ in range(5):
            it.advance(25)
            it.answer_pings()
        self.assertEqual(it.refused["idle"], 1)

    def test_short_idle_seconds(self) -> None:
        """Below the keepalive's own time they hold as well."""
        it = GrpcConversation(idle_seconds=4.0).open()
        it.advance(3.9)
        self.assertEqual(it.refused["idle"], 0)
        it.advance(4)
        it.advance(4)
        self.assertEqual(it.refused["idle"], 1)

    def test_an_open_stream_is_not_idle(self) -> None:
        """It waits for its peer, and may."""
        it = GrpcConversation("grpc_stream", idle_seconds=10.0).open()
        it.begin(STREAM)
        for _ in range(10):
            it.advance(10)
            it.answer_pings()
        self.assertEqual(it.refused["idle"], 0)


class BoundTests(SynchronousTestCase):
    """What one connection may ask."""

    def test_too_many_streams(self) -> None:
        """REFUSED_STREAM for what is over max_streams; the others live."""
        it = GrpcConversation("grpc_stream", max_streams=2).open()
        first, second, third = (it.begin(STREAM) for _ in range(3))
        self.assertEqual((first.reset, second.reset, third.reset), (None, None, REFUSED_STREAM))
        self.assertEqual(it.refused["too_many_streams"], 1)
        it.send(exchange(b"a"), stream=1, end=True)
        self.assertEqual((first.payloads, first.status), ([b"a"], 0))
        fourth = it.begin(STREAM)
        it.send(exchange(b"b"), end=True)
        self.assertEqual((fourth.payloads, fourth.status), ([b"b"], 0))

    def test_complete_requests_count_as_well(self) -> None:
        """Those of one read are open together, as none has its answer when the next one comes; not those of two."""
        it = GrpcConversation(max_streams=20).open()
        for _ in range(3):
            it.say(b"".join(it.request(PRODUCE, produce(b"a")) for _ in range(20)))
        self.assertEqual([response.status for response in it.responses.values()], [0] * 60)
        self.assertEqual((it.queue.depth, it.refused["too_many_streams"]), (60, 0))

    def test_long_metadata(self) -> None:
        """RESOURCE_EXHAUSTED for the call, which names the option; the connection lives."""
        it = GrpcConversation(max_header_bytes=1024).open()
        response = it.call(PRODUCE, produce(b"a"), ("x-long", "y" * 1024))
        it.advance(1)
        self.assertEqual(response.status, RESOURCE_EXHAUSTED)
        self.assertIn("--max-header-bytes", response.text)
        self.assertEqual(it.refused["header_too_large"], 1)
        self.assertEqual(it.call(PRODUCE, produce(b"a"), ("x-short", "y" * 500)).status, 0)

    def test_partial_messages_of_many_streams(self) -> None:
        """Above max_inflight_bytes the call that brings more is refused; the others go on."""
        bounds = {"max_inflight_bytes": 200_000, "max_message_bytes": 100_000, "max_batch_bytes": 65_536}
        it = GrpcConversation("grpc", **bounds).open()
        body = produce(b"x" * 90_000)
        for stream in (1, 3, 5):
            it.begin(PRODUCE)
            it.send(body[:80_000], stream=stream)
        self.assertEqual([it.responses[stream].status for stream in (1, 3, 5)], [None, None, RESOURCE_EXHAUSTED])
        self.assertIn("--max-inflight-bytes", it.responses[5].text)
        self.assertEqual(it.refused["message_too_large"], 1)
        it.send(body[80_000:], stream=1, end=True)
        it.begin(PRODUCE)
        it.send(body[:80_000])  # room for it: what had come for the refused call is forgotten
        for stream in (3, 7):
            it.send(body[80_000:], stream=stream, end=True)
        self.assertEqual([it.responses[stream].status for stream in (1, 3, 7)], [0, 0, 0])
        self.assertEqual(it.queue.depth, 3)

    def test_bytes_are_counted(self) -> None:
        """In and out, as they are on the wire, and connections."""
        it = GrpcConversation()
        request = PREFACE + frame(SETTINGS, 0, 0) + it.request(PRODUCE, produce(b"a"))
        it.protocol.dataReceived(request)
        counts = it.traffic.of("grpc")
        self.assertEqual((counts.received_bytes, counts.sent_bytes), (len(request), len(it.written())))
        self.assertEqual((counts.connections_open, counts.connections_total), (1, 1))
        it.lose()
        self.assertEqual((counts.connections_open, counts.connections_total), (0, 1))

    def test_a_fault_ends_the_connection(self) -> None:
        """GOAWAY says what it was; what had been asked before is answered."""
        it = GrpcConversation().open()
        it.say(it.request(PRODUCE, produce(b"a")) + frame(DATA, 0, 0, b"on no stream"))
        self.assertEqual(it.responses[1].status, 0)
        [(last, code, _)] = it.goaways()
        self.assertEqual((last, code), (1, PROTOCOL_ERROR))
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        it.say(it.request(PRODUCE, produce(b"b")))
        self.assertEqual(it.queue.depth, 1)

    def test_a_flood_is_counted_as_one(self) -> None:
        """ENHANCE_YOUR_CALM."""
        it = GrpcConversation().open()
        it.say(frame(PING, 0, 0, bytes(8)) * 2000)
        [(_, code, words)] = it.goaways()
        self.assertEqual(code, 11)
        self.assertIn(b"flood", words)
        self.assertEqual(it.refused["flood"], 1)


class DrainTests(SynchronousTestCase):
    """The orderly end."""

    def drained(self, it: GrpcConversation) -> list:
        """Begin a drain; the list gets an entry when it is over."""
        over: list[None] = []
        it.factory.drain(8.0).addCallback(over.append)
        it.read()
        return over

    def test_nobody_is_there(self) -> None:
        """It is over at once."""
        it = GrpcConversation()
        it.lose()
        self.assertEqual(self.drained(it), [None])

    def test_two_goaways(self) -> None:
        """The first takes what is on its way, the second says what was taken, after the answer to a PING."""
        it = GrpcConversation().open()
        over = self.drained(it)
        self.assertEqual(it.goaways(), [(2**31 - 1, NO_ERROR, b"")])
        self.assertEqual(it.call(PRODUCE, produce(b"a")).status, 0)
        self.assertEqual(it.transport.events, ["nodelay"])
        it.answer_pings()
        self.assertEqual([last for last, _, _ in it.goaways()], [2**31 - 1, 1])
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        self.assertEqual(over, [])
        it.protocol.readConnectionLost()
        it.lose()
        self.assertEqual(over, [None])
        self.assertEqual(it.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_answer_the_ping(self) -> None:
        """The second GOAWAY comes after a second."""
        it = GrpcConversation().open()
        self.drained(it)
        it.advance(0.9)
        self.assertEqual(len(it.goaways()), 1)
        it.advance(0.2)
        self.assertEqual(len(it.goaways()), 2)

    def test_a_peer_that_stays(self) -> None:
        """Cut at the deadline at the latest."""
        it = GrpcConversation().open()
        over = self.drained(it)
        it.advance(1)
        it.advance(8)
        self.assertIn("abort", it.transport.events)
        it.lose()
        self.assertEqual(over, [None])

    def test_after_the_second_goaway_nothing_is_taken(self) -> None:
        """The client may try it elsewhere: it was told which was the last."""
        it = GrpcConversation().open()
        waiting = it.begin(PRODUCE)
        self.drained(it)
        it.answer_pings()
        it.say(it.request(PRODUCE, produce(b"late")))
        self.assertEqual(it.queue.depth, 0)
        it.send(produce(b"in time"), stream=1, end=True)
        self.assertEqual(waiting.status, 0)
        self.assertEqual(it.queue.depth, 1)
        self.assertIn("half-close", it.transport.events)

    def test_streams_end(self) -> None:
        """UNAVAILABLE, behind their answers; new ones that come between the GOAWAYs likewise."""
        it = GrpcConversation("grpc_stream").open()
        first = it.begin(STREAM)
        it.send(exchange(b"a"))
        self.drained(it)
        it.send(exchange(b"b"))
        self.assertEqual((first.payloads, first.status), ([b"a", b"b"], None))
        second = it.call(STREAM, exchange(b"c"))
        it.answer_pings()
        it.advance(0.1)
        for response in (first, second):
            self.assertEqual((response.status, response.text), (UNAVAILABLE, "server is draining"))
        self.assertEqual(it.queue.depth, 0)

    def test_watchers_are_told_first(self) -> None:
        """NOT_SERVING, then UNAVAILABLE; Check says NOT_SERVING between the GOAWAYs."""
        it = GrpcConversation().open()
        watch = it.begin(WATCH)
        it.send(NOTHING, end=True)
        self.assertEqual(watch.messages, [b"\x08\x01"])
        self.drained(it)
        self.assertEqual(watch.messages, [b"\x08\x01", b"\x08\x02"])
        self.assertEqual(it.call(CHECK, NOTHING).messages, [b"\x08\x02"])
        it.answer_pings()
        self.assertEqual((watch.status, watch.text), (UNAVAILABLE, "server is draining"))
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])

    def test_before_the_preface(self) -> None:
        """A connection that has not begun is closed."""
        it = GrpcConversation(handshake_seconds=2.0)
        self.drained(it)
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        it.advance(10)
        self.assertEqual(it.refused["timeout"], 0)

    def test_a_slow_reader_is_awaited(self) -> None:
        """While our half is not out it is the stall's time that counts; then the peer has five seconds to end."""
        it = GrpcConversation(stall_seconds=30.0).open()
        self.drained(it)
        it.answer_pings()
        it.factory.connections.clear()  # the drain's own deadline is not what this is about
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        it.advance(20)
        self.assertNotIn("abort", it.transport.events)
        it.protocol.writeConnectionLost()
        it.advance(4.9)
        self.assertNotIn("abort", it.transport.events)
        it.advance(0.2)
        self.assertEqual(it.transport.events, ["nodelay", "half-close", "abort"])

    def test_twice(self) -> None:
        """The second drain of a connection changes nothing."""
        it = GrpcConversation().open()
        self.drained(it)
        it.protocol.drain(8.0)
        it.read()
        self.assertEqual(len(it.goaways()), 1)

    def test_answers_that_wait_for_a_window_go_first(self) -> None:
        """The connection closes when the peer has taken them."""
        it = GrpcConversation().open()
        it.queue.enqueue(bytes(100_000))
        response = it.call(CONSUME, NOTHING)
        self.drained(it)
        it.answer_pings()
        self.assertEqual(it.transport.events, ["nodelay"])
        it.window(200_000)
        it.window(200_000, stream=1)
        self.assertEqual(response.payloads, [bytes(100_000)])
        self.assertEqual(it.transport.events, ["nodelay", "half-close"])
        self.assertEqual(it.undelivered, 0)

    def test_the_peer_goes_away_itself(self) -> None:
        """Its GOAWAY needs no answer; what it asked is answered."""
        it = GrpcConversation().open()
        it.say(it.request(PRODUCE, produce(b"a")) + frame(GOAWAY, 0, 0, bytes(8)))
        self.assertEqual(it.responses[1].status, 0)
        self.assertEqual(it.transport.events, ["nodelay"])

    def test_the_peer_half_closes(self) -> None:
        """It says nothing more: closed in order, behind what was answered."""
        it = GrpcConversation().open()
        it.say(it.request(PRODUCE, produce(b"a")))
        it.protocol.readConnectionLost()
        self.assertEqual(it.responses[1].status, 0)
        self.assertEqual(it.transport.events, ["nodelay", "close"])
        self.assertIsNone(it.transport.producer)
        it.say(it.request(PRODUCE, produce(b"b")))
        self.assertEqual(it.queue.depth, 1)

    def test_abort_all(self) -> None:
        """Cut without a word."""
        it = GrpcConversation().open()
        it.factory.abort_all()
        self.assertEqual(it.transport.events, ["nodelay", "abort"])
