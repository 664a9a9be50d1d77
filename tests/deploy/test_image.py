"""The container image, as far as its files tell."""

from __future__ import annotations

import importlib.util
import json
import re

from twisted.trial.unittest import TestCase

from quickpulse.settings import OPTIONS, Settings, read_settings
from tests.deploy.files import ROOT, instructions


class DockerfileTests(TestCase):
    """What the Dockerfile promises."""

    def setUp(self) -> None:
        """Read it; the last stage is the image."""
        self.all = instructions()
        starts = [number for number, (word, _) in enumerate(self.all) if word == "FROM"]
        self.image = self.all[starts[-1] :]

    def the(self, word: str) -> str:
        """The one instruction of this kind in the image."""
        (argument,) = [argument for kind, argument in self.image if kind == word]
        return argument

    def environment(self) -> dict[str, str]:
        """The environment that the image sets for the server."""
        return dict(pair.split("=", 1) for pair in self.the("ENV").split())

    def test_base_image_is_an_argument(self) -> None:
        """Every stage starts from the same base, which a build argument names."""
        self.assertEqual(self.all[0], ("ARG", "BASE_IMAGE=python:3.13-slim"))
        bases = {argument.split()[0] for word, argument in self.all if word == "FROM"}
        self.assertEqual(bases, {"${BASE_IMAGE}"})

    def test_no_newer_syntax(self) -> None:
        """An older builder understands it: no heredocs, no syntax line, no mounts."""
        self.assertNotRegex((ROOT / "Dockerfile").read_text(), r"(?m)^# *syntax=|<<|--mount")

    def test_user_is_a_number_and_not_root(self) -> None:
        """Kubernetes can tell that the user is not root only where it is a number."""
        self.assertRegex(self.the("USER"), r"^[1-9]\d*:[1-9]\d*$")

    def test_plugin_cache_is_written_by_root(self) -> None:
        """The cache is there before the user loses the right to write it."""
        words = [word for word, _ in self.image]
        self.assertIn("getPlugins", self.the("RUN"))
        self.assertLess(words.index("RUN"), words.index("USER"))

    def test_exposes_the_default_ports(self) -> None:
        """The ports are the server's defaults."""
        defaults = {option.name: option.default for option in OPTIONS}
        ports = {str(defaults[name]) for name in ("grpc-port", "ws-port", "http-port")}
        self.assertEqual(set(self.the("EXPOSE").split()), ports)

    def test_entry_point_is_not_a_shell(self) -> None:
        """The server is process 1 itself, so that it gets the signals."""
        self.assertEqual(json.loads(self.the("ENTRYPOINT")), ["twistd", "--pidfile=", "-n", "quickpulse"])
        self.assertNotIn("CMD", [word for word, _ in self.image])

    def test_stop_signal_drains(self) -> None:
        """`docker stop` sends the signal that the server drains at."""
        self.assertEqual(self.the("STOPSIGNAL"), "SIGTERM")

    def test_health_check_is_ours(self) -> None:
        """The health check runs a module of the package, without a shell."""
        command = json.loads(self.the("HEALTHCHECK").partition("CMD ")[2])
        self.assertEqual(command[:2], ["python", "-m"])
        self.assertIsNotNone(importlib.util.find_spec(command[2]))

    def test_unary_grpc_unless_told_otherwise(self) -> None:
        """The image alone serves unary gRPC on every interface."""
        settings = read_settings({}, self.environment())
        self.assertEqual(settings, Settings(mode="grpc", host="0.0.0.0"))

    def test_other_modes_by_environment(self) -> None:
        """The documented `docker run -e` arguments choose the other modes."""
        stream = {"RPC_MODE": "0", "RPC_STREAM_MODE": "1"}
        self.assertEqual(read_settings({}, self.environment() | stream).mode, "grpc_stream")
        websocket = {"WS_MODE": "1", "RPC_MODE": "0"}
        self.assertEqual(read_settings({}, self.environment() | websocket).mode, "ws")
        self.assertEqual(read_settings({}, self.environment() | {"QUICKPULSE_MODE": "all"}).mode, "all")

    def test_build_context_has_what_is_copied(self) -> None:
        """What COPY wants, .dockerignore lets through, and nothing else."""
        wanted = {
            source
            for word, argument in self.all
            if word == "COPY" and not argument.startswith("--")
            for source in argument.split()[:-1]
        }
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertIn("*", lines)
        self.assertEqual({line[1:] for line in lines if line.startswith("!")}, wanted)


class WheelTests(TestCase):
    """What the image installs."""

    def test_every_package_is_in_the_wheel(self) -> None:
        """What pyproject.toml leaves out is missed only where the install is not an editable one."""
        metadata = (ROOT / "pyproject.toml").read_text()
        listed = re.search(r"(?ms)^packages = \[(.*?)^\]", metadata)
        assert listed is not None
        there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "quickpulse").rglob("*.py")}
        self.assertEqual(there - set(re.findall(r'"([\w.]+)"', listed[1])), set())
