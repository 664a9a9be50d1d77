"""docs/http.md against a port: its commands are run in their order, and its tables are held against the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread

from quickpulse.transports import http, http_body, http_v1
from quickpulse.wire.v1.table import ROWS
from tests.docs.pages import ROOT, blocks, plain, table
from tests.transports.http_port import PortTestCase

PAGE = ROOT / "docs" / "http.md"


class PageTests(PortTestCase):
    """The page."""

    @inlineCallbacks
    def test_commands(self):
        """Each does what stands below it."""
        if shutil.which("curl") is None or shutil.which("bash") is None:
            self.skipTest("no curl here")
        found = blocks(PAGE)
        pairs = [(block.text, found[place + 1]) for place, block in enumerate(found) if block.language == "sh"]
        self.assertEqual(len(pairs), 5)
        for command, expected in pairs:
            command = command.replace("127.0.0.1:8080", self.server.addresses[0])
            done = yield deferToThread(subprocess.run, ["bash", "-c", command], capture_output=True, timeout=20)
            output = done.stdout.decode()
            if expected.language == "json":
                self.assertEqual(json.loads(output), json.loads(expected.text), command)
            else:
                self.assertEqual(output, expected.text, command)

    def test_paths(self):
        """Every request that has a path is named, and no other."""
        rows = [[plain(cell) for cell in row] for row in table(PAGE, "v1 over HTTP")]
        words = set(re.findall(r"\w+", rows[0][1]))
        own = {row[0] for row in rows[1:]}
        for row in ROWS:
            if row.http is not None:
                method, path = row.http
                self.assertTrue(row.name in words or f"{method} {path}" in own, row.name)
        self.assertLess(words, {row.name for row in ROWS if row.http})

    def test_bounds(self):
        """As the code has them."""
        rows = {row[0]: plain(row[1]) for row in table(PAGE, "Bounds")}
        self.assertEqual(rows["all bodies that are on their way"], f"{http_body.MOST_HELD_BYTES >> 20} MiB")
        self.assertEqual(rows["time for a body"], f"{http_body.BODY_SECONDS:.0f} s")
        self.assertEqual(rows["pulls that wait, and subscriptions"], f"{http_v1.MOST_OPEN:,}")
        self.assertEqual(rows["connections of the port"], f"{http.MAX_CONNECTIONS:,}")
        self.assertEqual(rows["time between two requests"], f"{http.IDLE_SECONDS} s")
        self.assertEqual(rows["a peer that reads nothing"], f"{http.STALL_SECONDS:.0f} s")
