"""The runner of the Autobahn testsuite: what it says of what the suite found. In place of the suite stands a script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.conformance import run_autobahn
from tests.interop.server import ROOT

OK = {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000}

SUITE = """#!{python}
import json, sys, pathlib
asked = json.loads(pathlib.Path(sys.argv[sys.argv.index("--spec") + 1]).read_text())
server = asked["servers"][0]
assert server["url"].startswith("ws://127.0.0.1:"), server
found = dict.fromkeys([case.replace("*", "1") for case in asked["cases"]], {case})
(pathlib.Path(asked["outdir"]) / "index.json").write_text(json.dumps({{server["agent"]: found}}))
"""


class RunTests(SynchronousTestCase):
    """What it prints, and the status it ends with."""

    def run_suite(self, case: dict[str, Any], *arguments: str) -> tuple[int, str]:
        """Run a suite that finds `case` for each of its cases."""
        place = Path(self.mktemp()).resolve()
        place.mkdir()
        suite = place / "wstest"
        suite.write_text(SUITE.format(python=sys.executable, case=json.dumps(case)))
        suite.chmod(0o755)
        done = subprocess.run(
            [sys.executable, run_autobahn.__file__, suite, "--reports", place / "reports", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},  # for the echo, as it is a script
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_all_good(self) -> None:
        """Both settings are run; nothing but totals is said."""
        status, said = self.run_suite(OK, "--cases", "1.1.1", "7.1.1")
        self.assertEqual(status, 0, said)
        self.assertIn("fast frames, loop: 2 cases", said)
        self.assertIn("plain frames, loop: 2 cases", said)
        self.assertEqual(said.count("behaviour: 2 OK"), 2)

    def test_allowed(self) -> None:
        """What is allowed but not OK is listed, and is no failure."""
        status, said = self.run_suite({**OK, "behavior": "NON-STRICT"}, "--cases", "6.4.1", "--ws-frames", "fast")
        self.assertEqual(status, 0, said)
        self.assertIn("6.4.1: NON-STRICT, close OK with 1000", said)

    def test_unclean(self) -> None:
        """A connection that ended uncleanly is a failure."""
        status, said = self.run_suite({**OK, "behaviorClose": "UNCLEAN"}, "--cases", "7.1.1", "--ws-frames", "plain")
        self.assertEqual(status, 1, said)
        self.assertIn("7.1.1: OK, close UNCLEAN", said)

    def test_missing(self) -> None:
        """A suite that ran fewer cases than there are has not passed."""
        status, said = self.run_suite({**OK}, "--ws-frames", "fast")
        self.assertEqual(status, 1, said)
        self.assertIn("there should be 301 cases", said)
