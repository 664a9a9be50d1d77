"""Flow: what is under way on a real socket, as the kernel counts it."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.flow import HeldReader, knows_arrivals, unacknowledged_bytes


class SocketLike:
    """The parts of a TCP transport that are looked at."""

    def __init__(self, sock: socket.socket, buffered: bytes = b"") -> None:
        self.sock = sock
        self.fileno = sock.fileno
        self.dataBuffer = buffered
        self.offset = 0
        self._tempDataLen = 3


class ReaderTests(SynchronousTestCase):
    """HeldReader."""

    def test_who_was_passed_over(self) -> None:
        """Told once and in order when the peer reads, unless it waits no more."""
        reader, told = HeldReader(), []
        self.assertFalse(reader.is_held)
        reader.hold()
        acts = [lambda: told.append("a"), lambda: told.append("b"), lambda: told.append("c")]
        for act in (*acts, acts[0]):
            reader.when_released(act)
        reader.forget(acts[1])
        reader.forget(acts[1])
        self.assertEqual((reader.is_held, told), (True, []))
        reader.release()
        reader.release()
        self.assertEqual((reader.is_held, told), (False, ["a", "c"]))


class UnacknowledgedTests(SynchronousTestCase):
    """Bytes that the peer's kernel has not confirmed."""

    def test_buffer_and_kernel_together(self) -> None:
        """What waits in Twisted's buffers counts, and what the kernel could not get rid of."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        ours = socket.create_connection(listener.getsockname())
        self.addCleanup(ours.close)
        peer, _ = listener.accept()
        self.addCleanup(peer.close)
        ours.setblocking(False)
        written = 0
        try:
            while True:
                written += ours.send(b"x" * 65536)
        except BlockingIOError:
            pass
        unread = unacknowledged_bytes(SocketLike(ours, b"1234567"))
        self.assertGreater(unread, 10)
        self.assertLessEqual(unread, written + 10)

    def test_without_a_socket_only_the_buffer_is_known(self) -> None:
        """A closed socket has nothing to say."""
        sock = socket.socket()
        sock.close()
        self.assertEqual(unacknowledged_bytes(SocketLike(sock, b"1234567")), 10)

    def test_a_transport_that_has_no_buffer(self) -> None:
        """TLS hides it."""
        self.assertEqual(unacknowledged_bytes(object()), 0)


class ArrivalsTests(SynchronousTestCase):
    """A transport that can tell what its peer's kernel has confirmed."""

    def test_written_less_arrived(self) -> None:
        """Whatever is in which buffer; the end of the connection may be confirmed as well."""
        telling = SocketLike(socket.socket(), b"1234567")
        self.addCleanup(telling.sock.close)
        telling.acknowledged_bytes = lambda: 8
        self.assertTrue(knows_arrivals(telling))
        self.assertEqual(unacknowledged_bytes(telling, 10), 2)
        self.assertEqual(unacknowledged_bytes(telling, 7), 0)

    def test_one_that_cannot(self) -> None:
        """Then the buffers are looked at."""
        for transport in (object(), SocketLike(socket.socket(), b"")):
            self.assertFalse(knows_arrivals(transport))
        silent = SocketLike(socket.socket(), b"1234567")
        silent.acknowledged_bytes = lambda: None
        self.assertFalse(knows_arrivals(silent))
        silent.sock.close()
        self.assertEqual(unacknowledged_bytes(silent, 100), 10)
