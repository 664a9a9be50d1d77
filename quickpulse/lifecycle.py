"""The orderly end: signals, the order in which things close, and what is said about it. Nothing is served here."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, FirstError, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.events import Event
from quickpulse.systemd import Notifier

_log = Logger()


class Lifecycle(Service):
    """Says when the service is up, drains it on the first signal, and stops it at once on the second.

    :param reactor: stopped at the end.
    :param transports: the listeners of messages, ITransportService each.
    :param http: the HTTP listener, which closes last, so that /readyz can say 503 meanwhile.
    :param begin_drain: called first when the end begins.
    :param drain_seconds: the longest time that the end may take.
    :param report_left: called when the drain has ended, to say what is lost.
    :param notifier: the way to systemd.
    :param announce: called once all listeners are up.
    :param reload: called at SIGHUP; None: that signal is not ours.
    :param is_process: whether signals and the process's end are ours; not so inside somebody else's process.
    """

    name = "lifecycle"

    def __init__(
        self,
        reactor: Any,
        transports: list[Any],
        http: Any,
        begin_drain: Callable[[], None],
        drain_seconds: float,
        report_left: Callable[[], None],
        notifier: Notifier,
        announce: Callable[[], None],
        *,
        reload: Callable[[], None] | None = None,
        is_process: bool,
    ) -> None:
        self.is_draining = self.is_listening = self._is_stopping = False
        self._reactor = reactor
        self._transports = transports
        self._http = http
        self._begin_drain = begin_drain
        self._drain_seconds = drain_seconds
        self._report_left = report_left
        self._notifier = notifier
        self._announce = announce
        self._reload = reload
        self._is_process = is_process
        self._watchdog: LoopingCall | None = None
        self._drained = Event()

    def startService(self) -> None:
        """Wait for the listeners; they are started before this service."""
        super().startService()
        if self._is_process:
            # After the reactor has installed its own handlers, or they would replace ours.
            self._reactor.callWhenRunning(self._install_signal_handlers)
        listening = [transport.when_listening() for transport in [*self._transports, self._http]]
        DeferredList(listening, fireOnOneErrback=True, consumeErrors=True).addCallbacks(self._up, self._not_up)

    def stopService(self) -> None:
        """Stop the signs of life."""
        super().stopService()
        if self._watchdog is not None and self._watchdog.running:
            self._watchdog.stop()

    def drain(self) -> Deferred[None]:
        """Close in order: messages' listeners first, all together, then HTTP. Fires when done; safe to call again."""
        if not self.is_draining:
            self.is_draining = True
            self._notifier.notify("STOPPING=1")
            self._begin_drain()
            ends = [maybeDeferred(transport.drain, self._drain_seconds) for transport in self._transports]
            closed: Deferred[Any] = DeferredList(ends, consumeErrors=True).addCallback(self._messages_closed)
            closed.addErrback(lambda failure: _log.failure("the drain failed", failure))
            closed.addCallback(self._drained.happened)
        return self._drained.wait()

    def _messages_closed(self, results: list[tuple[bool, Any]]) -> Any:
        for succeeded, failure in results:
            if not succeeded:
                _log.failure("a transport did not drain", failure)
        self._report_left()
        return self._http.drain(self._drain_seconds)

    def _up(self, _: Any) -> None:
        self.is_listening = True
        self._announce()
        self._notifier.notify("READY=1", f"MAINPID={os.getpid()}")
        if self._notifier.watchdog_seconds is not None:
            # Made only now: it imports the global reactor, which a server inside of a test has no use for.
            self._watchdog = LoopingCall(self._notifier.notify, "WATCHDOG=1")
            self._watchdog.clock = self._reactor
            self._watchdog.start(self._notifier.watchdog_seconds)

    def _not_up(self, failure: Failure) -> None:
        first = failure.value.subFailure if isinstance(failure.value, FirstError) else failure
        _log.failure("a listener failed", first)
        if self._is_process:
            self._stop(failed=True)

    def _install_signal_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: self._reactor.callFromThread(self.signalled, number))
        if self._reload is not None:
            reload = self._reload
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(reload))
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
            # twistd rotates its log file at this signal; without a log file it would end the process.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def signalled(self, number: int) -> None:
        """Drain at the first signal; stop at the second."""
        name = signal.Signals(number).name
        if self._is_stopping:
            return
        if self.is_draining:
            _log.warn("{name} again: stopping at once", name=name)
            self._stop(failed=True)
            return
        _log.info("{name}: draining, for {seconds:g} s at most", name=name, seconds=self._drain_seconds)
        self.drain().addCallback(lambda _: self._stop(failed=False))

    def _stop(self, *, failed: bool) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        if failed:
            # twistd has no way to give its status; what it has to tidy up is done before atexit runs.
            atexit.register(os._exit, 1)
        self._reactor.callWhenRunning(self._reactor.stop)  # at once, or as soon as it has started
