"""What the peer says of itself, as one frame's payload."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.frames import HEAD_SIZE, MAX_WINDOW, settings_frame
from quickpulse.wire.http2.settings import MAX_SETTINGS, PeerSettings, Setting


def payload(*pairs: tuple[int, int]) -> bytes:
    """Of a SETTINGS frame."""
    return settings_frame(pairs)[HEAD_SIZE:]


class PeerSettingsTests(SynchronousTestCase):
    """PeerSettings."""

    def test_before_anything_is_said(self) -> None:
        """What section 6.5.2 has for it."""
        peer = PeerSettings(False)
        said = peer.window, peer.frame_size, peer.max_streams, peer.must_empty_table
        self.assertEqual(said, (65_535, 16_384, None, False))

    def test_all_of_them(self) -> None:
        """Each has its effect, up to the highest value; what is not known has none."""
        peer = PeerSettings(True)
        peer.take(
            payload(
                (Setting.HEADER_TABLE_SIZE, 4095),
                (Setting.ENABLE_PUSH, 0),
                (Setting.MAX_CONCURRENT_STREAMS, 7),
                (Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW),
                (Setting.MAX_FRAME_SIZE, 2**24 - 1),
                (Setting.MAX_HEADER_LIST_SIZE, 1),
                (0x99, 5),
            )
        )
        said = peer.window, peer.frame_size, peer.max_streams, peer.must_empty_table
        self.assertEqual(said, (MAX_WINDOW, 2**24 - 1, 7, True))

    def test_a_table_as_large_as_ours(self) -> None:
        """Need not be spoken of."""
        peer = PeerSettings(False)
        peer.take(payload((Setting.HEADER_TABLE_SIZE, 4096)))
        self.assertFalse(peer.must_empty_table)

    def test_by_how_much_windows_change(self) -> None:
        """From the value before the frame to the last in it."""
        peer = PeerSettings(False)
        changes = [
            peer.take(payload((Setting.INITIAL_WINDOW_SIZE, 1), (Setting.INITIAL_WINDOW_SIZE, size)))
            for size in (70_000, MAX_WINDOW, 60_000)
        ]
        self.assertEqual(changes, [70_000 - 65_535, MAX_WINDOW - 70_000, 60_000 - MAX_WINDOW])
        self.assertEqual(peer.take(b""), 0)

    def test_out_of_range(self) -> None:
        """Each with the code that its own line of section 6.5.2 gives."""
        for is_client, wrong, code in (
            (False, payload((Setting.ENABLE_PUSH, 2)), ErrorCode.PROTOCOL_ERROR),
            (True, payload((Setting.ENABLE_PUSH, 1)), ErrorCode.PROTOCOL_ERROR),
            (False, payload((Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)), ErrorCode.FLOW_CONTROL_ERROR),
            (False, payload((Setting.MAX_FRAME_SIZE, 16_383)), ErrorCode.PROTOCOL_ERROR),
            (False, payload((Setting.MAX_FRAME_SIZE, 2**24)), ErrorCode.PROTOCOL_ERROR),
            (False, payload((0x99, 0))[:-1], ErrorCode.FRAME_SIZE_ERROR),
            (False, payload(*[(0x99, 0)] * (MAX_SETTINGS + 1)), ErrorCode.ENHANCE_YOUR_CALM),
        ):
            self.assertEqual(self.assertRaises(ConnectionFault, PeerSettings(is_client).take, wrong).code, code)
        PeerSettings(False).take(payload((Setting.ENABLE_PUSH, 1), *[(0x99, 0)] * (MAX_SETTINGS - 1)))
