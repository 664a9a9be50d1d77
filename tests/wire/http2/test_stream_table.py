"""Streams by their numbers: idle, open, over."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.frames import MAX_STREAM_ID
from quickpulse.wire.http2.stream_table import RECENT_RESETS, StreamTable
from quickpulse.wire.http2.streams import Stream


class StreamTableTests(SynchronousTestCase):
    """StreamTable."""

    def opened(self, table: StreamTable, stream_id: int = 1) -> Stream:
        """An open stream whose body comes."""
        stream = table.streams[stream_id] = table.receiving[stream_id] = Stream(stream_id, 0, 0)
        return stream

    def test_numbers_of_our_streams(self) -> None:
        """Odd ones, each once; after the last there is none."""
        table = StreamTable(True)
        self.assertEqual([table.take_next_id() for _ in range(3)], [1, 3, 5])
        table.last_id = MAX_STREAM_ID - 2
        self.assertEqual(table.take_next_id(), MAX_STREAM_ID)
        self.assertRaises(ValueError, table.take_next_id)
        self.assertEqual(table.last_id, MAX_STREAM_ID)

    def test_both_ends(self) -> None:
        """A stream is in the table until both sides have said all, and receives until the peer has."""
        for first, second in ((0, 1), (1, 0)):
            table = StreamTable(False)
            stream = self.opened(table)
            ends = table.remote_ended, table.local_ended
            ends[first](stream)
            self.assertEqual((list(table.streams), list(table.receiving)), ([1], [1] if first else []))
            ends[second](stream)
            self.assertEqual((table.streams, table.receiving, stream.is_gone), ({}, {}, True))

    def test_a_reset(self) -> None:
        """It is over at once."""
        table = StreamTable(False)
        stream = self.opened(table)
        table.reset(stream)
        self.assertEqual((table.streams, table.receiving, stream.is_gone), ({}, {}, True))

    def test_idle(self) -> None:
        """Numbers above the highest of their side are PROTOCOL_ERROR."""
        for is_client in (False, True):
            table = StreamTable(is_client)
            table.last_id, table.last_peer_id = (5, 0) if is_client else (0, 5)
            for stream_id in (1, 3, 5):
                table.require_not_idle(stream_id, "DATA")
            for stream_id in (2, 7):
                fault = self.assertRaises(ConnectionFault, table.require_not_idle, stream_id, "DATA")
                self.assertEqual(fault.code, ErrorCode.PROTOCOL_ERROR)

    def test_over(self) -> None:
        """What comes later is STREAM_CLOSED, but for what we have reset, as long as it is remembered."""
        table = StreamTable(False)
        for stream_id in range(1, 2 * RECENT_RESETS + 3, 2):
            table.remember_reset(stream_id)
        table.require_discarded(3, "DATA")
        fault = self.assertRaises(ConnectionFault, table.require_discarded, 1, "DATA")
        self.assertEqual((fault.code, fault.reason), (ErrorCode.STREAM_CLOSED, "DATA on stream 1, which has ended"))

    def test_not_served(self) -> None:
        """What our GOAWAY left out is discarded; a client serves nobody, and discards nothing by it."""
        table = StreamTable(False)
        self.assertFalse(table.is_discarded(MAX_STREAM_ID))
        table.served_id = 5
        self.assertEqual([table.is_unserved(5), table.is_unserved(7), table.is_discarded(7)], [False, True, True])
        self.assertFalse(StreamTable(True).is_unserved(2))
