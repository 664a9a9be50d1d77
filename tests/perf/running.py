"""Runs the tools as a user does: as a process of their own, from the project's root."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """How a run ended; `result` is the JSON object, where there is one."""

    status: int
    result: dict[str, Any]
    output: str
    errors: str


def run_perf(*arguments: str, module: str = "perf", seconds: float = RUN_SECONDS) -> Run:
    """Runs `python -m perf` with these arguments, so long at most."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    result = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return Run(done.returncode, result, done.stdout, done.stderr)


def run_against(port: int, mode: str, *arguments: str) -> Run:
    """A short run against this port, with one producer and one consumer unless the arguments say more."""
    common = ("--mode", mode, "--target", f"127.0.0.1:{port}", "--json", "--idle", "0.2", "--timeout", "5")
    return run_perf(*common, "--producers", "1", "--consumers", "1", "--messages", "200", *arguments)
