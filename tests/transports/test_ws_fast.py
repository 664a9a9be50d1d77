"""WebSocket with --ws-frames fast: all that the plain setting does, and the two side by side."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import Batch, Credit, GetQueue, ListQueues, Publish, Pull, Subscribe, Unsubscribe
from quickpulse.settings import Settings
from quickpulse.transports import ws_fast
from quickpulse.transports.websocket import WsFactory
from quickpulse.transports.ws_connection import WsProtocol
from quickpulse.transports.ws_fast import FastWsProtocol
from quickpulse.wire.v1.frames import write_request
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, Subprotocol
from tests.transports import test_websocket, test_ws_connection, test_ws_serving, test_ws_v1
from tests.transports.conversation import (
    BINARY,
    CLOSE,
    OK,
    PING,
    PONG,
    TEXT,
    Conversation,
    LateQueue,
    client_frame,
    close_frame,
    close_of,
    server_frames,
)


class Fast:
    """The other setting."""

    ws_frames = "fast"


class PublishTests(Fast, test_ws_connection.PublishTests):
    """/ws/publish."""


class ConsumeTests(Fast, test_ws_connection.ConsumeTests):
    """/ws/consume."""


class HandshakeTests(Fast, test_ws_connection.HandshakeTests):
    """The opening handshake."""


class FaultTests(Fast, test_ws_connection.FaultTests):
    """Frames that break the rules."""


class CloseTests(Fast, test_ws_connection.CloseTests):
    """The end of a connection."""


class BoundTests(Fast, test_ws_connection.BoundTests):
    """What one connection may do to the others."""


class LateAnswerTests(Fast, test_ws_serving.LateAnswerTests):
    """A queue that answers with a Deferred."""


class SlowReaderTests(Fast, test_ws_serving.SlowReaderTests):
    """A peer that does not read its answers."""


class SliceTests(Fast, test_ws_serving.SliceTests):
    """Answers are bounded."""


class ConfirmTests(Fast, test_ws_serving.ConfirmTests):
    """What has arrived."""


class DrainTests(Fast, test_websocket.DrainTests):
    """The orderly end of all connections."""


class V1RequestTests(Fast, test_ws_v1.RequestTests):
    """Requests and their replies, on /ws/v1."""


class V1FaultTests(Fast, test_ws_v1.FaultTests):
    """What a client must not do, on /ws/v1."""


class V1GoneTests(Fast, test_ws_v1.GoneTests):
    """Peers that vanish, on /ws/v1."""


class V1SlowReaderTests(Fast, test_ws_v1.SlowReaderTests):
    """Peers that do not read, on /ws/v1."""


class V1EndTests(Fast, test_ws_v1.EndTests):
    """The server's end, on /ws/v1."""


class V1JsonRequestTests(Fast, test_ws_v1.JsonRequestTests):
    """Requests and their replies, in JSON."""


class V1JsonFaultTests(Fast, test_ws_v1.JsonFaultTests):
    """What a client must not do, in JSON."""


class V1JsonGoneTests(Fast, test_ws_v1.JsonGoneTests):
    """Peers that vanish, in JSON."""


class V1JsonSlowReaderTests(Fast, test_ws_v1.JsonSlowReaderTests):
    """Peers that do not read, in JSON."""


class V1JsonEndTests(Fast, test_ws_v1.JsonEndTests):
    """The server's end, in JSON."""


class V1HandshakeTests(Fast, test_ws_v1.HandshakeTests):
    """The subprotocol is chosen."""


def outcome(ws_frames: str, pieces: list[bytes], path: str = "/ws/publish", **options: Any) -> tuple[object, ...]:
    """All that can be seen of a conversation: each answer, what was stored, what was refused, how it ended."""
    it = Conversation(path, ws_frames=ws_frames, **options).open()
    answers = [it.say(piece) for piece in pieces]
    refused = {reason: count for reason, count in it.traffic.refused_total.items() if count}
    received = it.factory.counts.received_bytes
    return answers, it.queue.dequeue_many(1000), refused, received, it.transport.events, it.protocol.state


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """`stream` in pieces."""
    places = sorted({0, *(place % (len(stream) + 1) for place in places), len(stream)})
    return [stream[a:b] for a, b in pairwise(places)]


MASKS = st.sampled_from([b"\x12\x34\x56\x78", b"\0\0\0\0", b"\xff\x80\x01\xaa"])
PAYLOADS = st.one_of(st.binary(max_size=40), st.integers(0, 1100).map(bytes), st.text(max_size=20).map(str.encode))


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame or a run of them, mostly good."""
    kind = draw(st.integers(0, 19))
    payload, mask = draw(PAYLOADS), draw(MASKS)
    if kind < 9:
        return client_frame(payload, draw(st.sampled_from([TEXT, BINARY])), mask=mask)
    if kind < 13:
        size = draw(st.integers(0, 34))
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        fill = draw(st.sampled_from([b"a", b"\xc3", b"\0"]))
        return b"".join(client_frame(fill * size, opcode, mask=mask) for _ in range(draw(st.integers(8, 12))))
    if kind < 15:
        return client_frame(payload[:125], draw(st.sampled_from([PING, PONG])), mask=mask)
    if kind == 15:
        return client_frame(payload, draw(st.sampled_from([TEXT, BINARY])), first=0, mask=mask)
    if kind == 16:
        return client_frame(payload, 0, first=draw(st.sampled_from([0, 0x80])), mask=mask)
    if kind == 17:
        return client_frame(draw(st.sampled_from([b"", b"\x03", b"\x03\xe8bye", b"\x03\xed", b"\x03\xe8\xff"])), CLOSE)
    if kind == 18:
        extra = draw(st.sampled_from([struct.pack("!H", 5), struct.pack("!H", 126), struct.pack("!H", 60_000)]))
        return b"\x82\xfe" + extra + mask + b"\x01" * 126
    return draw(st.binary(min_size=1, max_size=20))


class SameAsPlainTests(SynchronousTestCase):
    """One stream of bytes, cut in the same places, into both settings: the same answers, messages and counts."""

    def same(self, pieces: list[bytes], path: str = "/ws/publish", **options: Any) -> None:
        """Compare all that can be seen."""
        fast, plain = (outcome(setting, pieces, path, **options) for setting in ("fast", "plain"))
        self.assertEqual(fast, plain)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(frames(), min_size=1, max_size=12), st.lists(st.integers(0, 20_000), max_size=8))
    def test_any_frames_cut_anywhere(self, stream: list[bytes], places: list[int]) -> None:
        """Good and bad frames, runs of equal ones, and noise."""
        self.same(cut(b"".join(stream), places))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(frames(), min_size=1, max_size=6))
    def test_any_frames_byte_by_byte(self, stream: list[bytes]) -> None:
        """Each byte a read of its own."""
        data = b"".join(stream)[:1500]
        self.same([data[i : i + 1] for i in range(len(data))], "/ws/consume")

    def test_every_kind_of_frame_cut_at_every_byte(self) -> None:
        """One cut, at each place."""
        stream = b"".join(
            (
                client_frame(b"one") * 9,
                client_frame("zwölf".encode(), TEXT) * 9,
                client_frame(b"x" * 200),
                client_frame(b"?", PING),
                client_frame(b"fra", TEXT, first=0),
                client_frame(b"?", PING),
                client_frame(b"gment", 0),
                client_frame(b"y" * 126, TEXT),
                client_frame(b"\xff", TEXT),
                client_frame(b"late"),
                close_frame(1007),
                client_frame(b"later"),
            )
        )
        for place in range(1, len(stream)):
            self.same([stream[:place], stream[place:]])

    def test_long_messages_cut_anywhere(self) -> None:
        """The length in eight bytes, many reads for a message; one over the limit is refused at its header."""
        for size in (65_535, 65_536, 70_000, 70_001):
            stream = client_frame(b"z" * size) + client_frame(b"next")
            for step in (9, 1000, 65_536):
                pieces = [stream[i : i + step] for i in range(0, len(stream), step)]
                self.same(pieces, max_message_bytes=70_000)

    def test_broken_text_is_refused_before_its_end(self) -> None:
        """A text's bytes are judged as they come, not when it is complete."""
        frame = client_frame(b"a" * 50 + b"\xff" + b"a" * 800, TEXT)
        self.same([frame[:100], frame[100:]])
        self.assertEqual(close_of(server_frames(outcome("fast", [frame[:100]])[0][0])), 1007)


V1_REQUESTS = [
    Publish("q", Batch((b"a", b"\xff" * 30))),
    Publish("q", Batch(("grün".encode() * 30,))),
    Pull(("q",), 2),
    Pull(("r",), wait_ms=9),
    Subscribe("q", 3),
    Credit(2, 1),
    Unsubscribe(2),
    ListQueues(),
    GetQueue("none"),
]


class V1SameAsPlainTests(SynchronousTestCase):
    """The same of /ws/v1, in each subprotocol."""

    def outcome(self, ws_frames: str, subprotocol: Subprotocol, pieces: list[bytes]) -> tuple[object, ...]:
        """All that can be seen of a conversation."""
        clock = Clock()
        broker = MemoryBroker(clock, Broker(), lambda: 0.0)
        options = Settings("ws", ws_frames=ws_frames, max_batch_bytes=500)
        factory = WsFactory(clock, MessageQueue(1), Traffic(), options, broker)
        it = Conversation("/ws/v1", factory=factory).open(f"Sec-WebSocket-Protocol: {subprotocol.name}")
        answers = [server_frames(it.say(piece)) for piece in pieces]
        state, events = it.protocol.state, list(it.transport.events)
        it.lose()
        left = [(each.name, each.ready, each.leased, each.waiters) for each in broker.list_queues(ListQueues()).queues]
        broker.close()
        return answers, left, it.traffic.refused_total, factory.counts.received_bytes, events, state

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_any_frames_cut_anywhere(self, data: st.DataObject) -> None:
        """Requests and what is none, of the right kind and of the wrong one, and all that may be between them."""
        subprotocol = data.draw(st.sampled_from(list(SUBPROTOCOLS.values())))
        right, wrong = (BINARY, TEXT) if subprotocol.is_binary else (TEXT, BINARY)
        request = st.sampled_from(V1_REQUESTS)
        good = st.builds(
            lambda number, each: client_frame(write_request(number, each, subprotocol.encoding), right),
            st.integers(0, 4),
            request,
        )
        noise = st.builds(client_frame, PAYLOADS, st.sampled_from([right] * 4 + [wrong]))
        stream = data.draw(st.lists(st.one_of(good, good, good, good, noise, frames()), min_size=1, max_size=12))
        pieces = cut(b"".join(stream), data.draw(st.lists(st.integers(0, 5_000), max_size=8)))
        fast, plain = (self.outcome(setting, subprotocol, pieces) for setting in ("fast", "plain"))
        self.assertEqual(fast, plain)


class ReadingTests(SynchronousTestCase):
    """What autobahn is not asked for."""

    def open(self, path: str = "/ws/publish", **options: Any) -> Conversation:
        """A conversation in which autobahn parses nothing."""
        it = Conversation(path, **options).open()
        it.protocol.processData = lambda: self.fail("autobahn was asked")  # type: ignore[method-assign]
        return it

    def test_the_setting_chooses(self) -> None:
        """Fast is the default."""
        self.assertIs(type(Conversation().protocol), FastWsProtocol)
        self.assertIs(type(Conversation(ws_frames="plain").protocol), WsProtocol)

    def test_plain_frames(self) -> None:
        """Text and binary, short and long."""
        it = self.open()
        data = client_frame(b"a") + client_frame(b"b", TEXT) + client_frame(b"c" * 1000)
        self.assertEqual(it.frames(data), [OK] * 3)

    def test_a_frame_in_many_reads_is_joined_once(self) -> None:
        """Its parts are kept as they came."""
        it = self.open(max_message_bytes=100_000)
        frame = client_frame(b"z" * 100_000)
        for at in range(0, len(frame), 1000):
            self.assertEqual(it.protocol.data, b"")
            it.say(frame[at : at + 1000])
        self.assertEqual(server_frames(it.written()), [OK])
        self.assertEqual(it.queue.dequeue(), b"z" * 100_000)

    def test_fast_again_behind_another_frame(self) -> None:
        """Autobahn gets the ping alone, and holds nothing afterwards."""
        it = Conversation().open()
        handed: list[bytes] = []
        parse = it.protocol.processData
        it.protocol.processData = lambda: (handed.append(it.protocol.data), parse())[1]  # type: ignore[method-assign]
        ping = client_frame(b"?", PING)
        self.assertEqual(it.frames(client_frame(b"a") + ping + client_frame(b"b")), [(PONG, b"?"), OK, OK])
        self.assertEqual(handed, [ping, ping[6:]])

    def test_messages_answer_a_ping_of_ours(self) -> None:
        """A peer that sends messages is alive, as it is for autobahn."""
        for ws_frames in ("fast", "plain"):
            it = Conversation(ws_frames=ws_frames).open()
            for _ in range(10):
                it.clock.pump([1] * 26)
                it.say(client_frame(b"a"))
            self.assertNotIn("abort", it.transport.events)

    def test_a_close_of_ours_in_the_middle_of_a_frame(self) -> None:
        """Autobahn reads the frame to its end, discards it, and finds the peer's Close behind it."""
        for ws_frames in ("fast", "plain"):
            it = Conversation(ws_frames=ws_frames).open()
            frame = client_frame(b"x" * 50)
            it.say(frame[:20])
            it.factory.drain(8)
            it.say(frame[20:] + close_frame(1012))
            self.assertEqual((it.queue.depth, it.transport.events[-1]), (0, "half-close"))
            self.assertEqual(it.factory.counts.received_bytes, len(it.handshake()) + len(frame) + 8)

    def test_an_empty_frame_whose_end_had_to_wait(self) -> None:
        """Its header was read when an answer came to be awaited, and no byte comes behind it."""
        for ws_frames in ("fast", "plain"):
            queue = LateQueue()
            it = Conversation(queue=queue, ws_frames=ws_frames).open()
            it.say(client_frame(b"a") + client_frame(b"", CLOSE, first=0))
            queue.answer()
            self.assertEqual(close_of(server_frames(it.written())), 1002)
            self.assertEqual(it.transport.events[-1], "half-close")

    def test_long_payloads_are_unmasked_alike(self) -> None:
        """By autobahn's compiled function, or by ours."""
        payload, key = bytes(range(256)) * 40, b"\x01\x80\xff\x07"
        self.assertEqual(ws_fast._unmask_compiled(payload, key), ws_fast.unmask(payload, key))
