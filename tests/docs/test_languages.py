"""docs/languages.md: commands are run in their order, programs beside their packages, where the tools are here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from quickpulse.testing import Server
from tests.docs.pages import ROOT, Block, blocks, shell_blocks

PAGE = ROOT / "docs" / "languages.md"

NODE_MODULES = Path(os.environ.get("TEST_NODE_MODULES") or ROOT / "node_modules")
"""Where `npm install ws @grpc/grpc-js @grpc/proto-loader` put its packages."""

SECONDS = 60.0

OPEN_SECONDS = 5
"""How long a subscription from a shell is open here: enough on a machine that is busy."""


def commands_of(tool: str) -> list[tuple[str, Block]]:
    """The page's commands that call a tool, each with the block behind it."""
    found = blocks(PAGE)
    ours = [block for block in shell_blocks(PAGE) if re.search(rf"\b{tool} -", block.text)]
    return [(block.text, found[place + 1]) for place, block in enumerate(found) if block in ours]


def documents(text: str) -> list[Any]:
    """All JSON documents of a text."""
    decoder = json.JSONDecoder()
    found = []
    text = text.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


class PageTests(SynchronousTestCase):
    """The page."""

    def setUp(self) -> None:
        """A server for each story."""
        self.server = Server().start()
        self.addCleanup(self.server.stop)

    def run_program(self, *command: str, cwd: Path = ROOT) -> str:
        """What a program prints; it must succeed."""
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout

    def commands(self, tool: str) -> None:
        """Each does what stands below it."""
        for needed in (tool, "bash", "sed", "base64"):
            if shutil.which(needed) is None:
                raise SkipTest(f"no {needed} here")
        for command, expected in commands_of(tool):
            text = command.replace("127.0.0.1:50051", self.server.url.rpartition("/")[2])
            text = text.replace("http://127.0.0.1:8080", self.server.http_url).replace(
                "sleep 2", f"sleep {OPEN_SECONDS}"
            )
            said = self.run_program("bash", "-c", text)
            if expected.language == "json":
                self.assertEqual(documents(said), documents(expected.text), text)
            else:
                self.assertEqual(said, expected.text, text)

    def test_grpcurl(self) -> None:
        """By reflection."""
        self.commands("grpcurl")

    def test_curl(self) -> None:
        """A producer and a consumer."""
        self.commands("curl")

    def test_every_command_is_run(self) -> None:
        """None belongs to another tool."""
        ours = [text for tool in ("grpcurl", "curl") for text, _ in commands_of(tool)]
        self.assertCountEqual(ours, [block.text for block in shell_blocks(PAGE) if block.run is None])

    def program(self, name: str, url: str, package: str) -> None:
        """An example for Node prints what the page says."""
        if shutil.which("node") is None:
            raise SkipTest("node is not installed")
        if not (NODE_MODULES / package).is_dir():
            raise SkipTest(f"npm install {package}; TEST_NODE_MODULES says where")
        folder = Path(self.mktemp())
        for part in ("examples", "proto"):
            shutil.copytree(ROOT / part, folder / part)
        (folder / "node_modules").symlink_to(NODE_MODULES.resolve())
        said = self.run_program("node", f"examples/{name}", url.rpartition("/")[2], cwd=folder)
        found = blocks(PAGE)
        (place,) = (place for place, block in enumerate(found) if name in block.text)
        self.assertEqual(said, found[place + 1].text)
        with self.server.connect() as client:
            stats = client.queue("jobs").stats()
        self.assertEqual((stats.ready, stats.leased), (0, 0))

    def test_node_grpc(self) -> None:
        """Over Connect."""
        self.program("queue_client.mjs", self.server.url, "@grpc/grpc-js")

    def test_node_ws(self) -> None:
        """In JSON."""
        self.program("queue_ws_client.mjs", self.server.ws_url, "ws")
