"""WebSocket: /ws/v1, its frames and its end, in both subprotocols. Here by autobahn's reading alone."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import QuickPulseError
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import (
    Action,
    Batch,
    Count,
    Credit,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Publish,
    PublishReply,
    Pull,
    QueuePage,
    ServerInfo,
    Settle,
    SettleReply,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unsubscribe,
)
from quickpulse.settings import Settings
from quickpulse.transports import v1_frames
from quickpulse.transports.v1_session import MOST_OPEN
from quickpulse.transports.websocket import WsFactory
from quickpulse.wire.v1.frames import NO_REQUEST, Encoding, read_reply, write_request
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, Subprotocol
from tests.transports.conversation import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Conversation,
    WsTestCase,
    client_frame,
    close_frame,
    close_of,
    server_frames,
)

BIN, JSON = SUBPROTOCOLS["quickpulse.v1.bin"], SUBPROTOCOLS["quickpulse.v1.json"]


class LateBroker:
    """A broker that answers publishing when the test wants it.

    :param inner: does everything.
    """

    def __init__(self, inner: MemoryBroker) -> None:
        self.inner = inner
        self.waiting: list[tuple[Deferred, Publish]] = []

    def publish(self, request: Publish) -> Deferred:
        """Later."""
        result: Deferred = Deferred()
        self.waiting.append((result, request))
        return result

    def answer(self) -> None:
        """Now."""
        result, request = self.waiting.pop(0)
        result.callback(self.inner.publish(request))

    def __getattr__(self, name: str) -> Any:
        """All else is as it is."""
        return getattr(self.inner, name)


class V1TestCase(WsTestCase):
    """Connections of one subprotocol."""

    subprotocol: Subprotocol = BIN

    def setUp(self) -> None:
        """A server with a broker."""
        self.clock = Clock()
        self.broker: Any = MemoryBroker(self.clock, Broker())
        self.addCleanup(self.broker.close)
        self.traffic = Traffic()
        self.listen()

    def listen(self, **options: Any) -> None:
        """Make the factory; the options are of Settings."""
        settings = Settings(
            "ws", ws_frames=self.ws_frames, **{"max_message_bytes": 1000, "max_batch_bytes": 20_000, **options}
        )
        self.factory = WsFactory(self.clock, MessageQueue(100), self.traffic, settings, self.broker)

    @property
    def encoding(self) -> Encoding:
        """That of the subprotocol."""
        return self.subprotocol.encoding

    @property
    def opcode(self) -> int:
        """Of the subprotocol's messages."""
        return BINARY if self.subprotocol.is_binary else TEXT

    def connect(self) -> Conversation:
        """A connection that is open."""
        return Conversation("/ws/v1", factory=self.factory).open(f"Sec-WebSocket-Protocol: {self.subprotocol.name}")

    def frame(self, request_id: int, request: Any) -> bytes:
        """A message with a request."""
        return client_frame(write_request(request_id, request, self.encoding), self.opcode)

    def replies(self, data: bytes) -> list[tuple[int, Any]]:
        """What a server has sent, up to a Close; each message of the right kind."""
        frames = [each for each in server_frames(data) if each[0] != CLOSE]
        self.assertEqual({opcode for opcode, _ in frames} - {self.opcode, PONG}, set())
        return [read_reply(payload, self.encoding) for opcode, payload in frames if opcode == self.opcode]

    def ask(self, it: Conversation, *requests: Any) -> list[Any]:
        """Send requests, numbered from 1, in one read; their replies in order."""
        data = b"".join(self.frame(request_id, each) for request_id, each in enumerate(requests, 1))
        replies = self.replies(it.say(data))
        self.assertEqual([request_id for request_id, _ in replies], list(range(1, len(requests) + 1)))
        return [reply for _, reply in replies]

    def put(self, *payloads: bytes, queue: str = "q") -> None:
        """Messages of somebody else."""
        self.broker.publish(Publish(queue, Batch(payloads)))


class RequestTests(V1TestCase):
    """Requests and their replies."""

    def test_publish_pull_settle(self) -> None:
        """All in one read: each takes effect before the next, and all replies are one write."""
        it = self.connect()
        writes: list[bytes] = []
        write = it.transport.write
        it.transport.write = lambda data: (writes.append(data), write(data))
        published, pulled = self.ask(it, Publish("q", Batch((b"a", b"\xff"))), Pull(("q",), 5))
        self.assertIsInstance(published, PublishReply)
        self.assertEqual(list(pulled.batch.payloads), [b"a", b"\xff"])
        self.assertEqual(len(writes), 1)
        receipts = [(pulled.first_receipt, pulled.first_receipt + 1)]
        (settled,) = self.ask(it, Settle("q", receipts, Action.ACK))
        self.assertEqual((type(settled), settled.settled), (SettleReply, 2))

    def test_administration(self) -> None:
        """What has no messages in it."""
        it = self.connect()
        self.put(b"a")
        page, info, count = self.ask(it, ListQueues(), GetServerInfo(), DeleteQueue("q"))
        self.assertEqual([each.name for each in page.queues], ["q"])
        self.assertIsInstance(info, ServerInfo)
        self.assertEqual(count, Count(1))

    def test_an_error_of_a_request(self) -> None:
        """It is its reply, and the connection lives."""
        it = self.connect()
        error, published = self.ask(it, GetQueue("none"), Publish("q", Batch((b"a",))))
        self.assertEqual((error.code, type(published)), ("NOT_FOUND", PublishReply))

    def test_a_pull_that_waits(self) -> None:
        """It holds up nobody; its reply comes by itself."""
        it = self.connect()
        replies = self.replies(it.say(self.frame(1, Pull(("q",), wait_ms=5000)) + self.frame(2, ListQueues())))
        self.assertEqual([request_id for request_id, _ in replies], [2])
        it.transport.clear()
        self.put(b"late")
        self.clock.advance(0)
        ((request_id, deliveries),) = self.replies(it.written())
        self.assertEqual((request_id, list(deliveries.batch.payloads)), (1, [b"late"]))

    def test_a_subscription(self) -> None:
        """What comes is pushed as far as there is credit; its end is told."""
        it = self.connect()
        self.assertEqual(self.replies(it.say(self.frame(7, Subscribe("q", 2)))), [(7, Subscribed())])
        it.transport.clear()
        self.put(b"a", b"b", b"c")
        self.clock.advance(0)
        self.assertEqual([(i, list(d.batch.payloads)) for i, d in self.replies(it.written())], [(7, [b"a", b"b"])])
        replies = self.replies(it.say(self.frame(8, Credit(7, 1))))
        self.assertEqual([(i, list(d.batch.payloads)) for i, d in replies], [(7, [b"c"])])
        self.assertEqual(self.replies(it.say(self.frame(9, Unsubscribe(7)))), [(7, SubscriptionEnded())])

    def test_a_broker_that_answers_late(self) -> None:
        """The reply is written when it is there; other requests overtake."""
        self.broker = LateBroker(self.broker)
        self.listen()
        it = self.connect()
        it.say(self.frame(1, Publish("q", Batch((b"a",)))))
        self.ask(it, Pull(("q",)))
        it.transport.clear()
        self.broker.answer()
        self.assertEqual([(i, type(reply)) for i, reply in self.replies(it.written())], [(1, PublishReply)])

    def test_a_reply_that_cannot_be_written(self) -> None:
        """The broker is wrong: its client is told that something is, and the connection lives."""
        it = self.connect()
        self.patch(self.broker, "get_queue", lambda request: object())
        error, page = self.ask(it, GetQueue("q"), ListQueues())
        self.assertEqual((error.code, page), ("QUEUE_UNAVAILABLE", QueuePage([])))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_cut_at_every_byte(self) -> None:
        """However the bytes arrive, the replies are the same."""
        data = self.frame(1, Publish("q", Batch(("grün".encode() * 40,)))) + self.frame(2, Pull(("q",)))
        for cut in range(1, len(data)):
            it = self.connect()
            replies = self.replies(it.say(data[:cut]) + it.say(data[cut:]))
            self.assertEqual([(i, type(reply)) for i, reply in replies], [(1, PublishReply), (2, Deliveries)], cut)

    def test_a_ping_between(self) -> None:
        """It is answered, and so are the frames around it, in fragments or not."""
        it = self.connect()
        payload = write_request(1, ListQueues(), self.encoding)
        cut = client_frame(payload[:2], self.opcode, first=0), client_frame(payload[2:], 0)
        frames = it.frames(cut[0] + client_frame(b"?", PING) + cut[1] + self.frame(2, ListQueues()))
        self.assertEqual([opcode for opcode, _ in frames], [PONG, self.opcode, self.opcode])

    def test_others_have_their_turn(self) -> None:
        """Many frames of one read, or replies that are long, are not served all at once; order holds."""
        self.put(*[b"x" * 500] * 200)
        for requests in ([ListQueues()] * 600, [Pull(("q",), 20, delivery=Delivery.TAKEN)] * 10):
            it = self.connect()
            data = b"".join(self.frame(at, each) for at, each in enumerate(requests, 1))
            self.patch(v1_frames, "GATHERED_BYTES", 20_000)
            it.transport.clear()
            it.protocol.dataReceived(data + self.frame(1000, ListQueues()) + close_frame())
            first = self.replies(it.written())
            self.assertTrue(0 < len(first) < len(requests))
            self.assertEqual(it.transport.producerState, "paused")
            self.clock.advance(0)
            frames = server_frames(it.written())
            ids = [request_id for request_id, _ in self.replies(it.written())]
            self.assertEqual(ids, [*range(1, len(requests) + 1), 1000])
            self.assertEqual(close_of(frames), 1000)

    def test_right_behind_the_handshake(self) -> None:
        """A client that does not wait for the handshake's answer loses nothing."""
        it = Conversation("/ws/v1", factory=self.factory)
        shake = it.handshake(f"Sec-WebSocket-Protocol: {self.subprotocol.name}")
        answer = it.say(shake + self.frame(1, ListQueues()))
        self.assertEqual(self.replies(answer.partition(b"\r\n\r\n")[2]), [(1, QueuePage([]))])


class FaultTests(V1TestCase):
    """What a client must not do."""

    def closes(self, data: bytes, code: int, counted: str = "bad_request") -> list[tuple[int, Any]]:
        """Send it behind a request: that is answered, what is behind is not; the replies."""
        it = self.connect()
        self.put(b"a")
        data = self.frame(1, ListQueues()) + data + self.frame(3, Pull(("q",)))
        answer = it.say(data)
        self.assertEqual(close_of(server_frames(answer)), code)
        self.assertEqual(self.traffic.refused_total[counted], 1)
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)
        replies = self.replies(answer)
        self.assertEqual(replies[0][0], 1)
        it.say(close_frame(code))
        self.assertEqual(it.transport.events[-1], "half-close")
        return replies[1:]

    def test_the_wrong_kind_of_message(self) -> None:
        """Text where binary is spoken, or the other way round: 1003."""
        payload = write_request(2, ListQueues(), self.encoding)
        if self.subprotocol.is_binary:
            self.assertTrue(payload.decode())  # as text it is fine
        self.assertEqual(self.closes(client_frame(payload, TEXT + BINARY - self.opcode), 1003), [])

    def test_the_wrong_kind_in_fragments(self) -> None:
        """The same."""
        other = TEXT + BINARY - self.opcode
        self.assertEqual(self.closes(client_frame(b"{", other, first=0) + client_frame(b"}", 0), 1003), [])

    def test_what_is_no_frame(self) -> None:
        """It is told with request_id 0, then comes 1007."""
        ((request_id, error),) = self.closes(client_frame(b"{\x07", self.opcode), 1007)
        self.assertEqual((request_id, error.code), (NO_REQUEST, "MALFORMED_REQUEST"))

    def test_too_large(self) -> None:
        """A frame of the limit passes, one byte more is 1009; the limit of messages of v0 is not asked."""
        it = self.connect()
        publish = Publish("other", Batch((b"x" * 6_000, b"x" * 6_000)))
        self.assertIsInstance(self.ask(it, publish)[0], PublishReply)
        self.assertEqual(self.closes(client_frame(b" " * 20_001, self.opcode), 1009, "message_too_large"), [])
        it = self.connect()
        self.assertNotIn(b"exceeds", it.say(client_frame(b" " * 20_000, self.opcode)))

    def test_too_large_in_fragments(self) -> None:
        """The sum counts."""
        data = client_frame(b" " * 15_000, self.opcode, first=0) + client_frame(b" " * 15_000, 0)
        self.assertEqual(self.closes(data, 1009, "message_too_large"), [])

    def test_an_unknown_request(self) -> None:
        """Said so under its number; the connection lives."""
        it = self.connect()
        payload = b"\x08\x05" if self.subprotocol.is_binary else b'{"request_id":5}'
        ((request_id, error),) = self.replies(it.say(client_frame(payload, self.opcode)))
        self.assertEqual((request_id, error.code), (5, "UNSUPPORTED"))
        self.assertEqual(self.ask(it, ListQueues()), [QueuePage([])])

    def test_random_bytes(self) -> None:
        """Whatever they are: an answer or a close, never an error of ours."""
        for first in range(256):
            it = self.connect()
            it.say(client_frame(bytes((first, 255 - first, 3, first)), self.opcode))
            it.lose()

    def test_absurd_numbers(self) -> None:
        """Of messages, credit, receipts and times."""
        it = self.connect()
        most, long = (1 << 32) - 1, (1 << 64) - 1
        pulled, subscribed, settled = self.ask(
            it,
            Pull(("q",), most, most),
            Subscribe("q", most),
            Settle("q", [(1, long)], Action.ACK),
        )
        self.assertEqual(list(pulled.batch.payloads), [])
        self.assertIsInstance(subscribed, QuickPulseError)
        self.assertIsInstance(settled, QuickPulseError)

    def test_too_many_open(self) -> None:
        """Each over the bound is refused, and the others wait on."""
        it = self.connect()
        pull = Pull(("q",), wait_ms=60_000)
        it.say(b"".join(self.frame(at, pull) for at in range(1, MOST_OPEN + 1)))
        ((request_id, error),) = self.replies(it.say(self.frame(MOST_OPEN + 1, pull)))
        self.assertEqual((request_id, error.code), (MOST_OPEN + 1, "TOO_MANY_REQUESTS"))
        it.reset()
        self.assertEqual(self.broker.get_queue(GetQueue("q")).waiters, 0)


class GoneTests(V1TestCase):
    """Peers that vanish while they wait: nothing is leased or taken for them."""

    def waiting(self) -> Conversation:
        """One with a pull and a subscription that wait."""
        it = self.connect()
        it.say(self.frame(1, Pull(("q",), wait_ms=60_000)) + self.frame(2, Subscribe("q", 10)))
        return it

    def check_nothing_is_leased(self) -> None:
        """What comes stays where it is."""
        self.put(b"a", b"b")
        self.clock.advance(0)
        info = self.broker.get_queue(GetQueue("q"))
        self.assertEqual((info.ready, info.leased, info.waiters), (2, 0, 0))
        self.assertEqual(self.traffic.undelivered_total, 0)

    def test_reset(self) -> None:
        """The connection is cut."""
        self.waiting().reset()
        self.check_nothing_is_leased()

    def test_half_close(self) -> None:
        """The peer says nothing more, without a Close."""
        it = self.waiting()
        it.protocol.readConnectionLost()
        self.check_nothing_is_leased()
        self.assertEqual(it.transport.events[-1], "close")

    def test_close(self) -> None:
        """The peer's Close is answered at once: what waits is given up."""
        it = self.waiting()
        self.assertEqual(close_of(it.frames(close_frame())), 1000)
        self.check_nothing_is_leased()

    def test_a_fault(self) -> None:
        """After our Close nothing is sent any more."""
        it = self.waiting()
        self.assertEqual(close_of(it.frames(client_frame(b"", TEXT + BINARY - self.opcode))), 1003)
        self.check_nothing_is_leased()

    def test_a_silent_peer(self) -> None:
        """It answers no ping."""
        it = self.waiting()
        self.clock.pump([1] * 80)
        self.assertEqual(it.transport.events[-1], "abort")
        self.check_nothing_is_leased()

    def test_taken_and_not_delivered(self) -> None:
        """What was taken out for a peer that did not get it is counted; what is leased comes again by itself."""
        self.put(b"a", b"b", b"c", b"d")
        it = self.connect()
        self.ask(it, Pull(("q",), 2, delivery=Delivery.TAKEN), Pull(("q",)))
        it.reset()
        self.assertEqual(self.traffic.undelivered_total, 2)

    def test_pushed_and_not_delivered(self) -> None:
        """The same of a subscription."""
        it = self.connect()
        it.say(self.frame(3, Subscribe("q", 9, delivery=Delivery.TAKEN)))
        self.put(b"a", b"b", b"c")
        self.clock.advance(0)
        it.reset()
        self.assertEqual(self.traffic.undelivered_total, 3)

    def test_taken_and_delivered(self) -> None:
        """The peer's Close behind ours says that it has read all."""
        self.put(b"a")
        it = self.connect()
        self.ask(it, Pull(("q",), delivery=Delivery.TAKEN))
        self.factory.drain(8)
        it.say(close_frame(1012))
        it.lose()
        self.assertEqual(self.traffic.undelivered_total, 0)

    def test_a_late_reply_for_a_peer_that_left(self) -> None:
        """It is dropped without a word."""
        self.broker = LateBroker(self.broker)
        self.listen()
        it = self.connect()
        it.say(self.frame(1, Publish("q", Batch((b"a",)))))
        it.reset()
        self.broker.waiting[0][0].callback(PublishReply(((1, 1),)))

    def test_pushed_after_the_end(self) -> None:
        """By a broker that does not keep to its port: what it took is counted."""
        delivers: list[Any] = []
        subscribe = self.broker.subscribe

        def note(request: Any, deliver: Any, ended: Any) -> Any:
            delivers.append(deliver)
            return subscribe(request, deliver, ended)

        self.patch(self.broker, "subscribe", note)
        it = self.connect()
        it.say(self.frame(1, Subscribe("q", 1)))
        it.reset()
        it.transport.clear()
        delivers[0](Deliveries("q", Batch((b"a", b"b"))))
        self.assertEqual((it.written(), self.traffic.undelivered_total), (b"", 2))

    def test_release_on_disconnect(self) -> None:
        """What such a subscription holds is there for others at once."""
        it = self.connect()
        self.put(b"a")
        it.say(self.frame(1, Subscribe("q", 10, release_on_disconnect=True)))
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 1)
        it.reset()
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)


class SlowReaderTests(V1TestCase):
    """Peers that do not read."""

    def test_nothing_is_pushed(self) -> None:
        """The subscription rests until the peer reads."""
        it = self.connect()
        it.say(self.frame(1, Subscribe("q", 10)))
        it.transport.producer.pauseProducing()
        it.transport.clear()
        self.put(b"a")
        self.clock.advance(0)
        self.assertEqual((it.written(), self.broker.get_queue(GetQueue("q")).leased), (b"", 0))
        it.transport.producer.resumeProducing()
        self.clock.advance(0)
        self.assertEqual([request_id for request_id, _ in self.replies(it.written())], [1])

    def test_requests_are_served_as_replies_are_read(self) -> None:
        """Of one read too: a peer cannot have more than about one reply more than it has room for."""
        self.patch(v1_frames, "GATHERED_BYTES", 1000)
        self.put(*[b"x" * 900] * 20)
        it = self.connect()
        write = it.transport.write

        def write_and_wait(data: bytes) -> None:
            write(data)
            it.transport.producer.pauseProducing()

        it.transport.write = write_and_wait
        data = b"".join(self.frame(at, Pull(("q",), delivery=Delivery.TAKEN)) for at in range(1, 21))
        got = self.replies(it.say(data + close_frame()))
        self.assertLess(len(got), 3)
        turns = 0
        while it.written() and CLOSE not in dict(server_frames(it.written())):
            turns += 1
            it.transport.clear()
            it.transport.producer.resumeProducing()
            got += self.replies(it.written())
        self.assertEqual([request_id for request_id, _ in got], list(range(1, 21)))
        self.assertEqual((turns > 5, close_of(server_frames(it.written()))), (True, 1000))

    def test_who_leaves_meanwhile(self) -> None:
        """What was not served takes nothing."""
        self.put(b"a")
        it = self.connect()
        it.transport.producer.pauseProducing()
        it.say(self.frame(1, Pull(("q",))))
        it.reset()
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 0)


class EndTests(V1TestCase):
    """The server's end, and idle connections."""

    def drain(self) -> Deferred:
        """As the service does: the broker first."""
        self.broker.drain()
        return self.factory.drain(8)

    def test_drain(self) -> None:
        """Waiting ends, subscriptions are told why, then 1012."""
        it = self.connect()
        it.say(self.frame(1, Pull(("q",), wait_ms=60_000)) + self.frame(2, Subscribe("q", 1)))
        it.transport.clear()
        done = self.drain()
        replies = dict(self.replies(it.written()))
        self.assertEqual(list(replies[1].batch.payloads), [])
        self.assertEqual(replies[2].error.code, "DRAINING")
        self.assertEqual(close_of(server_frames(it.written())), 1012)
        self.assertEqual(it.say(self.frame(3, ListQueues())), b"")
        it.say(close_frame(1012))
        it.lose()
        self.successResultOf(done)

    def test_settling_until_the_last_reply(self) -> None:
        """While a reply is awaited the connection lives: settling works, publishing is refused."""
        self.broker = LateBroker(self.broker)
        self.listen()
        it = self.connect()
        self.put_at_once(b"a")
        (pulled,) = self.ask(it, Pull(("q",)))
        it.say(self.frame(9, Publish("q", Batch((b"b",)))))
        it.transport.clear()
        self.drain()
        self.assertEqual(it.written(), b"")
        receipt = pulled.first_receipt
        error, settled = self.ask(it, Pull(("q",)), Settle("q", [(receipt, receipt)], Action.ACK))
        self.assertEqual((error.code, settled.settled), ("DRAINING", 1))
        it.transport.clear()
        self.broker.waiting[0][0].callback(PublishReply(((2, 2),)))
        self.assertEqual([request_id for request_id, _ in self.replies(it.written())], [9])
        self.assertEqual(close_of(server_frames(it.written())), 1012)

    def test_what_is_leased_can_be_settled(self) -> None:
        """1012 comes behind the reply to the last settling, or at the latest a second before the end."""
        for settles in (True, False):
            self.listen()
            it = self.connect()
            self.broker.publish(Publish("q", Batch((b"a", b"b"))))
            (held,) = self.ask(it, Pull(("q",), 2))
            it.transport.clear()
            self.factory.drain(8)
            first = held.first_receipt
            (reply,) = self.ask(it, Settle("q", [(first, first)], Action.ACK))
            self.assertEqual(reply.settled, 1)
            it.transport.clear()
            self.clock.advance(6)
            if settles:
                frames = it.frames(self.frame(2, Settle("q", [(first + 1, first + 1)], Action.ACK)))
                self.assertEqual((len(frames), close_of(frames)), (2, 1012))
            else:
                self.assertEqual(it.written(), b"")
                self.clock.advance(1)
                self.assertEqual(close_of(server_frames(it.written())), 1012)
            it.say(close_frame(1012))
            it.lose()
            self.assertEqual(len(self.factory.connections), 0)

    def put_at_once(self, payload: bytes) -> None:
        """Not by the late one."""
        self.broker.inner.publish(Publish("q", Batch((payload,))))

    def test_a_reply_within_a_read_may_be_the_last(self) -> None:
        """What ends the waiting may come from the same connection."""
        it = self.connect()
        it.say(self.frame(1, Pull(("q",), wait_ms=60_000)))
        it.transport.clear()
        self.factory.drain(8)
        self.assertEqual(it.written(), b"")
        frames = it.frames(self.frame(2, DeleteQueue("q")))
        self.assertEqual((len(frames), close_of(frames)), (3, 1012))

    def test_who_waits_is_not_idle(self) -> None:
        """Where there is a bound on silence, it is on those who want nothing."""
        self.listen(idle_seconds=8)
        it, other = self.connect(), self.connect()
        it.say(self.frame(1, Subscribe("q", 1)))
        for each in (it, other):
            each.transport.clear()
        self.clock.pump([1] * 12)
        self.assertEqual((it.written(), close_of(server_frames(other.written()))), (b"", 1001))
        it.say(self.frame(2, Unsubscribe(1)))
        it.transport.clear()
        self.clock.pump([1] * 12)
        self.assertEqual(close_of(server_frames(it.written())), 1001)


class JsonRequestTests(RequestTests):
    """The same in JSON."""

    subprotocol = JSON

    def test_by_hand(self) -> None:
        """What somebody would write who has read the contract and nothing else."""
        it = self.connect()
        text = '{"request_id": 1, "publish": {"queue": "q", "batch": {"texts": ["grün"]}}}'
        frames = it.frames(client_frame(text.encode(), TEXT))
        self.assertEqual(json.loads(frames[0][1])["request_id"], 1)
        self.assertEqual(self.broker.pull(Pull(("q",))).batch.payloads, ["grün".encode()])


class JsonFaultTests(FaultTests):
    """The same in JSON."""

    subprotocol = JSON

    def test_text_that_is_no_utf8(self) -> None:
        """1007, as everywhere."""
        self.assertEqual(self.closes(client_frame(b"\xff", TEXT), 1007), [])

    def test_a_wrong_field(self) -> None:
        """Answered under its number, and the connection lives."""
        it = self.connect()
        ((request_id, error),) = self.replies(it.say(client_frame(b'{"request_id":4,"pull":{"q":1}}', TEXT)))
        self.assertEqual((request_id, error.code), (4, "INVALID_ARGUMENT"))

    def test_deep(self) -> None:
        """Refused before it is parsed."""
        ((request_id, error),) = self.closes(client_frame(b"[" * 19_000, TEXT), 1007)
        self.assertEqual((request_id, error.code), (NO_REQUEST, "MALFORMED_REQUEST"))


class JsonGoneTests(GoneTests):
    """The same in JSON."""

    subprotocol = JSON


class JsonSlowReaderTests(SlowReaderTests):
    """The same in JSON."""

    subprotocol = JSON


class JsonEndTests(EndTests):
    """The same in JSON."""

    subprotocol = JSON


class HandshakeTests(V1TestCase):
    """The subprotocol is chosen."""

    def shake(self, *headers: str, path: str = "/ws/v1") -> str:
        """A handshake's answer."""
        it = Conversation(path, factory=self.factory)
        return it.say(it.handshake(*headers)).decode()

    def test_by_the_clients_order(self) -> None:
        """Its first that is known."""
        for offered, chosen in (
            ("quickpulse.v1.bin, quickpulse.v1.json", BIN),
            ("quickpulse.v1.json,quickpulse.v1.bin", JSON),
            ("soap, quickpulse.v1.json", JSON),
        ):
            answer = self.shake(f"Sec-WebSocket-Protocol: {offered}")
            self.assertTrue(answer.startswith("HTTP/1.1 101"))
            self.assertIn(f"Sec-WebSocket-Protocol: {chosen.name}\r\n", answer)

    def test_none(self) -> None:
        """400, and both are named."""
        for headers in ((), ("Sec-WebSocket-Protocol: soap",), ("Sec-WebSocket-Protocol: QUICKPULSE.V1.BIN",)):
            answer = self.shake(*headers)
            self.assertTrue(answer.startswith("HTTP/1.1 400"), answer)
            body = answer.partition("\r\n\r\n")[2]
            self.assertEqual(body, "/ws/v1 wants a Sec-WebSocket-Protocol: quickpulse.v1.bin or quickpulse.v1.json\n")
        self.assertEqual(self.traffic.refused_total["bad_request"], 3)

    def test_texts(self) -> None:
        """In the query; what is neither yes nor no is refused."""
        self.put(b"one")
        it = Conversation("/ws/v1?texts=1&other=2", factory=self.factory)
        it.open(f"Sec-WebSocket-Protocol: {JSON.name}")
        ((_, payload),) = it.frames(client_frame(b'{"request_id":1,"pull":{"queues":["q"]}}', TEXT))
        self.assertEqual(json.loads(payload)["deliveries"]["batch"], {"texts": ["one"]})
        answer = self.shake(f"Sec-WebSocket-Protocol: {JSON.name}", path="/ws/v1?texts=yes")
        self.assertTrue(answer.startswith("HTTP/1.1 400"))
        self.assertTrue(answer.endswith("texts is 1 or 0, true or false\n"))

    def test_the_origin_rule(self) -> None:
        """It holds here too."""
        self.assertTrue(self.shake("Origin: http://else.example").startswith("HTTP/1.1 403"))

    def test_without_upgrade(self) -> None:
        """426 where it is served."""
        it = Conversation("/ws/v1", factory=self.factory)
        self.assertTrue(it.say(b"GET /ws/v1 HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 426"))

    def test_other_paths_have_none(self) -> None:
        """v0 takes up no subprotocol."""
        answer = self.shake("Sec-WebSocket-Protocol: quickpulse.v1.bin", path="/ws/publish")
        self.assertTrue(answer.startswith("HTTP/1.1 101"))
        self.assertNotIn("Sec-WebSocket-Protocol", answer)

    def test_v0_beside_it_keeps_its_limit(self) -> None:
        """A message of v0 over its own limit is refused, though a frame may be longer."""
        it = Conversation("/ws/publish", factory=self.factory).open()
        self.assertEqual(close_of(it.frames(client_frame(b"x" * 1001))), 1009)

    def test_another_path(self) -> None:
        """404 names this one, too."""
        self.assertIn("there are /ws/publish and /ws/consume and /ws/v1\n", self.shake(path="/ws/v2"))

    def test_without_a_broker(self) -> None:
        """There is no such path."""
        self.broker = None
        self.listen()
        for answer in (self.shake("Sec-WebSocket-Protocol: quickpulse.v1.bin"), self.shake()):
            self.assertTrue(answer.startswith("HTTP/1.1 404"))
        it = Conversation("/ws/v1", factory=self.factory)
        self.assertTrue(it.say(b"GET /ws/v1 HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 404"))
