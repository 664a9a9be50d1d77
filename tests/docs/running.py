"""Starts a real server on free ports, and runs snippets against it. Everything is bounded in time."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.docs.pages import ROOT

START_SECONDS = 20.0

SNIPPET_SECONDS = 20.0

SHELL_SECONDS = 60.0

DEFAULT_PORTS = {"WebSocket": "8081", "gRPC": "50051", "HTTP": "8080"}
"""What the pages say; the listener's name is the one that the server logs."""


@contextmanager
def running_server(
    mode: str, *arguments: str, folder: Path = ROOT, variables: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """A server for the time of the block, which runs in a folder; gives the port of each listener by its name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUICKPULSE_")}
    environment |= variables or {}
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("twistd"),
            *("--pidfile=", "-n", "quickpulse", "--mode", mode),
            *("--ws-port", "0", "--grpc-port", "0", "--http-port", "0", *arguments),
        ],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    try:
        ports = _ports(process)
        late.cancel()
        yield ports
    finally:
        late.cancel()
        process.terminate()
        try:
            process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ports(process: subprocess.Popen[str]) -> dict[str, str]:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if re.search(r"QuickPulse \S+, mode ", line):
            return dict(re.findall(r"(\w+) on [\d.]+:(\d+)", line))
    raise AssertionError(f"the server did not start:\n{said}")


@contextmanager
def server_of(command: str, folder: Path = ROOT, **variables: str) -> Iterator[dict[str, str]]:
    """The server that a page's line starts, on free ports; variables that the line sets are set."""
    words = shlex.split(command)
    while "=" in words[0]:
        name, _, variables[name] = words.pop(0).partition("=")
    known, (mode, *arguments) = words[:5], words[5:]
    assert known == ["twistd", "--pidfile=", "-n", "quickpulse", "--mode"], command
    with running_server(mode, *arguments, folder=folder, variables=variables) as ports:
        yield ports


def with_ports(text: str, ports: Mapping[str, str]) -> str:
    """A text with these ports in place of the default ones."""
    for name, port in ports.items():
        text = text.replace(f"127.0.0.1:{DEFAULT_PORTS[name]}", f"127.0.0.1:{port}")
    return text


def bash(text: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Commands in the project's root; both streams are its stdout."""
    return subprocess.run(
        ["bash", "-c", text],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SHELL_SECONDS,
        check=False,
    )


def run_shell(text: str, ports: dict[str, str]) -> str:
    """What commands print on both streams, with these ports in place of the default ones; each must succeed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {f"QUICKPULSE_{name.upper()}_PORT": port for name, port in ports.items()}
    text = with_ports(text, ports)
    done = bash(f"set -eo pipefail\n{text}", environment)
    if done.returncode:
        raise AssertionError(f"status {done.returncode}:\n{text}\n{done.stdout}")
    return done.stdout


def run_python(source: str, ports: dict[str, str]) -> str:
    """What a snippet prints when the default ports in it are replaced by these."""
    source = with_ports(source, ports)
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SNIPPET_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"status {done.returncode}:\n{source}\n{done.stderr}")
    return done.stdout


def expected_output(source: str) -> list[str]:
    """What a snippet says that it prints: the comment behind each print, or the comments that stand alone."""
    lines = []
    for line in source.splitlines():
        behind_print = re.search(r"^\s*print\(.*\)  # (.+)$", line)
        alone = re.search(r"^\s*# (.+)$", line)
        if match := behind_print or alone:
            lines.append(match[1])
    return lines
