"""Random HTTP/2 frames into a connection, in either role: valid ones, mutated ones, cut-off ones, cut anywhere.

    python -m tests.fuzz.http2 --frames 10000000 --seed 1

Nothing may escape `receive`, `Failed` comes last, what is kept stays small, and what we send is whole frames.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

from hpack import Encoder

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2 import frames as f
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.hpacking import MAX_REMEMBERED, literal
from quickpulse.wire.http2.sending import EARLY_UPDATES
from quickpulse.wire.http2.stream_table import RECENT_RESETS
from quickpulse.wire.http2.streams import State, Stream

MAX_STREAMS = 20
"""Few, so that the limit is met."""

MAX_READ = 64
"""Frames of one read."""

SESSION_FRAMES = 2_000
"""A connection that survives so many makes room for another."""

MUTATED = 0.002
"""Part of the frames that are spoilt; most of those end the connection."""

HEAD, TAIL = literal(b":status", b"200"), literal(b"grpc-status", b"0")
ANSWERS = (Answer(HEAD, b"x" * 10, TAIL), Answer(HEAD, b"", b""), Answer(HEAD, b"y" * 20_000, TAIL))
ENVELOPE = Envelope(HEAD, TAIL)

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("content-type", "application/grpc")]


class Peer:
    """Makes the frames of one connection's other side.

    :param rng: the chance.
    :param role: the role of the connection that is tried.
    """

    def __init__(self, rng: random.Random, role: Role) -> None:
        self.rng = rng
        self.role = role
        self.encoder = Encoder()
        self.next_id = 1
        self.open: list[int] = []
        self.makers: list[Callable[[], bytes]] = [self.data] * 4 + [
            self.update,
            self.update,
            self.reset,
            self.priority,
            self.trailers,
        ]
        self.streamless: list[Callable[[], bytes]] = [self.settings, self.ping, self.unknown, self.goaway]
        if role is Role.SERVER:
            self.streamless += [self.unary] * 6 + [self.request] * 3 + [self.continued]
        else:
            self.makers += [self.response] * 4
        self.makers += self.streamless

    def frame(self) -> bytes:
        """One frame or a few that belong together."""
        made = self.rng.choice(self.makers if self.open else self.streamless)()
        return self.spoilt(made) if self.rng.random() < MUTATED else made

    def spoilt(self, made: bytes) -> bytes:
        """The same with something wrong."""
        rng, spoilt = self.rng, bytearray(made)
        what = rng.randrange(5)
        if what == 0 and spoilt:
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        elif what == 1 and spoilt:
            spoilt[rng.randrange(min(9, len(spoilt)))] ^= 1 << rng.randrange(8)
        elif what == 2:
            del spoilt[rng.randrange(len(spoilt) + 1) :]
        elif what == 3:
            spoilt = bytearray(rng.randbytes(rng.randrange(40)))
        else:
            kind, flags, stream = rng.randrange(12), rng.randrange(256), rng.randrange(self.next_id + 4)
            spoilt = bytearray(f.frame(kind, flags, stream, rng.randbytes(rng.choice((0, 1, 4, 5, 6, 8, 12, 100)))))
        return bytes(spoilt)

    def stream(self) -> int:
        """Mostly one that is open, else any that was."""
        if self.open and self.rng.random() < 0.9995:
            return self.rng.choice(self.open)
        return self.rng.randrange(1, max(self.next_id, 2), 2)

    def fields(self, base: list[tuple[str, str]]) -> bytes:
        """A header block, with HPACK's forms by chance."""
        rng = self.rng
        fields: list[Any] = list(base)
        if rng.random() < 0.3:
            fields.append(("grpc-timeout", f"{rng.randrange(1, 10**8)}u"))
        if rng.random() < 0.1:
            fields.append((f"x-{rng.randrange(50)}", "v" * rng.randrange(200), rng.random() < 0.5))
        if rng.random() < 0.02:
            fields.append(("content-length", str(rng.randrange(30))))
        if rng.random() < 0.01:
            self.encoder.header_table_size = rng.choice((0, 100, 1000, 4096))
        return self.encoder.encode(fields, huffman=rng.random() < 0.5)

    def begin(self) -> int:
        """The next number of a stream of the peer's."""
        stream_id = self.next_id
        self.next_id += 2
        return stream_id

    def unary(self) -> bytes:
        """A whole request."""
        stream_id = self.begin()
        body = self.rng.randbytes(self.rng.randrange(60))
        return f.frame(f.HEADERS, f.END_HEADERS, stream_id, self.fields(REQUEST)) + f.frame(
            f.DATA, f.END_STREAM, stream_id, body
        )

    def request(self) -> bytes:
        """The fields of one, or all of it."""
        stream_id, end = self.begin(), self.rng.random() < 0.2
        if not end:
            self.open.append(stream_id)
        return f.frame(f.HEADERS, f.END_HEADERS | end, stream_id, self.fields(REQUEST))

    def continued(self) -> bytes:
        """A request whose fields take several frames, with padding and a priority."""
        stream_id, rng = self.begin(), self.rng
        self.open.append(stream_id)
        block = self.fields(REQUEST)
        cut = rng.randrange(len(block) + 1)
        padding = rng.randrange(10)
        first = bytes((padding,)) + bytes(5) + block[:cut] + bytes(padding)
        return f.frame(f.HEADERS, f.PADDED | f.PRIORITIZED, stream_id, first) + f.frame(
            f.CONTINUATION, f.END_HEADERS, stream_id, block[cut:]
        )

    def response(self) -> bytes:
        """A client's: fields of a response."""
        base = [(":status", self.rng.choice(("200", "200", "100", "404"))), ("content-type", "application/grpc")]
        return f.frame(f.HEADERS, f.END_HEADERS | (self.rng.random() < 0.05), self.stream(), self.fields(base))

    def trailers(self) -> bytes:
        """Fields that end a stream."""
        return self.ended(f.frame(f.HEADERS, f.END_HEADERS | f.END_STREAM, *self.of_stream(self.fields([]))))

    def of_stream(self, payload: bytes) -> tuple[int, bytes]:
        """A stream before the payload."""
        return self.stream(), payload

    def ended(self, made: bytes) -> bytes:
        """Forget the stream that this frame ends."""
        stream_id = int.from_bytes(made[5:9], "big")
        if stream_id in self.open:
            self.open.remove(stream_id)
        return made

    def data(self) -> bytes:
        """Some of a body."""
        rng = self.rng
        payload, flags = rng.randbytes(rng.choice((0, 1, 20, 100, 2000))), 0
        if rng.random() < 0.1:
            padding = rng.randrange(256)
            payload, flags = bytes((padding,)) + payload + bytes(padding), f.PADDED
        if rng.random() < 0.2:
            return self.ended(f.frame(f.DATA, flags | f.END_STREAM, self.stream(), payload))
        return f.frame(f.DATA, flags, self.stream(), payload)

    def update(self) -> bytes:
        """More room."""
        return f.window_update_frame(self.rng.choice((0, self.stream())), self.rng.randrange(1, 10_000))

    def reset(self) -> bytes:
        """The end of a stream."""
        if self.rng.random() < 0.5:
            return self.ended(f.rst_stream_frame(self.stream(), self.rng.randrange(14)))
        return self.ended(f.rst_stream_frame(max(self.next_id - 2, 1), 8))

    def settings(self) -> bytes:
        """Windows, frame sizes and tables that change."""
        rng = self.rng
        choices = (
            (1, 0),
            (1, 9000),
            (3, 7),
            (4, 0),
            (4, 100),
            (4, 65_535),
            (4, 10**6),
            (5, 16_384),
            (5, 20_000),
            (99, 1),
        )
        return f.settings_frame(rng.sample(choices, rng.randrange(4)))

    def ping(self) -> bytes:
        """Or the answer to one."""
        return f.frame(f.PING, self.rng.randrange(2), 0, bytes(8))

    def priority(self) -> bytes:
        """It means nothing."""
        return f.frame(f.PRIORITY, 0, self.stream(), bytes(5))

    def unknown(self) -> bytes:
        """A type that nobody knows."""
        return f.frame(self.rng.randrange(10, 256), self.rng.randrange(256), self.rng.randrange(9), b"?")

    def goaway(self) -> bytes:
        """The peer opens no more, it says."""
        return f.goaway_frame(0, 0, b"bye")


class Layer:
    """What stands above a connection, and answers by chance.

    :param rng: the chance.
    :param connection: below it.
    """

    def __init__(self, rng: random.Random, connection: Connection) -> None:
        self.rng = rng
        self.connection = connection
        self.is_failed = False

    def take(self, events: list[ev.Event]) -> None:
        """Answer, or do not."""
        for event in events:
            assert not self.is_failed, "an event after Failed"
            self.is_failed = isinstance(event, ev.Failed)
            if isinstance(event, ev.Requests):
                self.answer(event)
            elif isinstance(event, (ev.Opened, ev.Data, ev.Ended)):
                self.work(event.stream)
        self.move()

    def answer(self, event: ev.Requests) -> None:
        """Requests that lay complete."""
        ids, connection = event.stream_ids, self.connection
        assert len(ids) == len(event.bodies) == len(event.volatiles or ids) > 0
        how = self.rng.randrange(4)
        if how == 0:
            connection.answer_all(ids, self.rng.choice(ANSWERS))
        elif how == 1:
            connection.answer_each(ids, ENVELOPE, [body or b"-" for body in event.bodies])
        elif how == 2:
            for stream_id in ids:
                connection.answer(stream_id, self.rng.choice(ANSWERS))
        else:
            for stream_id in ids:
                connection.adopt(stream_id)

    def work(self, stream: Stream) -> None:
        """Something that a stream allows."""
        if stream.is_gone or stream.trailers is not None or stream.is_local_closed:
            return
        what, connection = self.rng.randrange(12), self.connection
        if what == 0:
            connection.send_headers(stream, HEAD)
            connection.send_data(stream, b"z" * self.rng.choice((0, 1, 100, 40_000)))
        elif what == 1:
            connection.end(stream, self.rng.choice((b"", TAIL)))
        elif what == 2:
            connection.respond(stream, HEAD, b"w" * self.rng.randrange(200), TAIL)
        elif what == 3:
            connection.reset(stream)
        elif what == 4:
            connection.hold(stream)
        elif what == 5:
            connection.release(stream)

    def move(self) -> None:
        """Whatever comes without an event."""
        streams = list(self.connection.streams.values())
        if streams and self.rng.random() < 0.5:
            self.work(self.rng.choice(streams))
        if self.connection.role is Role.CLIENT and len(streams) < MAX_STREAMS and not self.is_failed:
            self.connection.open(HEAD, end=self.rng.random() < 0.3)
        if self.rng.random() < 0.0005:
            self.connection.announce_shutdown()
            self.connection.shut_down()


class Session:
    """One connection and what it is fed.

    :param rng: the chance.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.role = rng.choice((Role.SERVER, Role.SERVER, Role.CLIENT))
        self.connection = Connection(
            self.role, volatile=b"grpc-timeout", max_streams=MAX_STREAMS, max_header_bytes=rng.choice((400, 16_384))
        )
        self.peer = Peer(rng, self.role)
        self.layer = Layer(rng, self.connection)
        self.now = 0.0
        self.most = 20_000  # the longest frame that the peer takes at any time, if its SETTINGS were not spoilt

    def run(self) -> int:
        """Feed it until it fails or has lived long enough, and return the number of frames."""
        rng, count = self.rng, 0
        first = f.settings_frame([(4, rng.choice((0, 100, 65_535, 2**31 - 1)))])
        self.feed((f.PREFACE if self.role is Role.SERVER else b"") + first)
        while count < SESSION_FRAMES and not self.layer.is_failed:
            if self.role is Role.CLIENT:
                self.peer.open = [
                    stream.id for stream in self.connection.streams.values() if not stream.is_remote_closed
                ]
                self.peer.next_id = self.connection._table.last_id + 2
            frames = [self.peer.frame() for _ in range(rng.randrange(1, MAX_READ))]
            count += len(frames)
            data = b"".join(frames)
            cut = rng.randrange(len(data) + 1) if rng.random() < 0.5 else len(data)
            self.feed(data[:cut])
            self.feed(data[cut:])
        return count

    def feed(self, data: bytes) -> None:
        """One read, and a look at what it left."""
        connection = self.connection
        self.now += 0.1
        events = connection.receive(data, self.now)
        if any(isinstance(event, ev.Failed) for event in events):
            assert isinstance(events[-1], ev.Failed), "Failed is not the last"
            assert connection.is_failed
        self.layer.take(events)
        self.check_output(connection.data_to_send())
        assert len(connection._rest) < f.HEAD_SIZE + f.LEAST_MAX_FRAME_SIZE
        assert len(connection.streams) <= MAX_STREAMS or connection.is_failed
        assert len(connection._table.recent_resets) <= RECENT_RESETS
        assert len(connection._early_updates) <= EARLY_UPDATES
        assert len(connection._reader.known) <= MAX_REMEMBERED
        assert len(connection._reader._by_entries) <= MAX_REMEMBERED
        assert not connection._fresh or connection.is_failed
        assert not connection._late_resets
        for stream in connection.streams.values():
            assert stream.state is not State.CLOSED
            assert not stream.pending or min(stream.send_window, connection.send_window) <= 0
            assert bool(stream.pending) is (stream.id in connection._blocked)
        assert connection._table.receiving.keys() <= connection.streams.keys()
        assert connection._blocked.keys() <= connection.streams.keys()

    def check_output(self, data: bytes) -> None:
        """What is sent is whole frames, none too long."""
        self.most = max(self.most, self.connection._peer.frame_size)
        at = len(f.PREFACE) if data.startswith(f.PREFACE) else 0
        while at < len(data):
            word, _, _ = f.HEAD.unpack_from(data, at)
            assert word >> 8 <= self.most
            at += f.HEAD_SIZE + (word >> 8)
        assert at == len(data), "a frame of ours is cut off"


def fuzz(frames: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Run sessions until so many frames went in; what each connection died of is counted.

    :raises AssertionError: or whatever escapes; the message names the seed that repeats it.
    """
    ends: dict[str, int] = {}
    done = sessions = 0
    began = told = time.monotonic()
    while done < frames:
        rng = random.Random(seed + sessions)
        session = Session(rng)
        try:
            done += session.run()
        except Exception as error:
            raise AssertionError(f"seed {seed + sessions}: {error!r}") from error
        sessions += 1
        word = "failed" if session.layer.is_failed else "lived"
        ends[word] = ends.get(word, 0) + 1
        if time.monotonic() - told > 10:
            told = time.monotonic()
            tell(f"{done:,} frames, {sessions:,} connections, {told - began:.0f} s")
    tell(f"{done:,} frames, {sessions:,} connections ({ends}), {time.monotonic() - began:.0f} s")
    return ends


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to feed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first connection (default: %(default)s)")
    options = parser.parse_args()
    fuzz(options.frames, options.seed, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
