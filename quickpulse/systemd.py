"""Telling systemd how the service is (sd_notify(3)). Without systemd every call does nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket that systemd named in NOTIFY_SOCKET.

    :param environment: usually os.environ.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with "@" and means NUL (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = _watchdog_seconds(environment)

    def notify(self, *states: str) -> None:
        """Send states such as "READY=1". A socket that is gone is nobody's loss."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto("\n".join(states).encode(), self._address)
        except OSError:
            pass


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of life, if it wants it from this process: half of WATCHDOG_USEC."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1_000_000 / 2 or None
