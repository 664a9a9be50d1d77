"""Reading plain client frames without I/O: what is taken, where it stops, and what is lacking."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.websocket import plain_frames
from quickpulse.wire.websocket.plain_frames import frame_stop, lacking_bytes, take_frames_of, take_plain_frames, unmask

LIMIT = 70_000

KEYS = (b"\0\0\0\0", b"\x01\x02\x03\x04", b"\xff\x80\x7f\xfe")

SIZES = (0, 1, 3, 4, 5, 32, 33, 125, 126, 127, 2047, 2048, 65_535, 65_536, LIMIT)
"""Both sides of each place where something is done in another way."""


def frame(payload: bytes, first: int = 0x82, key: bytes = KEYS[1]) -> bytes:
    """A masked frame, made slowly."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 254, size)
    else:
        head = struct.pack("!BBQ", first, 255, size)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class TakeTests(SynchronousTestCase):
    """take_plain_frames."""

    def takes(self, chunk: bytes, payloads: list[bytes], stop: int) -> None:
        """What is taken from `chunk`, and where it stops; behind other bytes as well."""
        self.assertEqual(take_plain_frames(chunk, 0, LIMIT), (payloads, stop))
        self.assertEqual(take_plain_frames(b"\x82behind" + chunk, 7, LIMIT), (payloads, stop + 7))

    def test_every_length_and_key(self) -> None:
        """One frame is a payload, text or binary."""
        for size in SIZES:
            for key in KEYS:
                payload = bytes(i % 128 for i in range(size))
                for first in (0x81, 0x82):
                    chunk = frame(payload, first, key)
                    self.takes(chunk, [payload], len(chunk))

    def test_nothing(self) -> None:
        """No bytes, no frames."""
        self.takes(b"", [], 0)

    def test_runs_of_every_length(self) -> None:
        """Equal frames are taken together; the keys and the payloads differ."""
        for size in range(35):
            for count in (7, 8, 9, 255, 256, 257, 600):
                payloads = [bytes((i + j) % 256 for j in range(size)) for i in range(count)]
                chunk = b"".join(frame(p, 0x82, KEYS[i % 3]) for i, p in enumerate(payloads))
                self.takes(chunk, payloads, len(chunk))

    def test_a_run_that_is_none(self) -> None:
        """The eighth frame begins like the first, but there is another in between."""
        for other in (frame(b"zzz"), frame(b"abcd", 0x81), frame(b"abcd", 0x89), frame(b"12345678901234")):
            chunk = frame(b"abcd") * 3 + other + frame(b"abcd") * 30
            payloads, stop = take_plain_frames(chunk, 0, LIMIT)
            self.assertEqual(payloads[:3], [b"abcd"] * 3)
            self.assertEqual(stop, 30 if other[0] == 0x89 else len(chunk))

    def test_text_in_a_run(self) -> None:
        """Taken up to the first that is no UTF-8."""
        good, bad = frame("zwölf".encode(), 0x81), frame(b"zw\xfflf!", 0x81)
        self.takes(good * 20, ["zwölf".encode()] * 20, 20 * len(good))
        self.takes(good * 12 + bad + good * 9, ["zwölf".encode()] * 12, 12 * len(good))
        self.takes(bad + good * 9, [], 0)
        self.takes(frame(b"\xff") * 9, [b"\xff"] * 9, 63)

    def test_stops_in_front_of_what_is_not_plain(self) -> None:
        """Fragments, control frames, reserved bits and opcodes, no mask, odd lengths, too long, broken text."""
        good = frame(b"good")
        for first in (0x00, 0x01, 0x02, 0x80, 0x83, 0x88, 0x89, 0x8A, 0xC1, 0xC2, 0xA2, 0x92, 0x0A):
            self.takes(good + frame(b"abc", first) + good, [b"good"], len(good))
        for other in (
            b"\x82\x03abc" + bytes(9),
            b"\x82\x7e\x01\x00" + bytes(300),
            b"\x82\xfe\x00\x7d" + bytes(200),
            b"\x82\xff" + struct.pack("!Q", 65_535) + bytes(65_539),
            b"\x82\xff" + struct.pack("!Q", 1 << 63) + bytes(99),
            frame(bytes(LIMIT + 1)),
            frame(b"\xff", 0x81),
            frame(b"\xed\xa0\x80", 0x81),
            frame("ü".encode()[:1], 0x81),
        ):
            self.takes(good * 2 + other, [b"good"] * 2, 2 * len(good))

    def test_stops_in_front_of_what_is_not_complete(self) -> None:
        """Wherever it is cut."""
        for size in (0, 5, 200, 65_536):
            whole = frame(bytes(size))
            for have in {*range(min(len(whole), 20)), len(whole) - 1}:
                self.takes(frame(b"good") + whole[:have], [b"good"], 10)

    def test_the_limit(self) -> None:
        """A payload of so many bytes, and not one more."""
        for limit in (1, 125, 126, 1000):
            over = frame(bytes(limit + 1))
            self.assertEqual(take_plain_frames(over, 0, limit), ([], 0))
            chunk = frame(bytes(limit)) * 9 + over * 9
            self.assertEqual(take_plain_frames(chunk, 0, limit), ([bytes(limit)] * 9, 9 * len(frame(bytes(limit)))))

    def test_long_payloads_go_to_the_function_for_them(self) -> None:
        """It gets the masked bytes and the key."""
        asked: list[tuple[bytes, bytes]] = []

        def unmask_long(payload: bytes, key: bytes) -> bytes:
            asked.append((payload, key))
            return b"unmasked"

        long, short = frame(bytes(plain_frames.LONG_BYTES)), frame(bytes(plain_frames.LONG_BYTES - 1))
        payloads, _ = take_plain_frames(long + short, 0, LIMIT, unmask_long)
        self.assertEqual((payloads[0], len(payloads[1])), (b"unmasked", plain_frames.LONG_BYTES - 1))
        self.assertEqual(asked, [(long[8:], KEYS[1])])

    @given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.binary(min_size=4, max_size=4)), max_size=40))
    @example([(b"x" * 11, False, b"abcd")] * 30)
    def test_any_payloads_and_keys(self, messages: list[tuple[bytes, bool, bytes]]) -> None:
        """What was masked comes out."""
        chunk = b"".join(frame(p.hex().encode() if text else p, 0x81 if text else 0x82, k) for p, text, k in messages)
        expected = [p.hex().encode() if text else p for p, text, _ in messages]
        self.takes(chunk, expected, len(chunk))


class TakeOneKindTests(SynchronousTestCase):
    """take_frames_of."""

    def takes(self, chunk: bytes, payloads: list[bytes], stop: int, first: int = 0x82) -> None:
        """What is taken from `chunk`, and where it stops; behind other bytes as well."""
        self.assertEqual(take_frames_of(first, chunk, 0, LIMIT), (payloads, stop))
        self.assertEqual(take_frames_of(first, b"\x82behind" + chunk, 7, LIMIT), (payloads, stop + 7))

    def test_its_own_kind(self) -> None:
        """As the other function takes them."""
        for size in SIZES:
            for first in (0x81, 0x82):
                chunk = frame(bytes(size), first) + frame(b"b", first)
                self.takes(chunk, [bytes(size), b"b"], len(chunk), first)

    def test_the_other_kind_is_not_taken(self) -> None:
        """First, between, or as the last."""
        for first, other in ((0x82, 0x81), (0x81, 0x82)):
            one, no = frame(b"a", first), frame(b"z", other)
            self.takes(no + one, [], 0, first)
            self.takes(one * 20 + no + one, [b"a"] * 20, 20 * len(one), first)
            self.takes(one + no[:3], [b"a"], len(one), first)

    def test_what_is_not_plain(self) -> None:
        """It stops there, as the other does: at a ping, a fragment, an incomplete frame, and what is too long."""
        one = frame(b"a")
        for rest in (frame(b"", 0x89), frame(b"x", 0x02), one[:-1], one[:1], frame(bytes(LIMIT + 1))):
            self.takes(one + rest, [b"a"], len(one))

    def test_nothing(self) -> None:
        """No bytes, no frames."""
        self.takes(b"", [], 0)

    @given(st.binary(max_size=60), st.sampled_from([0x81, 0x82]))
    def test_any_bytes(self, chunk: bytes, first: int) -> None:
        """Never more than the other takes, and the same ones."""
        payloads, stop = take_frames_of(first, chunk, 0, LIMIT)
        others, _ = take_plain_frames(chunk, 0, LIMIT)
        self.assertEqual(others[: len(payloads)], payloads)
        self.assertLessEqual(stop, len(chunk))


class UnmaskTests(SynchronousTestCase):
    """unmask."""

    def test_as_the_standard_says(self) -> None:
        """RFC 6455, section 5.7: the masked text "Hello"."""
        self.assertEqual(unmask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d"), b"Hello")
        self.assertEqual(unmask(b"", b"\x37\xfa\x21\x3d"), b"")


class LackingTests(SynchronousTestCase):
    """lacking_bytes."""

    def test_until_the_frame_is_complete(self) -> None:
        """So many that nothing can be done before they came; the length, once it is known."""
        for size in (0, 5, 125, 126, 65_535, 65_536):
            whole = frame(bytes(size))
            head = len(whole) - size
            for have in range(1, head):
                lacking = lacking_bytes(b"before" + whole[:have], 6, LIMIT)
                self.assertTrue(0 < lacking <= head - have, (size, have))
            for have in range(head, min(len(whole), head + 9)):
                self.assertEqual(lacking_bytes(b"before" + whole[:have], 6, LIMIT), len(whole) - have)

    def test_a_whole_one(self) -> None:
        """It lacks nothing, whatever follows."""
        for tail in (b"", b"\x82", frame(b"b")):
            self.assertEqual(lacking_bytes(frame(bytes(200)) + tail, 0, LIMIT), 0)

    def test_other_frames(self) -> None:
        """Text, control frames, fragments, no mask, over the limit, a length not in its shortest form."""
        for first in (0x81, 0x89, 0x02, 0x00, 0xC2):
            self.assertEqual(lacking_bytes(frame(b"abcdef", first)[:-1], 0, LIMIT), 0)
        for start in (b"\x82\x05ab", b"\x82\xff" + (LIMIT + 1).to_bytes(8, "big") + bytes(4), b"\x82\xfe\0\x7d1234"):
            self.assertEqual(lacking_bytes(start, 0, LIMIT), 0)


class StopTests(SynchronousTestCase):
    """frame_stop."""

    def test_of_any_frame(self) -> None:
        """Masked or not, with each form of the length, behind other bytes."""
        for size in (0, 5, 125, 126, 65_535, 65_536):
            for whole in (frame(bytes(size), 0x89), frame(bytes(size))):
                self.assertEqual(frame_stop(b"before" + whole + b"after", 6), 6 + len(whole))
                self.assertEqual(frame_stop(b"before" + whole[:-1], 6), 5 + len(whole))
        self.assertEqual(frame_stop(b"\x81\x03abcdef", 0), 5)
        self.assertEqual(frame_stop(b"\x81\x7e\x00\xc8" + bytes(300), 0), 204)

    def test_a_header_that_is_not_complete(self) -> None:
        """The end of what is there."""
        for start in (b"\x81", b"\x81\xfe", b"\x81\xfe\x01", b"\x81\xff\0\0\0\0\0\0\xff"):
            self.assertEqual(frame_stop(start, 0), len(start))
