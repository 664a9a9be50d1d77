"""The systemd units, by their text, and by systemd's own judgement where it is installed."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import TestCase

from quickpulse.settings import Settings, read_settings
from tests.deploy.files import SYSTEMD, run_tool, unit_settings

WORST_EXPOSURE = 2.0
"""Of 10, as `systemd-analyze security` counts."""


class ServiceTests(TestCase):
    """What quickpulse.service promises."""

    def setUp(self) -> None:
        """Read it."""
        self.settings = unit_settings("quickpulse.service")
        self.last = dict(self.settings)

    def environment(self) -> dict[str, str]:
        """The environment that the unit sets for the server."""
        lines = [value for key, value in self.settings if key == "Environment"]
        return dict(pair.split("=", 1) for line in lines for pair in line.split())

    def test_says_itself_when_it_is_ready(self) -> None:
        """The unit waits for READY=1, and for signs of life after that."""
        self.assertEqual(self.last["Type"], "notify")
        self.assertGreater(int(self.last["WatchdogSec"]), 0)

    def test_notifications_have_a_way(self) -> None:
        """AF_UNIX stays allowed: sd_notify goes over it."""
        self.assertIn("AF_UNIX", self.last["RestrictAddressFamilies"].split())

    def test_is_killed_only_after_the_drain(self) -> None:
        """The server has more time to stop than it drains at most."""
        self.assertGreater(float(self.last["TimeoutStopSec"]), Settings(mode="ws").drain_seconds)

    def test_user_of_its_own(self) -> None:
        """It runs as a user that exists only while it runs."""
        self.assertEqual(self.last["DynamicUser"], "yes")
        self.assertEqual(self.last["CapabilityBoundingSet"], "")

    def test_restarts_after_a_failure(self) -> None:
        """A crash is followed by a new start; an orderly end is not."""
        self.assertEqual(self.last["Restart"], "on-failure")

    def test_settings_file_is_optional(self) -> None:
        """It starts without a settings file."""
        self.assertRegex(self.last["EnvironmentFile"], "^-/")

    def test_environment_is_understood(self) -> None:
        """The server takes the unit's environment, and serves WebSocket by it."""
        self.assertEqual(read_settings({}, self.environment()).mode, "ws")

    def test_endpoints_name_the_sockets(self) -> None:
        """Each endpoint asks for the file descriptor that its socket unit hands over."""
        settings = read_settings({}, self.environment())
        for endpoint, unit in (
            (settings.ws_endpoint, "quickpulse-ws.socket"),
            (settings.http_endpoint, "quickpulse-http.socket"),
        ):
            name = dict(unit_settings(unit))["FileDescriptorName"]
            self.assertEqual(endpoint, f"systemd:domain=INET:name={name}")


class SocketTests(TestCase):
    """What the socket units promise."""

    def test_loopback_only(self) -> None:
        """They listen on the server's default ports, for this machine only."""
        defaults = Settings(mode="ws")
        for unit, port in (("ws", defaults.ws_port), ("http", defaults.http_port)):
            socket = dict(unit_settings(f"quickpulse-{unit}.socket"))
            self.assertEqual(socket["ListenStream"], f"127.0.0.1:{port}")
            self.assertEqual(socket["Service"], "quickpulse.service")


class SystemdAnalyzeTests(TestCase):
    """What systemd itself says."""

    def test_verify_is_clean(self) -> None:
        """`systemd-analyze verify` has nothing to say, given a program to start."""
        directory = Path(self.mktemp())
        directory.mkdir()
        units = []
        for unit in SYSTEMD.iterdir():
            copy = directory / unit.name
            copy.write_text(unit.read_text().replace("/opt/quickpulse/bin/twistd", "/bin/true"))
            units.append(str(copy.resolve()))
        said = run_tool(self, "systemd-analyze", "verify", *units)
        self.assertNotIn("quickpulse", said)

    def test_little_exposure(self) -> None:
        """`systemd-analyze security` finds little left to take away."""
        unit = str(SYSTEMD / "quickpulse.service")
        said = run_tool(self, "systemd-analyze", "security", "--offline=true", "--no-pager", unit)
        level = re.search(r"Overall exposure level for quickpulse.service: ([\d.]+)", said)
        assert level is not None, said
        self.assertLess(float(level[1]), WORST_EXPOSURE)
