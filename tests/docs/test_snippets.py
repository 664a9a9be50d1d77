"""Every piece of Python on a page is run as it stands, and prints what it says; every command is run, or says why not.

A comment above a piece says against what: `<!-- run: ws -->`, or another mode: a server with that mode. `ws, filled`:
that, with three messages in the queue `jobs`. `all, tokens`: one that wants the token that the environment has. `none`:
nothing. `pytest`, `trial`: a test. `provider`: a queue's provider. `twistd`: it starts a server. `test_cli`: the tests
of that name run it. `<!-- not run: needs Docker -->`: no test does. Commands without a comment are run by their page's
own tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, TestCase

from quickpulse.interfaces import IMessageQueue
from quickpulse.settings import MODES
from quickpulse.testing import Server
from tests.docs.pages import PAGES, ROOT, Block, blocks, shell_blocks
from tests.docs.running import expected_output, run_python, run_shell, server_of

RUNNERS = {
    "pytest": ("-m", "pytest", "-q", "-p", "no:quickpulse", "-p", "quickpulse.testing.pytest_plugin", "test_page.py"),
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


TOOLS = ("grpcurl", "curl")
"""What commands call, and may not be here."""

PAGES_OF_THEIR_OWN = {"access.md", "cli.md", "http.md", "languages.md"}
"""Their tests run every command that has no comment."""

BASH = shutil.which("bash")


def commands(kind: str | None) -> list[tuple[str, str]]:
    """The blocks of commands that say that they are run so; each with its page's name."""
    return [(page.name, block.text) for page in PAGES for block in shell_blocks(page) if block.run == kind]


class CommandTests(TestCase):
    """What can be pasted into a terminal works."""

    if BASH is None:
        skip = "no bash here"

    def test_each_block_has_a_language(self) -> None:
        """But the banner: so no command is taken for a picture."""
        nameless = [(page.name, block.text) for page in PAGES for block in blocks(page) if not block.language]
        self.assertEqual([page for page, _ in nameless], ["README.md"], nameless)
        for page in PAGES:
            for block in blocks(page):
                self.assertNotIn(block.language, ("shell", "bash", "console"), page.name)

    def test_each_says_how_it_is_run(self) -> None:
        """Or why it is not, or its page has tests that run all."""
        kinds = {*MODES, "none", "twistd", "test_cli"}
        for page in PAGES:
            for block in shell_blocks(page):
                if block.run is None:
                    self.assertIn(page.name, PAGES_OF_THEIR_OWN, block.text)
                    self.assertTrue((ROOT / "tests" / "docs" / f"test_{page.stem}.py").exists())
                else:
                    self.assertIn(block.run, kinds, block.text)

    def test_servers_start(self) -> None:
        """Those that start one do, and listen on the ports that belong to the mode."""
        found = commands("twistd")
        self.assertNotEqual(found, [])
        database = str(Path(self.mktemp()).resolve())
        for page, text in found:
            (line,) = text.splitlines()
            with server_of(line, SQLITE_QUEUE_PATH=database) as ports:
                self.assertIn("HTTP", ports, f"{page}: {line}")

    def run_all(self, kind: str) -> None:
        """Every block of a kind, each against a server of its own."""
        skipped = set()
        for page, text in commands(kind):
            missing = [tool for tool in TOOLS if f"{tool} " in text and shutil.which(tool) is None]
            skipped.update(missing)
            if kind == "none":
                run_shell(text, {})
            elif not missing:
                with Server(mode=kind) as server:
                    self.assertNotEqual(run_shell(text, ports_of(server)), "", page)
        if skipped:
            raise SkipTest(f"no {', '.join(sorted(skipped))} here")

    def test_alone(self) -> None:
        """Those that need nothing."""
        self.run_all("none")

    def test_ws(self) -> None:
        """Those against a server of WebSocket."""
        self.run_all("ws")

    def test_grpc(self) -> None:
        """Those against a server of gRPC."""
        self.run_all("grpc")

    def test_grpc_stream(self) -> None:
        """Those against a server of gRPC's stream."""
        self.run_all("grpc_stream")


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
