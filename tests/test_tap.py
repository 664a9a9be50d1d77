"""The twistd sub-command in the test's own process: flags, help, errors, the reactor, the garbage collector."""

from __future__ import annotations

import gc
import io
import os
import re
import socket
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet import asyncioreactor
from twisted.logger import globalLogPublisher
from twisted.plugin import getPlugins
from twisted.python.usage import Options as TwistdOptions
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import ListenError
from quickpulse.service import QuickPulseService
from quickpulse.settings import OPTIONS, Settings
from quickpulse.tap import GC_THRESHOLD, Options, install_reactor, makeService
from quickpulse.version import __version__
from tests.serving import ServiceTestCase

REACTOR_MODULE = "twisted.internet.reactor"

MODE_VARIABLES = ("WS_MODE", "RPC_MODE", "RPC_STREAM_MODE")


def bare_environment(**more: str) -> dict[str, str]:
    """This environment without settings."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("QUICKPULSE_") and name not in MODE_VARIABLES
    }
    return {**kept, **more}


class OptionsTests(SynchronousTestCase):
    """Options."""

    def setUp(self) -> None:
        """No settings in the environment."""
        self.patch(os, "environ", bare_environment())

    def parsed(self, *words: str) -> Settings:
        """The settings that these flags make."""
        options = Options()
        options.parseOptions(list(words))
        return options.settings

    def refusal(self, *words: str) -> str:
        """The one line with which these flags end the process."""
        text = str(self.assertRaises(SystemExit, self.parsed, *words).code)
        self.assertNotIn("\n", text)
        self.assertTrue(text.startswith("quickpulse: "), text)
        return text

    def test_mode_alone(self) -> None:
        """Everything else has its default."""
        self.assertEqual(self.parsed("--mode", "ws"), Settings(mode="ws"))

    def test_every_flag(self) -> None:
        """Each option is a flag, in both ways to write it."""
        settings = self.parsed(
            *("--mode=grpc", "--host=::1", "--ws-port", "1", "--grpc-port=2", "--http-port", "3"),
            *("--ws-endpoint=tcp:4", "--grpc-endpoint=tcp:5", "--http-endpoint", "tcp:6", "--capacity=7"),
            *("--capacity-bytes=8", "--max-message-bytes=9", "--allow-origin=https://a.example,https://b.example"),
            *("--ws-frames=plain", "--grpc-server=native", "--max-connections=10", "--max-connections-per-address=11"),
            *("--max-streams=12", "--max-header-bytes=1300", "--max-inflight-bytes=140000", "--handshake-seconds=15"),
            *("--idle-seconds=16", "--stall-seconds=17", "--max-queues=18", "--total-bytes=19"),
            *("--max-batch-bytes=200000", "--auth-token-file=t", "--v0=off", "--http-api=on", "--allow-host=a,b"),
            *("--legacy-metric-names", "--drain-seconds=1.5", "--queue=a:b", "--metrics=memory"),
        )
        where = ("::1", 1, 2, 3, "tcp:4", "tcp:5", "tcp:6")
        origins = ("https://a.example", "https://b.example")
        bounds = ("plain", "native", 10, 11, 12, 1300, 140_000, 15.0, 16.0, 17.0)
        v1 = (18, 19, 200_000, origins, "t", "off", "on", ("a", "b"))
        self.assertEqual(settings, Settings("grpc", *where, 7, 8, 9, *v1, True, *bounds, 1.5, "a:b", "memory"))

    def test_environment(self) -> None:
        """A variable counts where there is no flag."""
        os.environ.update(QUICKPULSE_MODE="ws", QUICKPULSE_WS_PORT="1", QUICKPULSE_HTTP_PORT="2")
        self.assertEqual(self.parsed("--ws-port=3"), Settings("ws", ws_port=3, http_port=2))

    def test_errors_are_one_line(self) -> None:
        """No mode, a bad value, a flag without its value, a word too many."""
        self.assertIn("no mode was chosen", self.refusal())
        self.assertIn("--capacity 'many': expected a whole number", self.refusal("--mode=ws", "--capacity=many"))
        self.assertIn("--capacity", self.refusal("--mode=ws", "--capacity"))
        self.assertIn("argument", self.refusal("--mode=ws", "word"))

    def test_unknown_flags(self) -> None:
        """The nearest flag is offered, if one is near."""
        self.assertIn("did you mean --ws-port?", self.refusal("--mode=ws", "--ws-prot=1"))
        self.assertIn("did you mean --mode?", self.refusal("--mod3", "ws"))
        self.assertNotIn("did you mean", self.refusal("--zzzzzz"))

    def test_help(self) -> None:
        """Each option stands there with its sentence, its default and its variable; so do the ways to choose a mode."""
        shown = re.sub(r"\s+", " ", str(Options()))
        unbroken = shown.replace(" ", "")  # a long line is broken between words, or within them
        for option in OPTIONS:
            self.assertIn(f"--{option.name}", shown)
            self.assertIn(option.full_help.replace(" ", ""), unbroken)
            self.assertIn(f"[default: {option.default_text}; environment: {option.variable}]", option.full_help)
        for word in ("--mode", "QUICKPULSE_MODE", *MODE_VARIABLES):
            self.assertIn(word, unbroken)

    def test_order_of_help(self) -> None:
        """As in the table, where a sentence can refer to the one before; no line is longer than the screen."""
        lines = Options().getUsage(width=70).splitlines()
        flags = [match[1] for line in lines if (match := re.match(r"  --([a-z0-9-]+)", line))]
        self.assertEqual(flags, ["mode", *(option.name for option in OPTIONS), "version", "help"])
        self.assertLessEqual(max(map(len, lines)), 70)

    def test_version(self) -> None:
        """--version prints QuickPulse's own version, not Twisted's, and ends with status 0."""
        said = io.StringIO()
        with redirect_stdout(said):
            ending = self.assertRaises(SystemExit, self.parsed, "--version")
        self.assertEqual((said.getvalue(), ending.code), (f"quickpulse {__version__}\n", 0))


class PluginTests(SynchronousTestCase):
    """What twistd finds."""

    def test_found_by_name(self) -> None:
        """There is one plugin of that name, and it leads to tap."""
        from twisted.application.service import IServiceMaker

        ours = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "quickpulse"]
        self.assertEqual([plugin.module for plugin in ours], ["quickpulse.tap"])
        self.assertIs(ours[0].options, Options)
        self.assertEqual(ours[0].makeService, makeService)

    def test_tap_imports_no_reactor(self) -> None:
        """Twistd imports tap before the reactor is chosen, so tap must leave the choice open."""
        source = "import sys, quickpulse.tap; raise SystemExit('twisted.internet.reactor' in sys.modules)"
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run([sys.executable, "-c", source], cwd=root, timeout=30, check=False)
        self.assertEqual(done.returncode, 0)


class MakeServiceTests(ServiceTestCase):
    """makeService."""

    def setUp(self) -> None:
        """No settings in the environment; the garbage collector is put back after the test."""
        self.patch(os, "environ", bare_environment())
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def options(self, *words: str) -> Options:
        """Parsed flags."""
        options = Options()
        options.parseOptions(["--mode=ws", *words])
        return options

    def under_twistd(self, *words: str, nodaemon: bool) -> Options:
        """Parsed flags, with twistd's own around them."""
        options = self.options("--ws-port=0", "--http-port=0", *words)
        options.parent = TwistdOptions()
        options.parent["nodaemon"] = nodaemon
        return options

    def test_makes_the_service(self) -> None:
        """A MultiService that is not running yet, with the settings of the flags."""
        service = makeService(self.options("--capacity=7"))
        self.assertIsInstance(service, QuickPulseService)
        self.assertIsInstance(service, MultiService)
        self.assertTrue(IService.providedBy(service))
        self.assertFalse(service.running)
        self.assertEqual(service.settings, Settings("ws", capacity=7))
        self.assertEqual(service.queue.capacity, 7)

    def test_calms_the_garbage_collector(self) -> None:
        """Start-up's objects are left out, and the youngest generation is visited less often."""
        makeService(self.options())
        self.assertEqual(gc.get_threshold()[0], GC_THRESHOLD)
        self.assertGreater(gc.get_freeze_count(), 0)

    def test_a_provider_that_does_not_load(self) -> None:
        """One line, status 1."""
        ending = self.assertRaises(SystemExit, makeService, self.options("--queue=nowhere:make"))
        self.assertTrue(str(ending.code).startswith("quickpulse: --queue 'nowhere:make': "), ending.code)
        self.assertNotIn("\n", str(ending.code))

    def test_an_endpoint_that_is_not_valid(self) -> None:
        """Names the flag and the text."""
        ending = self.assertRaises(SystemExit, makeService, self.options("--ws-endpoint=nonsense:1"))
        self.assertTrue(str(ending.code).startswith("quickpulse: --ws-endpoint 'nonsense:1': "), ending.code)

    def taken(self) -> str:
        """A flag for a port that another server has."""
        return f"--ws-port={self.address(self.start('ws').transport).rpartition(':')[2]}"

    def test_taken_port_in_the_foreground(self) -> None:
        """SystemExit with the address, on the real stderr: twistd's log has taken the place of sys.stderr by then."""
        service = makeService(self.under_twistd(self.taken(), nodaemon=True))
        self.patch(sys, "stderr", io.StringIO())
        ending = self.assertRaises(SystemExit, service.startService)
        self.assertRegex(str(ending.code), r"^quickpulse: 127\.0\.0\.1:\d+: Address already in use$")
        self.assertIs(sys.stderr, sys.__stderr__)

    def test_taken_port_of_ipv6(self) -> None:
        """The host is in brackets, so that the port can be told from it."""
        try:
            taken = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            self.skipTest("no IPv6 here")
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        service = makeService(self.under_twistd("--host=::1", f"--ws-port={port}", nodaemon=False))
        error = self.assertRaises(ListenError, service.startService)
        self.assertEqual(str(error), f"[::1]:{port}: Address already in use")

    def test_taken_port_in_a_daemon(self) -> None:
        """An exception, which twistd passes on to the parent; SystemExit would leave the parent waiting."""
        service = makeService(self.under_twistd(self.taken(), nodaemon=False))
        error = self.assertRaises(ListenError, service.startService)
        self.assertRegex(str(error), r"^127\.0\.0\.1:\d+: Address already in use$")


class ReactorTests(SynchronousTestCase):
    """install_reactor."""

    def setUp(self) -> None:
        """Installing is noted, not done."""
        self.installed: list[Any] = []
        self.patch(asyncioreactor, "install", lambda loop=None: self.installed.append(loop))

    def pretend(self, name: str, module: Any) -> None:
        """Until the end of the test, `module` is what is imported by this name; None is not there."""
        before = sys.modules.get(name)
        self.addCleanup(sys.modules.__setitem__ if before else sys.modules.pop, name, before)
        sys.modules[name] = module

    def without_reactor(self) -> None:
        """Pretend that none is installed."""
        self.pretend(REACTOR_MODULE, None)
        del sys.modules[REACTOR_MODULE]

    def test_the_users_choice_is_respected(self) -> None:
        """A reactor is installed, by --reactor or by whoever embeds us: it stays."""
        install_reactor()
        self.assertEqual(self.installed, [])

    def test_uvloop(self) -> None:
        """Where nobody has chosen, it is asyncio over uvloop."""
        self.without_reactor()
        made = object()
        self.pretend("uvloop", SimpleNamespace(new_event_loop=lambda: made))
        install_reactor()
        self.assertEqual(self.installed, [made])

    def test_without_uvloop(self) -> None:
        """It works on asyncio's own loop, and says that this is slower."""
        self.without_reactor()
        self.pretend("uvloop", None)
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        install_reactor()
        self.assertEqual(self.installed, [None])
        self.assertEqual(
            [event["log_format"] for event in events if event["log_level"].name == "warn"],
            ["uvloop is not installed; the event loop is asyncio's own, which is slower"],
        )
