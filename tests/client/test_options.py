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

    def test_bad(self) -> None:
        """Nothing else is guessed at."""
        for url in (
            "host:1",
            "http://host:1",
            "quickpulse://",
            "quickpulse://h:x",
            "quickpulse://h:70000",
            "quickpulse://h/p",
        ):
            self.assertRaises(InvalidArgument, Address.of, url)


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
        self.assertEqual([milliseconds(each) for each in (0, 0.0001, 1.5, -1)], [0, 1, 1500, -1000])
