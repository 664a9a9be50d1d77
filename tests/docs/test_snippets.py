"""Every piece of Python on a page is run as it stands, and prints what it says.

A comment above it says against what: `<!-- run: ws -->`, or another mode: a server with that mode. `ws, filled`: that,
with three messages in the queue `jobs`. `all, tokens`: one that wants the token that the environment has. `none`:
nothing. `pytest`, `trial`: a test. `provider`: a queue's provider.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from quickpulse.interfaces import IMessageQueue
from quickpulse.settings import MODES
from quickpulse.testing import Server
from tests.docs.pages import README, ROOT, Block, blocks
from tests.docs.running import expected_output, run_python

PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))

RUNNERS = {
    "pytest": ("-m", "pytest", "-q", "-p", "quickpulse.testing.pytest_plugin", "test_page.py"),
    "trial": ("-m", "twisted.trial", "test_page"),
}

FILLED = ", filled"

TOKENS = ", tokens"

SECONDS = 60


def ports_of(server: Server) -> dict[str, str]:
    """Those of what the server serves, by the listeners' names."""
    urls = {"HTTP": server.http_url}
    for name, scheme in (("gRPC", "url"), ("WebSocket", "ws_url")):
        with contextlib.suppress(ValueError):
            urls[name] = getattr(server, scheme)
    return {name: url.rpartition(":")[2] for name, url in urls.items()}


def python_blocks() -> list[tuple[str, Block]]:
    """Those of all pages, each with the page's name."""
    return [(page.name, block) for page in PAGES for block in blocks(page) if block.language == "python"]


class SnippetTests(TestCase):
    """What can be pasted works."""

    def test_each_says_how_it_is_run(self) -> None:
        """None is left out."""
        kinds = {*MODES, *RUNNERS, "none", "provider", f"ws{FILLED}", f"all{TOKENS}"}
        self.assertEqual([(page, block.text) for page, block in python_blocks() if block.run not in kinds], [])

    def run_all(self, kind: str) -> None:
        """Every block of a kind, each against a server of its own."""
        found = [(page, block.text) for page, block in python_blocks() if block.run == kind]
        self.assertNotEqual(found, [])
        for page, source in found:
            expected = expected_output(source)
            self.assertNotEqual(expected, [], f"{page}: it says nothing:\n{source}")
            if kind == "none":
                self.assertEqual(run_python(source, {}).splitlines(), expected, page)
                continue
            settings = {"auth_token_file": self.token_file()} if kind.endswith(TOKENS) else {}
            with Server(mode=kind.partition(",")[0], **settings) as server:
                if kind.endswith(FILLED):
                    with server.connect() as client:
                        client.queue("jobs").publish_many([b"first", b"second", b"third"])
                self.assertEqual(run_python(source, ports_of(server)).splitlines(), expected, page)

    def token_file(self) -> str:
        """With the token that snippets find in the environment."""
        path = Path(self.mktemp())
        path.write_text("a-token", encoding="utf-8")
        path.chmod(0o600)
        os.environ["QUICKPULSE_TOKEN"] = "a-token"
        self.addCleanup(os.environ.pop, "QUICKPULSE_TOKEN")
        return str(path)

    def test_alone(self) -> None:
        """Those that need nothing."""
        self.run_all("none")

    def test_ws(self) -> None:
        """Those over WebSocket."""
        self.run_all("ws")

    def test_ws_filled(self) -> None:
        """Those that find messages."""
        self.run_all(f"ws{FILLED}")

    def test_grpc(self) -> None:
        """Those over gRPC."""
        self.run_all("grpc")

    def test_grpc_stream(self) -> None:
        """Those over a stream."""
        self.run_all("grpc_stream")

    def test_all(self) -> None:
        """Those against a server of every transport."""
        self.run_all("all")

    def test_tokens(self) -> None:
        """Those that show a token."""
        self.run_all(f"all{TOKENS}")

    def test_providers(self) -> None:
        """What they make can be adapted to a queue, and takes a message."""
        found = [block.text for _, block in python_blocks() if block.run == "provider"]
        self.assertNotEqual(found, [])
        for source in found:
            names: dict[str, Any] = {}
            exec(source, names)
            queue = IMessageQueue(names["make_queue"](capacity=10, capacity_bytes=None))
            queue.enqueue(b"one")
            self.assertEqual(queue.dequeue(), b"one")

    def test_tests(self) -> None:
        """Those that are tests pass."""
        for kind, command in RUNNERS.items():
            for page, block in python_blocks():
                if block.run == kind:
                    folder = Path(self.mktemp())
                    folder.mkdir(parents=True)
                    (folder / "test_page.py").write_text(block.text, encoding="utf-8")
                    done = subprocess.run(
                        [sys.executable, *command],
                        cwd=folder,
                        capture_output=True,
                        text=True,
                        timeout=SECONDS,
                        check=False,
                    )
                    self.assertEqual(done.returncode, 0, f"{page}: {done.stdout}{done.stderr}")
