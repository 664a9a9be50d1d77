"""Frames: what we make is what an independent library reads, and the other way round."""

from __future__ import annotations

import numpy as np
from twisted.trial import unittest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from perf import websocket_frames as frames

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70000)


def read_by_library(sent: bytes) -> list[Frame]:
    """Every frame in these bytes, as a server reads them."""
    reader = StreamReader()
    reader.feed_data(sent)
    reader.feed_eof()
    found = []
    while True:
        parsing = Frame.parse(reader.read_exact, mask=True)
        try:
            next(parsing)
        except StopIteration as done:
            found.append(done.value)
        except EOFError:
            return found


class ClientFrameTests(unittest.TestCase):
    """Masked frames."""

    def test_single_ones(self) -> None:
        """Of any size and kind."""
        for size in SIZES:
            payload = bytes(range(256)) * (size // 256 + 1)
            payload = payload[:size]
            (frame,) = read_by_library(frames.client_frame(frames.TEXT, payload))
            self.assertEqual((frame.opcode, bytes(frame.data), frame.fin), (Opcode.TEXT, payload, True))

    def test_many_at_once(self) -> None:
        """A row each, in order."""
        for size in (16, 125, 126, 70000):
            rows = np.random.default_rng(1).integers(0, 256, (5, size), np.uint8)
            read = read_by_library(frames.client_frames(rows))
            self.assertEqual([bytes(frame.data) for frame in read], [row.tobytes() for row in rows])
            self.assertEqual({frame.opcode for frame in read}, {Opcode.BINARY})


class ServerFrameTests(unittest.TestCase):
    """Frames without a mask."""

    def serialized(self, *payloads: bytes) -> bytes:
        """Binary frames by the library."""
        return b"".join(Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads)

    def test_cut_at_every_byte(self) -> None:
        """The whole frames of any beginning, and no more."""
        sent = self.serialized(b"", b"a" * 125, b"b" * 126)
        ends = [2, 2 + 127, 2 + 127 + 130]
        for length in range(len(sent) + 1):
            read = list(frames.server_frames(sent[:length]))
            self.assertEqual([end for *_, end in read], [end for end in ends if end <= length])

    def test_sizes(self) -> None:
        """Every form of the length."""
        for size in SIZES:
            sent = self.serialized(b"x" * size)
            self.assertEqual(frames.frame_bytes(sent), len(sent))
            self.assertEqual(list(frames.server_frames(sent)), [(True, frames.BINARY, b"x" * size, len(sent))])

    def test_size_is_more_than_there_is_while_unknown(self) -> None:
        """So that the caller waits for more."""
        sent = self.serialized(b"x" * 70000)
        for length in range(11):
            self.assertGreater(frames.frame_bytes(sent[:length]), length)

    def test_masked_is_an_error(self) -> None:
        """A server does not mask."""
        sent = frames.client_frame(frames.TEXT, b"x")
        self.assertRaises(frames.FrameError, list, frames.server_frames(sent))

    def test_reserved_bit_is_an_error(self) -> None:
        """No extension was agreed on."""
        self.assertRaises(frames.FrameError, list, frames.server_frames(b"\xc2\x01x"))
