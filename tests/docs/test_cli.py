"""docs/cli.md: its commands are run in their order against a server, and its tables are held against the code."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.app import commands
from quickpulse.cli.exits import Exit
from tests.cli.commands import PATIENT, environment
from tests.docs.pages import README, ROOT, blocks, plain, shell_blocks, table
from tests.docs.running import bash
from tests.interop.server import RealServer

PAGE = ROOT / "docs" / "cli.md"

SCRIPT = f"""#!/bin/sh
exec {sys.executable} -m quickpulse.cli "$@"
"""


def timeless(text: str) -> list[list[str]]:
    """The words of each line, with every duration the same."""
    text = re.sub(r"\d+(\.\d)? (ms|s|min \d+ s)\b", "1 s", text)
    return [line.split() for line in text.splitlines()]


class PageTests(SynchronousTestCase):
    """The page."""

    def shell(self, text: str, url: str) -> str:
        """What a block prints on both streams, with the command as it is here."""
        directory = Path(self.mktemp())
        directory.mkdir()
        script = directory / "quickpulse"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        settings = environment(QUICKPULSE_URL=url, **PATIENT)
        settings["PATH"] = f"{directory.resolve()}:{Path(sys.executable).parent}:{settings['PATH']}"
        return bash(text, settings).stdout

    def test_commands(self) -> None:
        """Each does what stands below it; how long messages wait here is not looked at."""
        if shutil.which("bash") is None:
            self.skipTest("no bash here")
        server = RealServer("grpc")
        self.addCleanup(server.end)
        found = blocks(PAGE)
        ours = shell_blocks(PAGE)
        pairs = [(block.text, found[place + 1]) for place, block in enumerate(found) if block in ours]
        self.assertGreater(len(pairs), 10)
        for text, expected in pairs:
            self.assertEqual(expected.language, "text")
            said = self.shell(text, f"quickpulse://{server.target}")
            self.assertEqual(timeless(said), timeless(expected.text), text)

    def test_the_first_steps(self) -> None:
        """Those of the README do what they say."""
        if shutil.which("bash") is None:
            self.skipTest("no bash here")
        server = RealServer("grpc")
        self.addCleanup(server.end)
        (text,) = (block.text for block in blocks(README) if block.run == "test_cli")
        lines = self.shell(f"set -eo pipefail\n{text}", f"quickpulse://{server.target}").splitlines()
        self.assertEqual([line.split()[0] for line in lines[1:5]], ["PAYLOAD", "1", "2", "3"], lines)
        self.assertEqual(lines[5:8], ["1", "2", "3"])
        self.assertEqual((json.loads(lines[8])["name"], len(lines)), ("jobs", 9))

    def test_every_command_has_its_section(self) -> None:
        """And no section is about another one."""
        headings = re.findall(r"^## ([a-z, ]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual({name for heading in headings for name in heading.split(", ")}, set(commands.commands))

    def test_commands_that_are_not_run(self) -> None:
        """Their options exist."""
        for block in blocks(PAGE):
            for words in re.findall(r"^quickpulse ([a-z].*)$", block.text, re.MULTILINE):
                if block.not_run is not None:
                    name, *arguments = words.partition(" >")[0].split()
                    commands.commands[name].make_context(name, arguments)

    def test_statuses(self) -> None:
        """The table is the table."""
        self.assertEqual([int(row[0]) for row in table(PAGE, "Exit status")], list(Exit))

    def test_options(self) -> None:
        """Those about the server are what every command has, and each command's tables name its own."""
        rows = [[plain(cell) for cell in row] for row in table(PAGE, "Which server")]
        known = {option.opts[0]: option for option in commands.commands["queues"].params}
        for flag, variable, default, _ in rows:
            if flag:
                self.assertEqual(known[flag].envvar, variable)
                self.assertIn(default, ("", str(known[flag].default)))
        for name in ("pub", "sub"):
            written = set(re.findall(r"--[a-z-]+", " ".join(row[0] for row in table(PAGE, name))))
            own = {option.opts[0] for option in commands.commands[name].params if option.opts[0].startswith("--")}
            self.assertEqual(written, own - {"--url", "--token-file", "--ca-file", "--timeout"})
