"""Every piece of JavaScript on a page is run: in a browser on a page of the server's, or by Node beside its packages.

A comment above it says where: `<!-- run: browser -->`, `<!-- run: node -->`; `browser, tokens`: the server wants a
token.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from quickpulse.client import Options, connect
from quickpulse.testing import Server
from tests.browser import CHROMIUM, Browser
from tests.docs.pages import PAGES, ROOT, blocks
from tests.docs.running import with_ports
from tests.docs.test_languages import NODE_MODULES
from tests.docs.test_snippets import ports_of

KINDS = ("browser", "browser, tokens", "node")

SECONDS = 60.0

TOKEN = "a-token+with/both"

HARNESS = """
globalThis.said = [];
console.log = word => said.push(typeof word === "string" ? word : JSON.stringify(word));
(async token => {
%s
if (typeof socket !== "undefined") socket.onopen = () => said.push(`open: ${socket.protocol}`);
})("%s").catch(error => said.push(String(error)));
"""


def snippets(kind: str) -> list[str]:
    """The blocks that say that they are run so."""
    return [block.text for page in PAGES for block in blocks(page) if block.run == kind]


def expected_output(source: str) -> list[str]:
    """What a snippet says that it prints."""
    return re.findall(r"[;>]\s+// (.+)$", source, re.MULTILINE)


class SnippetTests(SynchronousTestCase):
    """What can be pasted works."""

    def test_each_says_where_it_is_run(self) -> None:
        """None is left out."""
        for page in PAGES:
            for block in blocks(page):
                self.assertNotIn(block.language, ("js", "mjs"), page.name)
                if block.language == "javascript":
                    self.assertIn(block.run, KINDS, f"{page.name}: {block.text}")

    def start(self, **settings: str) -> Server:
        """A server of all modes."""
        server = Server(**settings).start()
        self.addCleanup(server.stop)
        return server

    def page(self, server: Server, source: str) -> Browser:
        """A page of the server, which runs a snippet."""
        if CHROMIUM is None:
            raise SkipTest("there is no Chromium here")
        browser = Browser(f"{server.http_url}/livez")
        self.addCleanup(browser.close)
        browser.until("document.body?.innerText.startsWith('ok')")
        browser.run(HARNESS % (with_ports(source, ports_of(server)), TOKEN) + "true")
        return browser

    def test_websocket(self) -> None:
        """README's publishes and consumes."""
        (source,) = (text for text in snippets("browser") if "/ws/publish" in text)
        browser = self.page(self.start(), source)
        browser.until("said.length === 2")
        self.assertEqual(browser.run("said"), expected_output(source))

    def test_events(self) -> None:
        """What is published comes as an event."""
        server = self.start()
        (source,) = (text for text in snippets("browser") if "EventSource" in text)
        browser = self.page(server, source)
        with server.connect() as client:
            client.queue("jobs").publish(b"one")
        browser.until("said.length")
        self.assertEqual(browser.run("said"), ['["one"]'])

    def test_tokens(self) -> None:
        """They are shown as a subprotocol, and as a header of what fetch reads."""
        path = Path(self.mktemp())
        path.write_text(TOKEN, encoding="utf-8")
        path.chmod(0o600)
        server = self.start(auth_token_file=str(path))
        with connect(server.url, options=Options(token=TOKEN)) as client:
            client.queue("jobs").publish(b"one")
        socket, stream = snippets("browser, tokens")
        browser = self.page(server, socket)
        browser.until("said.length")
        self.assertEqual(browser.run("said"), ["open: quickpulse.v1.json"])
        browser = self.page(server, stream)
        browser.until("said.join('').includes('\"texts\":[\"one\"]')")

    def test_node(self) -> None:
        """It prints what it says."""
        if shutil.which("node") is None:
            raise SkipTest("node is not installed")
        if not (NODE_MODULES / "@grpc").is_dir():
            raise SkipTest("npm install @grpc/grpc-js @grpc/proto-loader; TEST_NODE_MODULES says where")
        server = self.start()
        (source,) = snippets("node")
        folder = Path(self.mktemp())
        shutil.copytree(ROOT / "proto", folder / "proto")
        (folder / "node_modules").symlink_to(NODE_MODULES.resolve())
        (folder / "program.cjs").write_text(with_ports(source, ports_of(server)), encoding="utf-8")
        done = subprocess.run(
            ["node", "program.cjs"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual((done.stderr, done.stdout.splitlines()), ("", expected_output(source)))
