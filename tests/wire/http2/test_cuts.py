"""Whatever the reads, the same is told: random conversations of a client, cut at random places."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    frame,
    goaway_frame,
    settings_frame,
    window_update_frame,
)
from tests.wire.http2.talk import REQUEST, Talk

steps = st.one_of(
    st.tuples(st.just("unary"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("open"), st.integers(0, 60), st.booleans()),
    st.tuples(st.just("data"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("padded"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("trailers"), st.just(0), st.booleans()),
    st.tuples(st.just("other"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("wrong"), st.integers(0, 5), st.booleans()),
)

OTHERS = (
    frame(PING, 0, 0, bytes(8)),
    frame(PRIORITY, 0, 99, bytes(5)),
    frame(0x99, 0, 0, b"?"),
    settings_frame([(4, 70_000)]),
    window_update_frame(0, 10),
    goaway_frame(0, 0),
)

WRONG = (
    frame(PING, 0, 1, bytes(8)),
    frame(DATA, 0, 0),
    frame(CONTINUATION, 0, 1),
    frame(HEADERS, END_HEADERS, 2, b"\x82"),
    window_update_frame(0, 0),
    frame(DATA, 0, 9_999, b"x"),
)


def conversation(story: list[tuple[str, Any, bool]]) -> bytes:
    """The frames of a client that does this."""
    encoder, frames, going, last = Encoder(), [], [], -1
    for what, value, flag in story:
        fields = [*REQUEST, ("x-v", str(len(frames)))] if flag else REQUEST
        if what in ("unary", "open"):
            last += 2
            block = encoder.encode(fields)
            if what == "unary":
                frames += [frame(HEADERS, END_HEADERS, last, block), frame(DATA, END_STREAM, last, value)]
            else:
                frames += [frame(HEADERS, 0, last, block[:value])]
                frames += [frame(CONTINUATION, END_HEADERS, last, block[value:])]
                going.append(last)
        elif what == "other":
            frames.append(OTHERS[value])
        elif what == "wrong" and flag and value < len(WRONG) and len(frames) > 10:
            frames.append(WRONG[value])
        elif going and what == "trailers":
            frames.append(frame(HEADERS, END_HEADERS | END_STREAM, going.pop(), encoder.encode([("x-end", "1")])))
        elif going and what in ("data", "padded"):
            stream_id = going.pop() if flag else going[0]
            payload = value if what == "data" else b"\x03" + value + bytes(3)
            frames.append(frame(DATA, flag * END_STREAM | (what == "padded") * PADDED, stream_id, payload))
    return b"".join(frames)


class CutTests(SynchronousTestCase):
    """Connection.receive."""

    @settings(max_examples=300, deadline=None)
    @given(st.lists(steps, max_size=25), st.lists(st.integers(0, 3000), max_size=12))
    def test_any_cuts(self, story: list[tuple[str, Any, bool]], cuts: list[int]) -> None:
        """In one read, and in several: requests, bodies, ends, faults and answers of the protocol's own."""
        data = conversation(story)
        whole, cut = Talk(volatile=b"x-v", interpret=self.meaning), Talk(volatile=b"x-v", interpret=self.meaning)
        whole.feed(data)
        places = sorted({0, len(data), *(place for place in cuts if place < len(data))})
        for begin, end in pairwise(places):
            cut.feed(data[begin:end])
        if whole.told.failure is None:
            self.assertEqual(whole.told.account, cut.told.account)
        else:  # what was not complete when the connection failed may have been opened or not
            self.assertEqual((whole.told.failure, whole.told.reason), (cut.told.failure, cut.told.reason))
            self.assertEqual(sorted(whole.told.ended), sorted(cut.told.ended))
        without_room = [[frame for frame in talk.sent() if frame[0] != 8] for talk in (whole, cut)]
        self.assertEqual(*without_room)

    @staticmethod
    def meaning(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """All but the volatile field."""
        return [field for field in fields if field[0] != b"x-v"]
