"""The README says what is so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from urllib.request import Request, urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.trial.unittest import SkipTest, TestCase

from quickpulse.banner import BANNER, TAGLINE
from quickpulse.metrics.traffic import REFUSALS, TRANSPORTS
from quickpulse.settings import OPTIONS
from tests.docs.pages import PAGES, README, ROOT, blocks, plain, prose, table
from tests.docs.running import running_server

COMMANDS = """\
python -m pip install . && twistd --pidfile= -n quickpulse --mode ws
python -m pip install -e '.[test]' --config-settings editable_mode=compat && trial tests
"""

SUFFIXES = {"counter": "_total", "info": "_info"}
"""What a sample's name has more than its family's."""


def served_metrics(http_port: str) -> dict[str, tuple[str, set[str]]]:
    """The project's own metrics of a running server: name -> (type, labels)."""
    request = Request(f"http://127.0.0.1:{http_port}/metrics", headers={"Accept": "application/openmetrics-text"})
    with urlopen(request, timeout=10) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    return {
        family.name + SUFFIXES.get(family.type, ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
        if not family.name.startswith(("process_", "python_"))
    }


class OpeningTests(TestCase):
    """The first things that a reader sees."""

    def test_banner_and_tagline(self) -> None:
        """It opens with the banner that the server shows, and the tagline."""
        text = README.read_text(encoding="utf-8")
        self.assertTrue(text.startswith(f"```{BANNER.rstrip()}\n```\n\n{TAGLINE}\n"), text[:500])

    def test_commands(self) -> None:
        """The two commands stand together in one block, as they are to be pasted."""
        self.assertIn(COMMANDS, [block.text for block in blocks(README)])


class TableTests(TestCase):
    """Tables are compared cell by cell with what the code has."""

    def test_settings(self) -> None:
        """The settings' table is the table of options, with --mode before it."""
        mode, *rows = [[plain(cell) for cell in row] for row in table(README, "Settings")]
        self.assertEqual(mode[:2], ["--mode", "QUICKPULSE_MODE"])
        options = [[f"--{o.name}", o.variable, o.default_text, plain(o.help)] for o in OPTIONS]
        self.assertEqual(rows, options)

    def test_metrics(self) -> None:
        """The metrics' table has what a running server exposes: names, types and labels."""
        with running_server("ws") as ports:
            served = served_metrics(ports["HTTP"])
        rows = [[plain(cell) for cell in row] for row in table(README, "Metrics")]
        written = {
            name: (kind, {label.strip() for label in labels.split(",") if label.strip()})
            for name, kind, labels, _ in rows
        }
        self.assertEqual(written, served)

    def test_labels(self) -> None:
        """Each value of the closed sets of labels is named."""
        text = prose(README)
        for word in (*TRANSPORTS, *REFUSALS):
            self.assertIn(f"`{word}`", text)

    def test_parts(self) -> None:
        """Each part of the architecture is where the table says."""
        for names, _, where in table(README, "Architecture"):
            source = (ROOT / where.partition("](")[2].rstrip(")")).read_text(encoding="utf-8")
            for name in names.replace(", also called ", ", ").split(", "):
                if name.startswith("`"):
                    self.assertRegex(source, rf"(?m)^(class )?{plain(name)}\b")


class CommandTests(TestCase):
    """What can be pasted into a terminal."""

    def test_flags_exist(self) -> None:
        """Each flag that a twistd command of a page uses is one of the server's."""
        known = {"--mode", "--pidfile", "--logfile", "--version", "--help", "--reactor"}
        known |= {f"--{option.name}" for option in OPTIONS}
        for page in PAGES:
            for block in blocks(page):
                for line in block.text.splitlines():
                    if line.startswith(("twistd ", "PYTHONPATH=. twistd ")):
                        flags = {word.partition("=")[0] for word in line.split() if word.startswith("--")}
                        self.assertEqual(flags - known, set(), f"{page.name}: {line}")


class MakefileTests(TestCase):
    """The verbs."""

    def test_help_lists_every_verb(self) -> None:
        """`make help` names what CONTRIBUTING.md names."""
        if shutil.which("make") is None:
            raise SkipTest("there is no make")
        done = subprocess.run(
            ["make", "help", f"PYTHON={sys.executable}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        verbs = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
        written = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        self.assertTrue(verbs, done.stderr)
        for verb in verbs - {"help"}:
            self.assertIn(f"`{verb}`", written)
