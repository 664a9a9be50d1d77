"""grpc.health.v1 on the native server."""

from __future__ import annotations

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.grpc_contract import SERVICE
from tests.transports.grpc_conversation import CHECK, NOTHING, WATCH, GrpcConversation, Response, message

OK, NOT_FOUND, INTERNAL = 0, 5, 13

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


def asked(service: str) -> bytes:
    """The body of Check and Watch."""
    return message(HealthCheckRequest(service=service).SerializeToString())


def told(response: Response) -> list[int]:
    """Each status that came."""
    return [HealthCheckResponse.FromString(one).status for one in response.messages]


class HealthTests(SynchronousTestCase):
    """Check and Watch."""

    def test_check(self) -> None:
        """SERVING for the server and for its service; others are not known."""
        it = GrpcConversation().open()
        for service in ("", SERVICE):
            response = it.call(CHECK, asked(service))
            self.assertEqual((told(response), response.status), ([SERVING], OK))
        self.assertEqual(it.call(CHECK, asked("another")).status, NOT_FOUND)
        self.assertEqual(it.call(CHECK, message(b"\x0a\xff")).status, INTERNAL)

    def test_watch(self) -> None:
        """The status now, and each change; half-closing is not the end of it."""
        it = GrpcConversation().open()
        response = it.call(WATCH, asked(SERVICE))
        self.assertEqual(told(response), [SERVING])
        it.factory.health.drain()
        it.protocol.flush()
        it.read()
        self.assertEqual((told(response), response.status), ([SERVING, NOT_SERVING], None))

    def test_watch_what_is_not_known(self) -> None:
        """SERVICE_UNKNOWN, and the call stays open, as the standard asks."""
        it = GrpcConversation().open()
        response = it.call(WATCH, asked("another"))
        self.assertEqual((told(response), response.status), ([SERVICE_UNKNOWN], None))

    def test_garbage(self) -> None:
        """Ends the watch."""
        it = GrpcConversation().open()
        self.assertEqual(it.call(WATCH, message(b"\x0a\xff")).status, INTERNAL)
        it.factory.health.drain()

    def test_who_went_is_not_told(self) -> None:
        """A watch is forgotten with its call, and with its connection."""
        it = GrpcConversation().open()
        it.call(WATCH, NOTHING)
        it.cancel()
        it.call(WATCH, NOTHING)
        it.begin(WATCH)
        it.reset()
        it.factory.health.drain()
        self.assertEqual(it.written(), b"")

    def test_more_than_one_request(self) -> None:
        """The first one counts."""
        it = GrpcConversation().open()
        it.begin(WATCH)
        it.send(asked("") + asked("another"))
        it.send(asked("another"))
        self.assertEqual(told(it.responses[1]), [SERVING])
