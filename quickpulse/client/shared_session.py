"""A session that several threads use, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, Protocol

from quickpulse.client.calls import Call, Done, Host
from quickpulse.client.options import Options
from quickpulse.client.session import Session
from quickpulse.client.subscribing import Subscribing

SHARED = (
    *("connected", "receive", "lost", "data_to_send", "add_credit", "unsubscribe", "lease", "release", "abandon"),
    *("close",),
)
"""Methods of a session that change it, and want nothing more than the lock."""

OWN_WORK = ("flush", "tick")
"""Those in which it asks by itself: the host is not told."""


class SharedHost(Host, Protocol):
    """What such a session wants beside."""

    def busy(self) -> None:
        """Something is asked, or pushed from now on."""


class SharedSession(Session):
    """The same, by any thread: `ask`, `subscribe`, and all that is named above. The rest is for who holds the lock.

    :ivar lock: held meanwhile; who holds it may call several methods together.
    """

    _host: SharedHost

    def __init__(self, host: SharedHost, options: Options) -> None:
        self.lock = RLock()
        self._is_at_own_work = False
        super().__init__(host, options)

    def ask(self, request: Any, done: Done, now: float, seconds: float | None = None) -> Call:
        """Ask; where it is not the session's own question, the host is told before."""
        with self.lock:
            if not self._is_at_own_work:
                self._host.busy()
            return super().ask(request, done, now, seconds)

    def subscribe(self, subscribing: Subscribing) -> None:
        """Have messages pushed; the host is told before."""
        with self.lock:
            self._host.busy()
            super().subscribe(subscribing)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for a reply, pulls left aside."""
        with self.lock:
            return super().is_quiet


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def locked(self: SharedSession, *arguments: Any) -> Any:
        with self.lock:
            return method(self, *arguments)

    return locked


def _at_own_work(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def at_own_work(self: SharedSession, now: float) -> None:
        with self.lock:
            self._is_at_own_work = True
            try:
                method(self, now)
            finally:
                self._is_at_own_work = False

    return at_own_work


for _name in SHARED:
    setattr(SharedSession, _name, _locked(getattr(Session, _name)))
for _name in OWN_WORK:
    setattr(SharedSession, _name, _at_own_work(getattr(Session, _name)))
