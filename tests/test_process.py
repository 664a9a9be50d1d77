"""The real process: how `twistd quickpulse` starts, refuses to start, and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.wire import frame as client_frame
from tests.interop.wire import read_frames, upgrade

ROOT = Path(__file__).resolve().parents[1]

TWISTD = Path(sys.executable).with_name("twistd")

SECONDS = 20.0
"""For a start or an end on a busy machine; each takes less than one second."""

FREE_PORTS = ("--ws-port", "0", "--grpc-port", "0", "--http-port", "0")

FOREGROUND = ("--pidfile=", "-n")


def ask_ws(port: int, path: str, payloads: list[bytes]) -> list[bytes]:
    """The answer to each of these messages on one WebSocket."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        sock.sendall(upgrade(path))
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(4096)
        assert data.startswith(b"HTTP/1.1 101 "), data
        data = data.partition(b"\r\n\r\n")[2]
        sock.sendall(b"".join(map(client_frame, payloads)))
        while len(answers := [answer for _, answer in read_frames(data)]) < len(payloads):
            part = sock.recv(4096)
            assert part, f"the server ended the connection after {answers}"
            data += part
        return answers


class ProcessTestCase(SynchronousTestCase):
    """Starts twistd in a directory of the test's own."""

    def setUp(self) -> None:
        """An empty directory, and an environment without settings."""
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        ours = ("QUICKPULSE_", "WS_MODE", "RPC_", "NOTIFY_SOCKET", "WATCHDOG_")
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        self.environment["PYTHONPATH"] = str(ROOT)
        self.log_path = self.directory / "log"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Twistd with its output in the log, killed after the test."""
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                [TWISTD, *arguments],
                cwd=self.directory,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def run_twistd(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Twistd to its end, which is expected soon."""
        return subprocess.run(
            [TWISTD, *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def log(self) -> str:
        """What the server has written so far."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def until_logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log says so."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if said := re.search(pattern, self.log()):
                return said
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log()}")

    def ports(self) -> dict[str, int]:
        """The port of each listener by its name, once the server is up."""
        line = self.until_logged(r"QuickPulse \S+, mode \w+: (.*)\n")[1]
        return {name: int(port) for name, port in re.findall(r"(\w+) on [\d.]+:(\d+)", line)}

    def taken_port(self) -> str:
        """A port that somebody else listens on."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        return str(sock.getsockname()[1])

    def free_port(self) -> str:
        """A port on which nobody listens just now."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return str(sock.getsockname()[1])


class RefusalTests(ProcessTestCase):
    """What keeps the server from starting is said in one line."""

    def assert_refused(self, *words: str, arguments: tuple[str, ...], reactor: str = "", **environment: str) -> None:
        """Status 1, and one line on stderr with all of `words`; no listener came up."""
        chosen = [f"--reactor={reactor}"] if reactor else []
        done = self.run_twistd(*chosen, *FOREGROUND, "quickpulse", *arguments, **environment)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("quickpulse: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])
        said = done.stdout + done.stderr
        self.assertNotIn("Traceback", said)
        self.assertNotIn("Unhandled", said)
        self.assertNotRegex(said, r"mode \w+: \w+ on ")

    def test_no_mode(self) -> None:
        """All ways to choose one are named."""
        self.assert_refused(
            "no mode was chosen", "--mode", "WS_MODE", "RPC_MODE", "RPC_STREAM_MODE", arguments=FREE_PORTS
        )

    def test_two_modes(self) -> None:
        """Both variables are named."""
        self.assert_refused("WS_MODE and RPC_MODE", "--mode", arguments=FREE_PORTS, WS_MODE="1", RPC_MODE="1")

    def test_nonsense_for_a_mode(self) -> None:
        """The word is repeated, with what is near it."""
        self.assert_refused("--mode 'grcp' is no mode", "did you mean grpc?", arguments=("--mode", "grcp"))

    def test_bad_values(self) -> None:
        """A flag names itself, a variable names itself."""
        self.assert_refused("--ws-port '70000'", "from 0 to 65535", arguments=("--mode", "ws", "--ws-port", "70000"))
        self.assert_refused(
            "QUICKPULSE_CAPACITY 'lots'", "1 or more", arguments=("--mode", "ws"), QUICKPULSE_CAPACITY="lots"
        )

    def test_unknown_flag(self) -> None:
        """The nearest flag is offered; twistd's whole help is not printed."""
        self.assert_refused("--capcity", "did you mean --capacity?", arguments=("--mode", "ws", "--capcity", "1"))

    def test_help_whose_reader_goes(self) -> None:
        """As `head` does: that is no failure, and nobody complains."""
        reader, writer = os.pipe()
        os.close(reader)
        twistd = str(Path(sys.executable).with_name("twistd"))
        try:
            done = subprocess.run([twistd, "quickpulse", "--help"], stdout=writer, stderr=subprocess.PIPE, check=False)
        finally:
            os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_bad_provider(self) -> None:
        """A queue that cannot be imported."""
        self.assert_refused(
            "--queue 'nowhere:make'", "nowhere", arguments=("--mode", "ws", *FREE_PORTS, "--queue", "nowhere:make")
        )

    def test_taken_ports(self) -> None:
        """The address is named, whichever listener wanted it, and the other listener does not come up."""
        port = self.taken_port()
        for mode, flag in (("ws", "--ws-port"), ("grpc", "--grpc-port"), ("grpc_stream", "--http-port")):
            self.assert_refused(f"127.0.0.1:{port}", arguments=("--mode", mode, *FREE_PORTS, flag, port))
        for flag in ("--ws-port", "--grpc-port", "--http-port"):
            self.assert_refused(f"127.0.0.1:{port}", arguments=("--mode", "all", *FREE_PORTS, flag, port))

    def test_no_port_stays_open(self) -> None:
        """When the messages' port is taken, the HTTP port of the failed start is free again."""
        http_port = self.free_port()
        taken = self.taken_port()
        self.assert_refused(taken, arguments=("--mode", "ws", "--ws-port", taken, "--http-port", http_port))
        with socket.socket() as sock:
            self.assertNotEqual(sock.connect_ex(("127.0.0.1", int(http_port))), 0)

    def test_no_port_of_three_stays_open(self) -> None:
        """In mode all the one that is taken keeps the others from staying open, with either gRPC server."""
        taken = self.taken_port()
        for server in ("native", "grpcio"):
            ws_port, http_port = self.free_port(), self.free_port()
            ports = ("--ws-port", ws_port, "--grpc-port", taken, "--http-port", http_port)
            self.assert_refused(taken, arguments=("--mode", "all", "--grpc-server", server, *ports))
            for port in (ws_port, http_port):
                with socket.socket() as sock:
                    self.assertNotEqual(sock.connect_ex(("127.0.0.1", int(port))), 0)

    def test_endpoints_of_mode_all(self) -> None:
        """Each is read, as in the mode that has it alone."""
        for flag in ("--ws-endpoint", "--grpc-endpoint", "--http-endpoint"):
            self.assert_refused(flag, "'nonsense:1'", arguments=("--mode", "all", *FREE_PORTS, flag, "nonsense:1"))

    def test_grpc_on_another_reactor(self) -> None:
        """The user's choice of the reactor is respected, so gRPC cannot start on epoll."""
        self.assert_refused(
            "asyncio", arguments=("--mode", "grpc", "--grpc-server", "grpcio", *FREE_PORTS), reactor="epoll"
        )
        self.assert_refused(
            "asyncio", arguments=("--mode", "all", "--grpc-server", "grpcio", *FREE_PORTS), reactor="epoll"
        )


class ForegroundTests(ProcessTestCase):
    """twistd -n."""

    def test_signals(self) -> None:
        """SIGUSR1 does nothing, SIGTERM drains and ends with status 0."""
        process = self.start(*FOREGROUND, "quickpulse", "--mode", "ws", *FREE_PORTS)
        url = f"http://127.0.0.1:{self.ports()['HTTP']}/readyz"
        process.send_signal(signal.SIGUSR1)
        with urllib.request.urlopen(url, timeout=SECONDS) as page:
            self.assertEqual(page.status, 200)
        process.terminate()
        self.assertEqual(process.wait(SECONDS), 0, self.log())
        self.assertIn("SIGTERM: draining, for 8 s at most", self.log())
        self.assertIn("drained: 0 messages were still queued", self.log())
        self.assertNotIn("Traceback", self.log())

    def test_what_is_lost_is_said(self) -> None:
        """A message that is still queued at the end is counted in the log."""
        process = self.start(*FOREGROUND, "quickpulse", *FREE_PORTS, WS_MODE="1")
        self.assertEqual(ask_ws(self.ports()["WebSocket"], "/ws/publish", [b"left"]), [b"ok"])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(SECONDS), 0, self.log())
        self.assertIn("drained: 1 messages were still queued", self.log())

    def test_websocket_on_another_reactor(self) -> None:
        """WebSocket does not care which reactor it runs on."""
        process = self.start("--reactor=epoll", *FOREGROUND, "quickpulse", "--mode", "ws", *FREE_PORTS)
        self.assertEqual(ask_ws(self.ports()["WebSocket"], "/ws/publish", [b"x"]), [b"ok"])
        self.assertIn("EPollReactor", self.log())
        process.terminate()
        self.assertEqual(process.wait(SECONDS), 0, self.log())


class DaemonTests(ProcessTestCase):
    """twistd without -n."""

    def daemon(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Start one; its log is the test's log."""
        pid_path = self.directory / "pid"
        return self.run_twistd(
            f"--pidfile={pid_path}", f"--logfile={self.log_path}", "quickpulse", *FREE_PORTS, *arguments
        )

    def end(self, pid: int) -> None:
        """Kill it, if it still runs."""
        if self.runs(pid):
            os.kill(pid, signal.SIGKILL)

    def runs(self, pid: int) -> bool:
        """Whether it is there and is our daemon."""
        try:
            return b"quickpulse" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def assert_lives_and_ends(self, mode: str, name: str) -> None:
        """It starts with status 0, serves, and drains at SIGTERM."""
        done = self.daemon("--mode", mode)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        pid = int((self.directory / "pid").read_text())
        self.addCleanup(self.end, pid)
        ports = self.ports()
        self.assertIn(name, ports)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['HTTP']}/readyz", timeout=SECONDS) as page:
            self.assertEqual(page.status, 200)
        os.kill(pid, signal.SIGTERM)
        self.until_logged(r"drained: 0 messages")
        deadline = time.monotonic() + SECONDS
        while self.runs(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertFalse(self.runs(pid), self.log())
        self.assertFalse((self.directory / "pid").exists())
        self.assertNotIn("Traceback", self.log())

    def test_websocket(self) -> None:
        """A daemon serves WebSocket, and takes its pid file away at the end."""
        self.assert_lives_and_ends("ws", "WebSocket")

    def test_grpc(self) -> None:
        """A daemon serves gRPC: nothing of grpcio was started before the fork."""
        self.assert_lives_and_ends("grpc", "gRPC")

    def test_all(self) -> None:
        """A daemon serves everything."""
        self.assert_lives_and_ends("all", "WebSocket")

    def test_taken_port(self) -> None:
        """The parent waits for the child's word: status not 0, and the address on stderr or in the log."""
        port = self.taken_port()
        done = self.daemon("--mode", "ws", "--ws-port", port)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"127.0.0.1:{port}", done.stdout + done.stderr + self.log())
