"""The orderly end, with fakes: who closes when, what is said, and what a second signal does. No process ends here."""

from __future__ import annotations

import atexit
import os
import signal
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from quickpulse import lifecycle
from quickpulse.lifecycle import Lifecycle


class Reactor(Clock):
    """A clock that can be stopped, and keeps what should run when it runs."""

    def __init__(self, story: list[str]) -> None:
        super().__init__()
        self.story = story
        self.when_running: list[Any] | None = None

    def callWhenRunning(self, call: Any, *arguments: Any) -> None:
        """At once, unless the test is before the start."""
        if self.when_running is None:
            call(*arguments)
        else:
            self.when_running.append(call)

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """At once."""
        call(*arguments)

    def stop(self) -> None:
        """The end."""
        self.story.append("reactor stops")


class Listener:
    """A transport that tells the story and fires when the test says."""

    def __init__(self, name: str, story: list[str]) -> None:
        self.name, self.story = name, story
        self.listening: Deferred[None] = Deferred()
        self.drained: Deferred[None] = Deferred()

    def when_listening(self) -> Deferred[None]:
        """The test's."""
        return self.listening

    def drain(self, seconds: float) -> Deferred[None]:
        """The test's."""
        self.story.append(f"{self.name} drains for {seconds:g} s")
        return self.drained


class Notes:
    """Systemd's side."""

    def __init__(self, story: list[str], watchdog_seconds: float | None) -> None:
        self.story, self.watchdog_seconds = story, watchdog_seconds

    def notify(self, *states: str) -> None:
        """Into the story."""
        self.story.append(" ".join(states))


class LifecycleTestCase(SynchronousTestCase):
    """Makes a lifecycle of two transports and HTTP, and listens to its log."""

    def setUp(self) -> None:
        """Everything writes into one story."""
        self.story: list[str] = []
        self.begun: list[list[str]] = []  # the story so far, each time that a drain began
        self.logged: list[str] = []
        self.patch(lifecycle, "_log", Logger("test", observer=self.observe))
        self.ends: list[Any] = []
        self.patch(atexit, "register", lambda *call: self.ends.append(call))
        self.reactor = Reactor(self.story)
        self.first, self.second, self.http = (Listener(name, self.story) for name in ("first", "second", "http"))
        self.addCleanup(self.restore_signals, [(n, signal.getsignal(n)) for n in self.numbers])

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)

    reload: Any = None

    @staticmethod
    def restore_signals(before: list[tuple[int, Any]]) -> None:
        """As they were."""
        for number, previous in before:
            signal.signal(number, previous)

    def observe(self, event: Any) -> None:
        """Level and text, and the error of a failure."""
        failure = event.get("log_failure")
        text = formatEvent(event) + (f": {failure.value}" if failure else "")
        self.logged.append(f"{event['log_level'].name}: {text}")

    def started(self, *, is_process: bool = True, watchdog_seconds: float | None = None) -> Lifecycle:
        """One that waits for its listeners."""
        made = Lifecycle(
            self.reactor,
            [self.first, self.second],
            self.http,
            lambda: self.begun.append(list(self.story)),
            8.0,
            lambda: self.story.append("report"),
            Notes(self.story, watchdog_seconds),
            lambda: self.story.append("announce"),
            reload=self.reload,
            is_process=is_process,
        )
        made.startService()
        return made

    def up(self, **settings: Any) -> Lifecycle:
        """One whose listeners are all up; the story begins after that."""
        made = self.started(**settings)
        for listener in (self.first, self.second, self.http):
            listener.listening.callback(None)
        self.story.clear()
        return made


class StartTests(LifecycleTestCase):
    """From starting to ready."""

    def test_ready_when_all_listen(self) -> None:
        """Announced and told to systemd after the last listener, not before."""
        service = self.started()
        self.first.listening.callback(None)
        self.http.listening.callback(None)
        self.assertEqual((self.story, service.is_listening), ([], False))
        self.second.listening.callback(None)
        self.assertEqual(self.story, ["announce", f"READY=1 MAINPID={os.getpid()}"])
        self.assertTrue(service.is_listening)

    def test_signs_of_life(self) -> None:
        """As often as systemd wants, until the service stops; the stop is safe to repeat."""
        service = self.up(watchdog_seconds=15.0)
        self.reactor.pump([15.0, 15.0])
        self.assertEqual(self.story, ["WATCHDOG=1"] * 2)
        service.stopService()
        self.reactor.advance(60)
        self.assertEqual(self.story, ["WATCHDOG=1"] * 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        service.startService()
        service.stopService()

    def test_no_watchdog_no_signs(self) -> None:
        """Where systemd does not ask, nothing is scheduled."""
        self.up()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_listener_fails(self) -> None:
        """The process ends with status 1, and the log has the reason."""
        service = self.started()
        self.first.listening.callback(None)
        self.second.listening.errback(OSError("taken"))
        self.assertEqual(self.logged, ["critical: a listener failed: taken"])
        self.assertEqual((self.story, self.ends), (["reactor stops"], [(os._exit, 1)]))
        self.assertFalse(service.is_listening)

    def test_a_listener_fails_inside_somebody_elses_process(self) -> None:
        """It is logged; the process is not ours to end."""
        self.started(is_process=False)
        self.second.listening.errback(OSError("taken"))
        self.assertEqual(self.logged, ["critical: a listener failed: taken"])
        self.assertEqual((self.story, self.ends), ([], []))

    def test_two_listeners_fail(self) -> None:
        """One end is enough."""
        self.started()
        self.first.listening.errback(OSError("taken"))
        self.second.listening.errback(OSError("taken too"))
        self.assertEqual((self.story, len(self.ends)), (["reactor stops"], 1))


class DrainTests(LifecycleTestCase):
    """The order of the end."""

    def test_messages_first_then_http(self) -> None:
        """Systemd is told, both transports drain together, then the report, and HTTP closes last."""
        service = self.up()
        done = service.drain()
        together = ["STOPPING=1", "first drains for 8 s", "second drains for 8 s"]
        self.assertTrue(service.is_draining)
        self.first.drained.callback(None)
        self.assertEqual(self.story, together)
        self.second.drained.callback(None)
        self.assertEqual(self.story, [*together, "report", "http drains for 8 s"])
        self.assertNoResult(done)
        self.http.drained.callback(None)
        self.assertIsNone(self.successResultOf(done))

    def test_who_waits_hears_first(self) -> None:
        """Before any transport drains, and once."""
        service = self.up()
        service.drain()
        service.drain()
        self.assertEqual(self.begun, [["STOPPING=1"]])

    def test_again(self) -> None:
        """A second call drains nothing twice, and fires as well, also after the end."""
        service = self.up()
        both = [service.drain(), service.drain()]
        for listener in (self.first, self.second, self.http):
            listener.drained.callback(None)
        for done in (*both, service.drain()):
            self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.story.count("first drains for 8 s"), 1)

    def test_a_transport_that_does_not_drain(self) -> None:
        """It is logged, and the end goes on."""
        done = self.up().drain()
        self.first.drained.errback(OSError("stuck"))
        self.second.drained.callback(None)
        self.http.drained.callback(None)
        self.assertEqual(self.logged, ["critical: a transport did not drain: stuck"])
        self.assertIsNone(self.successResultOf(done))

    def test_a_transport_that_raises(self) -> None:
        """Likewise when it fails before it gives a Deferred: the others drain all the same."""

        def broken(seconds: float) -> Deferred:
            raise OSError("broken")

        self.first.drain = broken
        self.second.drained = self.http.drained = succeed(None)
        self.assertIsNone(self.successResultOf(self.up().drain()))
        self.assertEqual(self.logged, ["critical: a transport did not drain: broken"])
        self.assertEqual(self.story, ["STOPPING=1", "second drains for 8 s", "report", "http drains for 8 s"])

    def test_http_fails_to_close(self) -> None:
        """It is logged, and the end is the end."""
        done = self.up().drain()
        self.first.drained.callback(None)
        self.second.drained.callback(None)
        self.http.drained.errback(OSError("stuck"))
        self.assertEqual(self.logged, ["critical: the drain failed: stuck"])
        self.assertIsNone(self.successResultOf(done))


class SignalTests(LifecycleTestCase):
    """SIGTERM and SIGINT."""

    def all_drained(self) -> None:
        """Nothing holds the end up."""
        for listener in (self.first, self.second, self.http):
            listener.drained.callback(None)

    def test_the_first_drains(self) -> None:
        """The reactor stops when all is closed, with status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.setUp()
            service = self.up()
            service.signalled(number)
            self.assertEqual(self.logged, [f"info: {number.name}: draining, for 8 s at most"])
            self.assertNotIn("reactor stops", self.story)
            self.all_drained()
            self.assertEqual((self.story[-1], self.ends), ("reactor stops", []))

    def test_the_second_stops(self) -> None:
        """At once, with status 1; a third, and the drain's late end, change nothing."""
        service = self.up()
        service.signalled(signal.SIGTERM)
        service.signalled(signal.SIGINT)
        self.assertEqual(self.logged[-1], "warn: SIGINT again: stopping at once")
        service.signalled(signal.SIGTERM)
        self.all_drained()
        self.assertEqual((self.story.count("reactor stops"), self.ends), (1, [(os._exit, 1)]))
        self.assertEqual(len(self.logged), 2)

    def test_a_drain_that_has_ended(self) -> None:
        """A signal after somebody else's drain stops at once."""
        service = self.up()
        service.drain()
        self.all_drained()
        service.signalled(signal.SIGTERM)
        self.assertEqual(self.story[-1], "reactor stops")

    def test_real_signals_reach_it(self) -> None:
        """The handlers are there once the reactor runs, not before: its own would replace them."""
        self.reactor.when_running = []
        before = [signal.getsignal(number) for number in self.numbers]
        self.up()
        self.assertEqual([signal.getsignal(number) for number in self.numbers], before)
        self.reactor.when_running.pop(0)()
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(self.logged, ["info: SIGTERM: draining, for 8 s at most"])

    def test_inside_somebody_elses_process(self) -> None:
        """Signals are not ours there."""
        before = [signal.getsignal(number) for number in self.numbers]
        self.up(is_process=False)
        self.assertEqual([signal.getsignal(number) for number in self.numbers], before)

    def test_reload(self) -> None:
        """SIGHUP is ours where there is something to read again, in the reactor's thread; else it is as it was."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.up()
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
        self.setUp()
        self.reload = lambda: self.story.append("reload")
        self.up()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(self.story.count("reload"), 2)

    def test_log_rotation(self) -> None:
        """SIGUSR1 would end a process without a log file: ignored. twistd's own handler for a log file stays."""
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.up()
        self.assertIs(signal.getsignal(signal.SIGUSR1), signal.SIG_IGN)

        def rotate(number: int, frame: Any) -> None:
            """Twistd's."""

        self.setUp()
        signal.signal(signal.SIGUSR1, rotate)
        self.up()
        self.assertIs(signal.getsignal(signal.SIGUSR1), rotate)
