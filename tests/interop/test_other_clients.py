"""Clients that were not written in Python: Node, grpcurl and h2load, each skipped where it is not installed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.interop.server import ROOT, RealServerTestCase

PROGRAM_SECONDS = 30.0

NODE_MODULES = Path(os.environ.get("TEST_NODE_MODULES") or ROOT / "node_modules")
"""Where `npm install ws @grpc/grpc-js @grpc/proto-loader` put its packages."""

SERVICE = "messagequeue.MessageQueue"


class OtherClientTestCase(RealServerTestCase):
    """Runs programs, with a bound in time."""

    timeout = 60

    async def run_program(self, *command: str, cwd: str | None = None) -> tuple[int, str, str]:
        """Exit status, and what it printed on stdout and stderr."""
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


class NodeTestCase(OtherClientTestCase):
    """Runs the examples for Node, with the packages `ws` and `@grpc/grpc-js`."""

    if shutil.which("node") is None:
        skip = "node is not installed"
    elif not (NODE_MODULES / "ws").is_dir() or not (NODE_MODULES / "@grpc").is_dir():
        skip = "npm install ws @grpc/grpc-js @grpc/proto-loader; TEST_NODE_MODULES says where"

    async def example(self, mode: str, name: str) -> list[str]:
        """The lines that an example prints, run beside its packages."""
        server = self.serve(mode)
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for part in ("examples", "proto"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        (Path(folder) / "node_modules").symlink_to(NODE_MODULES.resolve())
        status, output, errors = await self.run_program("node", f"examples/{name}", server.target, cwd=folder)
        self.assertEqual(status, 0, errors)
        self.assertEqual(await server.metric("quickpulse_queue_depth"), 0)
        return output.splitlines()


class WsNodeTests(NodeTestCase):
    """The package `ws`."""

    def test_ws(self):
        """ws: three messages in and out, then empty."""

        async def talk():
            lines = await self.example("ws", "ws_client.mjs")
            messages = ["message: one", "message: two", "message: three"]
            self.assertEqual(lines, ["[ 'ok', 'ok', 'ok' ]", *messages, "error: queue is empty"])

        return self.story(talk())


class NodeBehaviour:
    """The package `@grpc/grpc-js`."""

    def test_grpc(self):
        """grpc-js: one message in and out, then empty."""

        async def talk():
            lines = await self.example("grpc", "grpc_client.mjs")
            self.assertEqual(lines, ["{ success: true }", "hello", "queue is empty"])

        return self.story(talk())

    def test_grpc_stream(self):
        """grpc-js: one exchange, then empty, and the stream ends after its half-close."""

        async def talk():
            lines = await self.example("grpc_stream", "grpc_stream_client.mjs")
            self.assertEqual(lines, ["hello", "queue is empty"])

        return self.story(talk())


class NativeNodeTests(NodeBehaviour, NodeTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioNodeTests(NodeBehaviour, NodeTestCase):
    """grpcio's."""

    grpc_server = "grpcio"


class GrpcurlBehaviour:
    """grpcurl knows nothing but what reflection says."""

    if shutil.which("grpcurl") is None:
        skip = "grpcurl is not installed"

    async def grpcurl(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        status, output, errors = await self.run_program("grpcurl", "-plaintext", *arguments)
        self.assertEqual(status, 0, errors)
        return output

    def test_grpc(self):
        """List, describe, health, a message in and out, then empty; the other mode's call says what it is."""
        server = self.serve("grpc")
        target = server.target

        async def talk():
            listed = (await self.grpcurl(target, "list")).split()
            self.assertLessEqual({"grpc.health.v1.Health", SERVICE}, set(listed))
            self.assertIn(
                "rpc Produce ( .messagequeue.ProduceRequest )", await self.grpcurl(target, "describe", SERVICE)
            )
            self.assertIn("SERVING", await self.grpcurl(target, "grpc.health.v1.Health/Check"))
            sent = {"payload": base64.b64encode(b"hello").decode()}
            told = await self.grpcurl("-d", json.dumps(sent), target, f"{SERVICE}/Produce")
            self.assertEqual(json.loads(told), {"success": True})
            self.assertEqual(json.loads(await self.grpcurl(target, f"{SERVICE}/Consume")), sent)
            self.assertEqual(json.loads(await self.grpcurl(target, f"{SERVICE}/Consume")), {"error": "queue is empty"})
            status, _, errors = await self.run_program(
                "grpcurl", "-plaintext", "-d", "{}", target, f"{SERVICE}/StreamMessages"
            )
            self.assertNotEqual(status, 0)
            self.assertIn("StreamMessages is not implemented in unary mode", errors)

        return self.story(talk())

    def test_grpc_stream(self):
        """Three requests on one stream, three answers."""
        server = self.serve("grpc_stream")

        async def talk():
            requests = '{"payload": "b25l"} {"payload": "dHdv"} {}'
            output = await self.grpcurl("-d", requests, server.target, f"{SERVICE}/StreamMessages")
            answers = json.loads("[" + output.replace("}\n{", "},{") + "]")
            self.assertEqual(answers, [{"payload": "b25l"}, {"payload": "dHdv"}, {"error": "queue is empty"}])

        return self.story(talk())


class NativeGrpcurlTests(GrpcurlBehaviour, OtherClientTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioGrpcurlTests(GrpcurlBehaviour, OtherClientTestCase):
    """grpcio's."""

    grpc_server = "grpcio"


class H2loadBehaviour:
    """nghttp2's load tool: HTTP/2 of another make, many calls under way."""

    if shutil.which("h2load") is None:
        skip = "h2load is not installed"

    async def load(self, target: str, method: str, request: bytes, calls: int) -> str:
        """Make calls, twenty under way on each of four connections."""
        with tempfile.NamedTemporaryFile() as body:
            body.write(b"\x00" + len(request).to_bytes(4, "big") + request)
            body.flush()
            status, output, errors = await self.run_program(
                *("h2load", "-n", str(calls), "-c", "4", "-m", "20", "-d", body.name),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                f"http://{target}/{SERVICE}/{method}",
            )
        self.assertEqual(status, 0, errors)
        return output

    def test_grpc(self):
        """5,000 in and 5,000 out, and the metrics know it."""
        server = self.serve("grpc")

        async def talk():
            for method, request, depth in (("Produce", b"\x0a\x05hello", 5000), ("Consume", b"", 0)):
                output = await self.load(server.target, method, request, 5000)
                self.assertIn("5000 succeeded, 0 failed, 0 errored, 0 timeout", output)
                self.assertIn("status codes: 5000 2xx", output)
                self.assertEqual(await server.metric("quickpulse_queue_depth"), depth)
            self.assertEqual(await server.metric("quickpulse_dequeue_total"), 5000)

        return self.story(talk())


class NativeH2loadTests(H2loadBehaviour, OtherClientTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioH2loadTests(H2loadBehaviour, OtherClientTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
