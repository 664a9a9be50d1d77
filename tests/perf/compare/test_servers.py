"""What is started for a row."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.compare.servers import ECHO, OURS, STOCK, Other, make_server, names_for, sized
from perf.load.rows import parse_row

ALL = (OURS, STOCK, ECHO)

OTHERS = (Other("go", "./go --port={port} 'a b'"), Other("plain", "nghttpd {port}", is_plain=True))


class ServersTests(SynchronousTestCase):
    """Names, commands, sizes."""

    def test_names(self) -> None:
        """An echo is for WebSocket, plain HTTP/2 for calls that put in."""
        names = {
            kind: names_for(parse_row(f"{kind}:1x1"), ALL, OTHERS) for kind in ("ws-consume", "stream", "timeouts")
        }
        self.assertEqual(names["ws-consume"], [OURS, STOCK, ECHO, "go"])
        self.assertEqual(names["stream"], [OURS, STOCK, "go"])
        self.assertEqual(names["timeouts"], [OURS, STOCK, "go", "plain"])

    def test_ours(self) -> None:
        """The row's mode, free ports, further options last; messages are there before, if the row wants some."""
        row = parse_row("unary-produce:1x1:100")
        server = make_server(row, OURS, ("--grpc-server", "grpcio"), ())
        command = server.command
        self.assertEqual(command[command.index("--mode") + 1], "grpc")
        self.assertEqual(command[command.index("--grpc-port") + 1], str(server.port))
        self.assertEqual(command[command.index("--http-port") + 1], str(server.http_port))
        self.assertEqual(command[-2:], ("--grpc-server", "grpcio"))
        self.assertEqual((server.is_ours, server.environment), (True, {}))
        deep = make_server(parse_row("ws-publish:1x1:100:depth=5:payload=20"), OURS, (), ())
        self.assertEqual(deep.environment, {"PERF_PREFILL": "5:20"})
        self.assertIn("perf.servers.prefilled:make_queue", deep.command)

    def test_others(self) -> None:
        """The port goes where the command says; they are filled by the load."""
        row = parse_row("ws-consume:1x1:100")
        server = make_server(row, "go", (), OTHERS)
        self.assertEqual(server.command, ("./go", f"--port={server.port}", "a b"))
        self.assertEqual((server.fills_itself, server.is_ours), (False, False))
        stock = make_server(row, STOCK, (), ())
        self.assertEqual(stock.command[-3:], (str(stock.port), str(row.prefill), "11"))
        self.assertTrue(make_server(row, ECHO, (), ()).is_echo)

    def test_sizes(self) -> None:
        """Slow servers get fewer messages, unless the row says how many."""
        row = parse_row("ws-publish:10x20")
        self.assertLess(sized(row, STOCK).messages, sized(row, OURS).messages)
        self.assertEqual(sized(row, "go"), sized(row, OURS))
        self.assertEqual(sized(parse_row("ws-publish:10x20:77"), STOCK).messages, 77)
