"""gRPC requests as HTTP/2 frames, many at a time by numpy. No sockets here."""

from __future__ import annotations

import numpy as np

from perf.load.calls import data_frames, framed
from perf.load.http2 import MOST_DATA_BYTES
from quickpulse.wire.http2.frames import HEAD_SIZE

_STREAM_AT = 5  # in a frame's head


class GrpcRows:
    """Requests that are alike but for the payload and the stream.

    head: a frame that goes before the message in each, or nothing
    payload_bytes: of each message; 0 for messages that have none
    ends: whether each ends its stream
    """

    def __init__(self, head: bytes, payload_bytes: int, *, ends: bool) -> None:
        body = framed(bytes(payload_bytes))
        self.body_bytes = len(body)
        self._row = np.frombuffer(head + data_frames(0, body, ends), np.uint8)
        self.request_bytes = len(self._row)
        self._heads = [_STREAM_AT] if head else []
        self._places: list[tuple[int, int, int]] = []  # of the payload: in the row, in the payload, bytes
        before, at = len(body) - payload_bytes, len(head)
        for start in range(0, len(body), MOST_DATA_BYTES):
            size = min(MOST_DATA_BYTES, len(body) - start)
            self._heads.append(at + _STREAM_AT)
            skipped = max(0, before - start)
            if payload_bytes and size > skipped:
                self._places.append((at + HEAD_SIZE + skipped, start + skipped - before, size - skipped))
            at += HEAD_SIZE + size

    def make(self, streams: np.ndarray, payloads: np.ndarray | None) -> bytes:
        """One request for each stream, with these payloads, one a row."""
        rows = np.empty((len(streams), self.request_bytes), np.uint8)
        rows[:] = self._row
        numbers = streams.astype(">u4").view(np.uint8).reshape(-1, 4)
        for at in self._heads:
            rows[:, at : at + 4] = numbers
        if payloads is not None:
            for at, start, size in self._places:
                rows[:, at : at + size] = payloads[:, start : start + size]
        return rows.tobytes()
