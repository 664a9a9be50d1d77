"""Run the Autobahn testsuite's fuzzing client against our echo, and say what it found.

    python tests/interop/conformance/run_autobahn.py path/to/wstest

The suite is not part of this project; CONTRIBUTING.md says where it comes from. Exit status 1: a case failed, the
connection of one ended uncleanly, or cases are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ECHO = Path(__file__).with_name("echo.py")

REPORTS = Path(tempfile.gettempdir(), "autobahn-reports")

SECTIONS = ("1", "2", "3", "4", "5", "6", "7", "9", "10")
"""All but compression (12 and 13), which is not offered; there is no section 8 nor 11."""

CASES = 301
"""How many these are in version 0.8.2."""

SUITE_SECONDS = 1800
"""It takes half a minute; several where the suite has no compiled helpers."""

GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""NON-STRICT: allowed, but not what the suite would do; INFORMATIONAL: no behaviour is asked for."""


def run(wstest: str, reports: Path, frames: str, reactor: str, cases: list[str]) -> dict[str, Any]:
    """Run the suite once, and give its index: case to what was found."""
    agent = f"quickpulse {frames} {reactor}"
    command = [sys.executable, ECHO, "--port", "0", "--ws-frames", frames, "--reactor", reactor]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as echo:
        try:
            address = echo.stdout.readline().removeprefix("echo on ").strip()
            if not address:
                raise RuntimeError("the echo did not start")
            specification = {
                "outdir": str(reports),
                "servers": [{"agent": agent, "url": f"ws://{address}/ws/consume"}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            run_suite(wstest, reports, specification)
            if echo.poll() is not None:
                raise RuntimeError(f"the echo ended with status {echo.returncode}")
        finally:
            echo.terminate()
    return json.loads((reports / "index.json").read_text())[agent]


def run_suite(wstest: str, reports: Path, specification: dict[str, Any]) -> None:
    """Run the fuzzing client; what it says goes to a file beside its reports."""
    reports.mkdir(parents=True, exist_ok=True)
    written = reports / "fuzzingclient.json"
    written.write_text(json.dumps(specification))
    with (reports / "wstest.log").open("w") as log:
        subprocess.run(
            [wstest, "--mode", "fuzzingclient", "--spec", written],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            timeout=SUITE_SECONDS,
            check=True,
        )


def report(found: dict[str, Any]) -> bool:
    """Print the totals, and each case that is not OK; whether all of them are good."""
    for key, meaning in (("behavior", "behaviour"), ("behaviorClose", "close")):
        counts = Counter(case[key] for case in found.values())
        print(f"  {meaning}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    is_good = True
    for name, case in sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        verdicts = case["behavior"], case["behaviorClose"]
        is_good = is_good and GOOD.issuperset(verdicts)
        if verdicts != ("OK", "OK"):
            print(f"  {name}: {verdicts[0]}, close {verdicts[1]} with {case['remoteCloseCode']}")
    return is_good


def main() -> None:
    """Run it for each setting that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wstest", help="the suite's command")
    parser.add_argument("--ws-frames", action="append", choices=("fast", "plain"), help="default: both")
    parser.add_argument("--reactor", choices=("loop", "epoll"), default="loop", help="loop is asyncio over uvloop")
    parser.add_argument("--cases", nargs="+", help="such as 6.*; default: all sections but compression")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the suite writes: default %(default)s")
    arguments = parser.parse_args()
    cases = arguments.cases or [f"{section}.*" for section in SECTIONS]
    is_good = True
    for frames in arguments.ws_frames or ("fast", "plain"):
        started = time.monotonic()
        reports = (arguments.reports / f"{frames}-{arguments.reactor}").resolve()
        found = run(arguments.wstest, reports, frames, arguments.reactor, cases)
        print(f"{frames} frames, {arguments.reactor}: {len(found)} cases in {time.monotonic() - started:.0f} s")
        is_good = report(found) and is_good
        if not arguments.cases and len(found) != CASES:
            print(f"  there should be {CASES} cases")
            is_good = False
    raise SystemExit(0 if is_good else 1)


if __name__ == "__main__":
    main()
