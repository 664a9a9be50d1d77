"""Frames as bytes: what we write is what hyperframe's reader, h2's, reads."""

from __future__ import annotations

from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import frames as f
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode


def parsed(data: bytes) -> Frame:
    """By hyperframe."""
    frame, size = Frame.parse_frame_header(memoryview(data[:9]))
    assert size == len(data) - 9
    frame.parse_body(memoryview(data[9:]))
    return frame


class FrameTests(SynchronousTestCase):
    """One builder for each frame that we send, and the readers."""

    def test_any_frame(self) -> None:
        """Length, type, flags and stream lie where section 4.1 says."""
        self.assertEqual(f.frame(f.PING, f.ACK, 0x01020304, b"12345678"), b"\0\0\x08\x06\x01\x01\x02\x03\x0412345678")
        self.assertEqual(f.frame(f.DATA, 0, 1, bytes(70_000))[:3], (70_000).to_bytes(3, "big"))

    def test_settings(self) -> None:
        """There and back."""
        frame = parsed(f.settings_frame([(4, 2**31 - 1), (0x99, 7)]))
        assert isinstance(frame, SettingsFrame)
        self.assertEqual(frame.settings, {4: 2**31 - 1, 0x99: 7})
        self.assertEqual(f.read_settings(f.settings_frame([(1, 2), (3, 4)])[9:]), [(1, 2), (3, 4)])

    def test_the_others(self) -> None:
        """RST_STREAM, WINDOW_UPDATE, GOAWAY."""
        reset, update = parsed(f.rst_stream_frame(7, 8)), parsed(f.window_update_frame(0, 5))
        away = parsed(f.goaway_frame(9, 11, b"why"))
        assert isinstance(reset, RstStreamFrame)
        assert isinstance(update, WindowUpdateFrame)
        assert isinstance(away, GoAwayFrame)
        self.assertEqual((reset.stream_id, reset.error_code), (7, 8))
        self.assertEqual((update.stream_id, update.window_increment), (0, 5))
        self.assertEqual((away.last_stream_id, away.error_code, away.additional_data), (9, 11, b"why"))

    def test_reserved_bits(self) -> None:
        """The first bit of GOAWAY's stream means nothing."""
        self.assertEqual(f.read_goaway(b"\x80\0\0\x05\0\0\0\x01why"), (5, 1, b"why"))
        self.assertEqual(f.read_number(b"\x80\0\0\x05"), 2**31 + 5)

    def test_padding(self) -> None:
        """It is cut off; as long as the frame is too long (section 6.1)."""
        self.assertEqual(f.unpadded(0, b"\x01ab"), b"\x01ab")
        self.assertEqual(f.unpadded(f.PADDED, b"\x01ab"), b"a")
        self.assertEqual(f.unpadded(f.PADDED | f.END_STREAM, b"\x02ab"), b"")
        for wrong, code in ((b"", ErrorCode.FRAME_SIZE_ERROR), (b"\x03ab", ErrorCode.PROTOCOL_ERROR)):
            self.assertEqual(self.assertRaises(ConnectionFault, f.unpadded, f.PADDED, wrong).code, code)

    def test_forms(self) -> None:
        """Each type has one, and none is longer than what we say that we take."""
        self.assertEqual(sorted(f.FORMS), list(range(f.CONTINUATION + 1)))
        for least, most, _ in f.FORMS.values():
            self.assertTrue(0 <= least <= most <= f.LEAST_MAX_FRAME_SIZE)
