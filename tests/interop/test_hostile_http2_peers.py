"""Peers of the native gRPC server that hold, stall, vanish or come in crowds.

The good client beside them is answered all the time, what they hold is bounded by bytes and by time, and every message
that was acknowledged is in the queue, came out, or is counted as undelivered.
"""

from __future__ import annotations

import asyncio
import socket
import time

from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.hostile import HELD_BYTES, MILLION, REFUSED, slow_connection, storm, until_cut
from tests.interop.hostile_http2 import (
    CONSUME,
    MARK,
    OPEN_WINDOWS,
    OPENING,
    PRODUCE,
    STREAM,
    HostileHttp2TestCase,
    last_of,
    talk_until,
)
from tests.interop.http2_bytes import Answers, data, fields_of, frame, headers, message, payload_message, settings
from tests.interop.server import allow_many_connections

MORE = frame(h2.WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")
"""From one that does not read, but lives."""


class HostilePeersTests(HostileHttp2TestCase):
    """A server for each, because each needs another setting."""

    timeout = 120

    def begin(self, mode: str, *arguments: str) -> None:
        """A server that takes as many calls at once as anybody cares to send."""
        super().begin(mode, "--max-streams", str(MILLION), *arguments)

    async def put(self, body: bytes, count: int) -> int:
        """Put so many in, as fast as it goes; gives how many were acknowledged."""
        sock = await wire.connect(self.server.port)
        with sock:
            sent = h2.pipelined(PRODUCE, body, count)
            received = await storm(sock, OPENING + OPEN_WINDOWS + sent, last_of(count))
        return received.count(message(b"\x08\x01"))

    def test_a_million_produces(self):
        """As fast as it goes, on one connection: all are acknowledged, all come out, and memory comes back."""
        payload = b"in and out."

        async def talk() -> None:
            self.begin("grpc", "--capacity", str(2 * MILLION))
            acknowledged = await self.put(payload_message(payload), MILLION)
            await self.lap("1,000,000 Produce on one connection")
            self.assertEqual(acknowledged, MILLION)
            taken = sum([(await self.take(100_000)).count(payload) for _ in range(11)])
            await self.lap("and Consume")
            self.assertEqual(taken, MILLION)
            await self.finish("a million in and out")
            self.assert_memory_is_back(HELD_BYTES)

        return self.story(talk())

    def test_a_million_exchanges(self):
        """On one stream, as fast as it goes: each has its answer."""
        payload, at_once = b"to and fro.", 800  # 14 KB

        async def talk() -> None:
            self.begin("grpc_stream")
            part = data(1, payload_message(payload) * at_once, 0)
            said = headers(1, fields_of(STREAM)) + part * (MILLION // at_once - 1) + part[:4] + b"\x01" + part[5:]
            sock = await wire.connect(self.server.port)
            with sock:
                received = await storm(sock, OPENING + OPEN_WINDOWS + said, last_of(1))
            await self.lap("1,000,000 messages on one stream")
            bodies = Answers(received).bodies[1]
            self.assertGreaterEqual(bodies.count(payload), MILLION - 1000)  # the good client may have got some
            counts = await self.finish("a million to and fro")
            self.assertEqual(counts["quickpulse_queue_depth"], 0)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_slow_reader_of_a_million_answers(self):
        """Asks for them and reads none: it is not read from, cut in time, and what it was not handed is still there."""

        async def talk() -> None:
            self.begin("grpc", "--stall-seconds", "2")
            await self.put(payload_message(b"x" * 100), 50_000)
            sock = await slow_connection(self.server.port)
            sent = OPENING + OPEN_WINDOWS + h2.pipelined(CONSUME, message(b""), MILLION)
            with sock:
                self.assertTrue(await until_cut(sock, sent, MORE, 30))
            counts = await self.finish("a slow reader of a million answers")
            self.assertEqual(counts[REFUSED.format("stalled")], 1)
            self.assertLess(self.worst_rss - self.rss_before, HELD_BYTES)
            self.assertGreater(counts["quickpulse_undelivered_total"], 0)
            self.assertLessEqual(counts["quickpulse_undelivered_total"], counts["quickpulse_dequeue_total"])
            taken = await self.take_all()
            left = [int(payload[5:]) for payload in taken if payload.startswith(b"good ")]
            self.assertEqual(left, list(range(left[0], left[0] + len(left))), "what was not taken is there, in order")
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_slow_reader_of_a_stream(self):
        """The same on one stream of StreamMessages."""

        async def talk() -> None:
            self.begin("grpc_stream", "--stall-seconds", "2")
            part = data(1, payload_message(b"x" * 100) * 140, 0)
            sent = OPENING + OPEN_WINDOWS + headers(1, fields_of(STREAM)) + part * 7000
            sock = await slow_connection(self.server.port)
            with sock:
                self.assertTrue(await until_cut(sock, sent, MORE, 30))
            counts = await self.finish("a slow reader of a stream")
            self.assertEqual(counts[REFUSED.format("stalled")], 1)
            self.assertLess(self.worst_rss - self.rss_before, HELD_BYTES)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_half_an_opening(self):
        """A preface cut anywhere, no SETTINGS behind it, or half of them: cut in time. Byte by byte it is served."""

        async def held(sent: bytes) -> float:
            sock, began = await wire.connect(self.server.port), time.monotonic()
            with sock:
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                try:
                    await wire.read_all(sock, 6.0)
                except asyncio.TimeoutError:
                    return 99.0
            return time.monotonic() - began

        async def byte_by_byte() -> Answers:
            sock = await wire.connect(self.server.port)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = headers(1, fields_of(PRODUCE)) + data(1, payload_message(b"slow"))
            loop = asyncio.get_running_loop()
            with sock:
                for byte in OPENING + request:
                    await loop.sock_sendall(sock, bytes((byte,)))
                    await asyncio.sleep(0.001)
                answers, _ = await talk_until(sock, b"", lambda answers: answers.grpc_status(1) is not None)
            return answers

        async def talk() -> None:
            self.begin("grpc", "--handshake-seconds", "1")
            openings = [OPENING[:size] for size in range(len(OPENING))]
            *seconds, answers = await asyncio.gather(*map(held, openings), byte_by_byte())
            self.assertEqual(answers.grpc_status(1), 0)
            late = {openings[at][-12:]: took for at, took in enumerate(seconds) if took > 5}
            self.assertFalse(late, "not cut")
            counts = await self.finish("half an opening")
            self.assertEqual(counts[REFUSED.format("timeout")], len(openings))

        return self.story(talk())

    def test_unanswered_keepalive(self):
        """Who answers no PING is cut; who does, stays."""

        async def talk() -> None:
            self.begin("grpc", "--queue", "tests.interop.short_waits:make_queue")
            sock = await wire.connect(self.server.port)
            with sock:
                await asyncio.get_running_loop().sock_sendall(sock, OPENING)
                received = await wire.read_all(sock, 10.0)
            pings = [one for one in h2.read_frames(received) if one.kind == h2.PING]
            self.assertGreaterEqual(len(pings), 1)
            counts = await self.finish("unanswered keepalive")
            self.assertEqual(counts[REFUSED.format("timeout")], 1)

        return self.story(talk())

    def test_no_window_at_all(self):
        """Who asks for messages and never opens a window for the answers is cut like any who does not read."""

        async def talk() -> None:
            self.begin("grpc", "--stall-seconds", "1")
            await self.put(payload_message(b"x" * 100), 2000)
            sock = await wire.connect(self.server.port)
            closed = settings((h2.INITIAL_WINDOW_SIZE, 0))
            with sock:
                sent = h2.PREFACE + closed + h2.pipelined(CONSUME, message(b""), 900)
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                await wire.read_all(sock, 10.0)
            counts = await self.finish("no window at all")
            self.assertEqual(counts[REFUSED.format("stalled")], 1)
            self.assertEqual(counts["quickpulse_undelivered_total"], 900)

        return self.story(talk())

    def test_long_messages_that_are_never_read(self):
        """What waits for a window is forgotten with its connection, each time."""

        async def talk() -> None:
            self.begin("grpc")
            body = payload_message(bytes(1_000_000))
            parts = [data(1, body[at : at + 16_000], 0) for at in range(0, len(body), 16_000)]
            begin = OPENING + headers(1, fields_of(PRODUCE)) + b"".join(parts[:3])
            room = frame(h2.WINDOW_UPDATE, 0, 1, bytes(4))[:9]  # for all the rest
            rest = b"".join(parts[3:]) + data(1, b"")
            asked = h2.PREFACE + settings((h2.INITIAL_WINDOW_SIZE, 0)) + h2.pipelined(CONSUME, message(b""), 50)
            mark = frame(h2.PING, 0, 0, MARK)
            for _ in range(3):
                for _ in range(40):
                    with await wire.connect(self.server.port) as sock:
                        await storm(sock, begin, room)
                        await storm(sock, rest, last_of(1))
                for _ in range(10):
                    with await wire.connect(self.server.port) as sock:
                        await storm(sock, asked + mark, MARK)
            await self.finish("long messages that are never read")
            await self.take_all()
            self.assert_memory_is_back(HELD_BYTES)

        return self.story(talk())

    def test_goaway_with_open_streams(self):
        """The client says that it opens no more: its calls are still served, also those begun before."""

        async def talk() -> None:
            self.begin("grpc_stream")
            sock = await wire.connect(self.server.port)
            body = payload_message(b"x")
            half = headers(1, fields_of(STREAM)) + data(1, body[:3], 0)
            goaway = frame(h2.GOAWAY, 0, 0, bytes(8))
            with sock:
                sent = OPENING + half + goaway + data(1, body[3:], 1)
                answers, _ = await talk_until(sock, sent, lambda answers: answers.grpc_status(1) is not None)
            self.assertEqual((answers.grpc_status(1), len(answers.bodies[1])), (0, 8))
            await self.finish("GOAWAY with open streams")

        return self.story(talk())

    def test_reset_at_every_frame(self):
        """A conversation that ends by RST behind each of its frames, and within each: all is forgotten."""
        path = fields_of(PRODUCE)
        body = payload_message(b"y" * 5000)
        conversation = [
            h2.PREFACE,
            settings((h2.INITIAL_WINDOW_SIZE, 10)),
            headers(1, path),
            data(1, body[:2000], 0),
            data(1, body[2000:]),
            headers(3, fields_of(CONSUME)),
            data(3, message(b"")),
            frame(h2.PING, 0, 0, bytes(8)),
            h2.window_update(3, 7),
            headers(5, fields_of(STREAM)),
            frame(h2.HEADERS, 0, 7, h2.block(path)),
            frame(h2.CONTINUATION, 4, 7),
            h2.reset(7),
            frame(h2.GOAWAY, 0, 0, bytes(8)),
        ]

        async def cut(sent: bytes, pause: float) -> None:
            sock = await wire.connect(self.server.port)
            await asyncio.get_running_loop().sock_sendall(sock, sent)
            await asyncio.sleep(pause)
            wire.vanish(sock)

        async def talk() -> None:
            self.begin("grpc")
            whole = [b"".join(conversation[:count]) for count in range(len(conversation) + 1)]
            middles = [sent + after[:5] for sent, after in zip(whole, conversation, strict=False)]
            for pause in (0, 0.001, 0.02):
                await asyncio.gather(*(cut(sent, pause) for sent in [*whole, *middles] * 10))
            counts = await self.finish("resets at every frame")
            taken = await self.take_all()
            lost = counts["quickpulse_undelivered_total"]
            self.assertLessEqual(counts["quickpulse_dequeue_total"] - lost, counts["quickpulse_enqueue_total"])
            self.assertLessEqual({payload for payload in taken if payload[:1] == b"y"}, {b"y" * 5000})
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_thousand_that_vanish(self):
        """Each within another frame, by FIN or by RST, at the same time."""
        allow_many_connections()
        begun = OPENING + headers(1, fields_of(PRODUCE)) + data(1, payload_message(b"whole"))
        rest = headers(3, fields_of(PRODUCE)) + data(3, payload_message(bytes(20_000))[:16_000], 0)

        async def talk() -> None:
            self.begin("grpc")
            loop = asyncio.get_running_loop()
            sockets = await asyncio.gather(*(wire.connect(self.server.port) for _ in range(1000)))
            await asyncio.gather(*(loop.sock_sendall(sock, begun + rest[: at * 16]) for at, sock in enumerate(sockets)))
            await self.server.until_metric(self.open_connections, self.bystanders + 1000, 20)
            for at, sock in enumerate(sockets):
                (wire.vanish if at % 2 else socket.socket.close)(sock)
            await self.finish("a thousand that vanish")
            taken = await self.take_acknowledged()
            self.assertEqual(taken.count(b"whole"), 1000)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_two_thousand_at_once(self):
        """All are accepted, and each has its answer."""
        allow_many_connections()
        request = OPENING + headers(1, fields_of(PRODUCE)) + data(1, payload_message(b"one of many"))

        async def one() -> int | None:
            sock = await wire.connect(self.server.port)
            with sock:
                answers, _ = await talk_until(sock, request, lambda answers: answers.grpc_status(1) is not None, 30)
            return answers.grpc_status(1)

        async def talk() -> None:
            self.begin("grpc")
            self.assertEqual(await asyncio.gather(*(one() for _ in range(2000))), [0] * 2000)
            await self.finish("2,000 connections at once")
            taken = await self.take_acknowledged()
            self.assertEqual(taken.count(b"one of many"), 2000)
            self.assert_memory_is_back()

        return self.story(talk())
