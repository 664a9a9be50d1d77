"""sd_notify over real datagram sockets, and what the watchdog's variables mean."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.systemd import Notifier


class NotifyTests(SynchronousTestCase):
    """Notifier.notify."""

    def receiver(self, address: str) -> socket.socket:
        """The end of systemd."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(address)
        sock.settimeout(10)
        return sock

    def short_path(self) -> str:
        """A path that fits into a socket's address."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return f"{directory.name}/notify"

    def test_states_in_one_datagram(self) -> None:
        """One line a state."""
        path = self.short_path()
        systemd = self.receiver(path)
        Notifier({"NOTIFY_SOCKET": path}).notify("READY=1", "MAINPID=7")
        self.assertEqual(systemd.recv(100), b"READY=1\nMAINPID=7")

    def test_an_abstract_socket(self) -> None:
        """@ stands for NUL."""
        name = f"quickpulse-test-{os.getpid()}-{id(self)}"
        systemd = self.receiver("\0" + name)
        Notifier({"NOTIFY_SOCKET": "@" + name}).notify("STOPPING=1")
        self.assertEqual(systemd.recv(100), b"STOPPING=1")

    def test_nobody_listens(self) -> None:
        """Without systemd, after its socket went, or with an address that is none: nothing happens."""
        for environment in (
            {},
            {"NOTIFY_SOCKET": ""},
            {"NOTIFY_SOCKET": "/nowhere"},
            {"NOTIFY_SOCKET": "/" + "x" * 300},
        ):
            self.assertIsNone(Notifier(environment).notify("READY=1"))

    def test_without_systemd_no_socket_is_made(self) -> None:
        """notify() costs nothing then."""
        self.patch(socket, "socket", None)
        Notifier({}).notify("WATCHDOG=1")


class WatchdogTests(SynchronousTestCase):
    """Notifier.watchdog_seconds."""

    def seconds(self, **environment: str) -> float | None:
        """As the variables say."""
        return Notifier(environment).watchdog_seconds

    def test_half_of_what_systemd_allows(self) -> None:
        """Microseconds there, seconds here."""
        self.assertEqual(self.seconds(WATCHDOG_USEC="30000000"), 15.0)
        self.assertEqual(self.seconds(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())), 15.0)

    def test_meant_for_another_process(self) -> None:
        """Then it is not ours to answer."""
        self.assertIsNone(self.seconds(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getppid())))

    def test_none(self) -> None:
        """Absent, zero or nonsense."""
        for value in ("0", "", "-5", "soon", "1.5"):
            self.assertIsNone(self.seconds(WATCHDOG_USEC=value), value)
        self.assertIsNone(self.seconds())
