"""A connection's socket, as the loop and threads use it: who may do what, and nothing is lost between them."""

from __future__ import annotations

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.shared_socket import SharedSocket, share


class Transport:
    """The loop's side."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting_bytes = 0
        self.is_reading = True
        self.is_ending = False

    def get_write_buffer_size(self) -> int:
        """What the loop has not written yet."""
        return self.waiting_bytes

    def write(self, data: bytes) -> None:
        """Kept."""
        self.written.append(data)

    def is_closing(self) -> bool:
        """Whether it is about to end."""
        return self.is_ending

    def pause_reading(self) -> None:
        """Read no more."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self.is_reading = True

    def get_extra_info(self, _name: str) -> Any:
        """There is nothing to tell."""
        return None


class SharedSocketTestCase(SynchronousTestCase):
    """One end of a pair is shared."""

    def setUp(self) -> None:
        """Connected."""
        own, self.peer = socket.socketpair()
        self.addCleanup(own.close)
        self.addCleanup(self.peer.close)
        self.transport = Transport()
        self.shared = SharedSocket(self.transport, own)


class WritingTests(SharedSocketTestCase):
    """In the order in which it was said."""

    def test_at_once(self) -> None:
        """What the system takes; how much that is."""
        sent: list[int] = []
        self.assertTrue(self.shared.write(b"hello", sent))
        self.assertEqual(sent, [5])
        self.assertEqual(self.peer.recv(10), b"hello")

    def test_rest(self) -> None:
        """What the system does not take is the loop's to write, and so is all that is said meanwhile."""
        sent = bytes(4_000_000)
        self.assertFalse(self.shared.write(sent, []))
        self.assertFalse(self.shared.is_writable)
        self.assertFalse(self.shared.write(b"last", []))
        self.shared.write_rest()
        self.assertTrue(self.shared.is_writable)
        (rest,) = self.transport.written
        self.peer.setblocking(False)
        received = b""
        while len(received) + len(rest) < len(sent) + 4:
            received += self.peer.recv(1_000_000)
        self.assertEqual(received + rest, sent + b"last")

    def test_behind_the_loop(self) -> None:
        """While the loop has something to write, a thread writes nothing before it."""
        self.transport.waiting_bytes = 1
        self.assertFalse(self.shared.write(b"second", []))
        self.transport.waiting_bytes = 0
        self.shared.write_rest()
        self.assertEqual(self.transport.written, [b"second"])

    def test_over(self) -> None:
        """Nobody is to write the rest when the connection has ended."""
        self.shared.close()
        self.assertTrue(self.shared.write(b"late", []))


class ReadingTests(SharedSocketTestCase):
    """One at a time."""

    def test_not_lent(self) -> None:
        """The loop reads."""
        self.assertFalse(self.shared.begin(object()))

    def test_one_thread(self) -> None:
        """Until it ends its turn; somebody else's end is none."""
        turn = object()
        self.assertTrue(self.shared.lend())
        self.assertFalse(self.transport.is_reading)
        self.assertTrue(self.shared.begin(turn))
        self.assertFalse(self.shared.begin(object()))
        self.peer.send(b"hello")
        self.assertEqual((self.shared.read(), self.shared.read()), (b"hello", b""))
        self.assertFalse(self.shared.end(object()))
        self.assertTrue(self.shared.end(turn))
        self.assertTrue(self.shared.begin(object()))

    def test_taken_back(self) -> None:
        """At once where nobody reads."""
        self.shared.lend()
        self.assertEqual(self.shared.take_back(), b"")
        self.assertTrue(self.transport.is_reading)
        self.assertFalse(self.shared.begin(object()))

    def test_wanted(self) -> None:
        """A thread that reads hands over what it has read, and the loop goes on when it has ended."""
        turn = object()
        self.shared.lend()
        self.shared.begin(turn)
        self.assertEqual(self.shared.take_back(), b"")
        self.assertTrue(self.shared.is_wanted)
        self.assertFalse(self.transport.is_reading)
        self.peer.send(b"for the loop")
        self.assertEqual(self.shared.read(), b"")
        self.assertTrue(self.shared.end(turn))
        self.assertEqual(self.shared.take_back(), b"for the loop")
        self.assertTrue(self.transport.is_reading)

    def test_end(self) -> None:
        """The loop is to see it."""
        turn = object()
        self.shared.lend()
        self.shared.begin(turn)
        self.peer.close()
        self.assertEqual(self.shared.read(), b"")
        self.assertTrue(self.shared.is_wanted)

    def test_about_to_end(self) -> None:
        """Such a connection is not lent, and one that was is not read again."""
        self.transport.is_ending = True
        self.assertFalse(self.shared.lend())
        self.transport.is_ending = False
        self.shared.lend()
        self.transport.is_ending = True
        self.shared.take_back()
        self.assertFalse(self.transport.is_reading)


class ClosingTests(SharedSocketTestCase):
    """The descriptor is closed once, by who uses it last."""

    def test_nobody_reads(self) -> None:
        """At once."""
        self.shared.close()
        self.assertEqual(self.shared.fileno(), -1)

    def test_somebody_reads(self) -> None:
        """That one is woken by the end, and closes it; nobody reads after it."""
        turn = object()
        self.shared.lend()
        self.shared.begin(turn)
        self.shared.close()
        self.assertNotEqual(self.shared.fileno(), -1)
        self.assertEqual(self.shared.read(), b"")
        self.assertFalse(self.shared.end(turn))
        self.assertEqual(self.shared.fileno(), -1)
        self.assertFalse(self.shared.begin(object()))


class ShareTests(SynchronousTestCase):
    """Which sockets are shared."""

    def test_other_transports(self) -> None:
        """Only uvloop's: of others it is not known whether they are in the middle of writing."""
        self.assertIsNone(share(Transport()))
