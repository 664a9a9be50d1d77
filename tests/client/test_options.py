"""What a client may be told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.options import Address, Backoff, Options, milliseconds
from quickpulse.errors import InvalidArgument


class AddressTests(SynchronousTestCase):
    """URLs of servers."""

    def test_good(self) -> None:
        """Names, numbers, and a port where it is not the usual one."""
        self.assertEqual(Address.of("quickpulse://host:1"), Address("host", 1))
        self.assertEqual(Address.of("quickpulse://host/"), Address("host", 50051))
        self.assertEqual(str(Address.of("quickpulse://[::1]:7")), "[::1]:7")

    def test_schemes(self) -> None:
        """Each says what carries the frames, and has the server's own port."""
        for url, port, is_websocket, is_tls in (
            ("quickpulse://h", 50051, False, False),
            ("quickpulses://h", 50051, False, True),
            ("quickpulse+ws://h", 8081, True, False),
            ("quickpulse+wss://h", 8081, True, True),
        ):
            address = Address.of(url)
            self.assertEqual((address.port, address.is_websocket, address.is_tls), (port, is_websocket, is_tls))
            self.assertEqual(Address.of(f"{url.upper()}:7"), Address("h", 7, address.scheme))

    def test_bad(self) -> None:
        """Nothing else is guessed at."""
        for url in (
            "host:1",
            "http://host:1",
            "quickpulse://",
            "quickpulse://h:x",
            "quickpulse://h:70000",
            "quickpulse://h/p",
            "quickpulse+ws://h/ws/v1",
            "quickpulse+ws://h?a=b",
            "quickpulse://[::1",
        ):
            self.assertRaises(InvalidArgument, Address.of, url)

    def test_near_misses(self) -> None:
        """The error says what was meant."""
        for url, meant in (
            ("localhost:50051", "mean quickpulse://localhost:50051?"),
            ("127.0.0.1", "mean quickpulse://127.0.0.1?"),
            ("http://h", "mean quickpulse://?"),
            ("https://h", "mean quickpulses://?"),
            ("ws://h", "mean quickpulse+ws://?"),
            ("wss://h", "mean quickpulse+wss://?"),
            ("quickpulse+tls://h", "mean quickpulses://?"),
            ("redis://h", "quickpulses://"),
        ):
            self.assertIn(meant, str(self.assertRaises(InvalidArgument, Address.of, url)))

    def test_secrets(self) -> None:
        """A token in the URL is refused, and not repeated in what logs get to see."""
        for url in ("quickpulse://secret@h", "quickpulse://:secret@h", "http://me:secret@h"):
            error = self.assertRaises(InvalidArgument, Address.of, url)
            self.assertNotIn("secret", str(error))
            self.assertIn("token", str(error))


class OptionsTests(SynchronousTestCase):
    """How a client behaves."""

    def test_token(self) -> None:
        """It cannot make headers of its own."""
        for good in ("aB0-._~+/=", "", None):
            Options(token=good)
        for token in ("a b", "a\r\nX: y", "\u20ac", "a\n"):
            self.assertRaises(InvalidArgument, Options, token=token)


class BackoffTests(SynchronousTestCase):
    """Waits between attempts."""

    def test_doubles_to_a_bound(self) -> None:
        """And begins anew after success."""
        backoff = Backoff(Options(first_backoff_seconds=1, max_backoff_seconds=5), lambda: 1.0)
        self.assertEqual([backoff.next_seconds() for _ in range(5)], [1, 2, 4, 5, 5])
        backoff.succeeded()
        self.assertEqual(backoff.next_seconds(), 1)
        for _ in range(5000):
            backoff.next_seconds()

    def test_jitter_is_full(self) -> None:
        """From no wait at all on."""
        self.assertEqual(Backoff(Options(), lambda: 0.0).next_seconds(), 0)


class MillisecondTests(SynchronousTestCase):
    """Times as users say them."""

    def test_rounding(self) -> None:
        """What is more than nothing does not become nothing."""
        self.assertEqual([milliseconds(each) for each in (0, 0.0001, 1.5)], [0, 1, 1500])
