"""A read that is full of work: others have their turn before all of it is served, and order holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import GetQueue, Peek, Pull
from quickpulse.settings import Settings
from quickpulse.transports.grpc_native import GrpcFactory
from quickpulse.transports.grpc_serving import TURN_SECONDS
from quickpulse.transports.tokens import Tokens
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH
from tests.transports.grpc_conversation import DATA, END_STREAM, GrpcConversation, frame, message

REQUESTS = 50

AUTHORIZED = ("authorization", "Bearer known")

UNAUTHENTICATED = 16

AT_ONCE = 3
"""Of requests that take half of a turn each: the third finds it over."""


class TurnTests(SynchronousTestCase):
    """A broker to which every request is hard work."""

    def setUp(self) -> None:
        """A client, and a queue."""
        self.clock = Clock()
        broker = MemoryBroker(self.clock, Broker())
        self.addCleanup(broker.close)
        broker.pull(Pull(("q",)))
        self.served: list[str] = []
        for name in ("get_queue", "peek"):
            setattr(broker, name, self.slowed(getattr(broker, name)))
        self.file = Path(self.mktemp())
        self.file.write_text("known\n")
        self.file.chmod(0o600)
        self.tokens = Tokens(str(self.file))
        factory = GrpcFactory(self.clock, MessageQueue(10), Traffic(), Settings("grpc"), broker, self.tokens)
        self.it = GrpcConversation(factory=factory).open()

    def slowed(self, method: Any) -> Any:
        """It takes half of a turn."""

        def ask(request: Any) -> Any:
            self.clock.rightNow += TURN_SECONDS / 2
            self.served.append(type(request).__name__)
            return method(request)

        return ask

    def unary(self, request: Any) -> bytes:
        """A call."""
        row = BY_KIND[type(request)]
        return self.it.request(row.grpc_path, message(row.request.serialize(request)), AUTHORIZED)

    def frames(self, count: int) -> bytes:
        """Messages of Connect, with ids from 1."""
        return b"".join(message(write_request(number, GetQueue("q"), BINARY)) for number in range(1, count + 1))

    def turns(self) -> None:
        """Let the loop turn until no more is served."""
        before = -1
        while before != len(self.served):
            before = len(self.served)
            self.it.advance(0)

    def test_unary_calls(self) -> None:
        """A few in a turn; all of them in the end, in their order."""
        self.it.say(b"".join(self.unary(Peek("q") if at % 7 else GetQueue("q")) for at in range(REQUESTS)))
        self.assertLessEqual(len(self.served), AT_ONCE)
        self.assertEqual(self.it.transport.producerState, "paused")
        self.turns()
        self.assertEqual(self.served, ["Peek" if at % 7 else "GetQueue" for at in range(REQUESTS)])
        self.assertEqual({self.it.responses[1 + 2 * at].status for at in range(REQUESTS)}, {0})
        self.assertEqual(self.it.transport.producerState, "producing")

    def test_frames(self) -> None:
        """Those of a call of Connect: slice by slice; what comes later is served later."""
        response = self.it.begin(CONNECT_PATH, AUTHORIZED)
        self.it.send(self.frames(REQUESTS), end=True)
        self.assertLess(len(self.served), REQUESTS // 2)
        self.turns()
        ids = [read_reply(frame, BINARY)[0] for frame in response.messages]
        self.assertEqual(ids, list(range(1, REQUESTS + 1)))
        self.assertEqual(response.status, 0)

    def test_many_calls_of_connect(self) -> None:
        """All of a connection's calls have one turn together."""
        streams = []
        data = b""
        for _ in range(REQUESTS):
            data += self.it.head(CONNECT_PATH, AUTHORIZED)
            streams.append(self.it.last_stream)
            data += frame(DATA, END_STREAM, self.it.last_stream, self.frames(1))
        self.it.say(data)
        self.assertLessEqual(len(self.served), AT_ONCE)
        self.turns()
        self.assertEqual({self.it.responses[stream].status for stream in streams}, {0})

    def test_the_connection_ends(self) -> None:
        """Nothing more is served."""
        self.it.begin(CONNECT_PATH, AUTHORIZED)
        self.it.send(self.frames(REQUESTS))
        self.it.say(b"".join(self.unary(GetQueue("q")) for _ in range(REQUESTS)))
        served = len(self.served)
        self.it.reset()
        self.turns()
        self.assertEqual(len(self.served), served)

    def test_a_token_is_taken_away(self) -> None:
        """What waits for its turn is not served any more."""
        self.it.say(b"".join(self.unary(GetQueue("q")) for _ in range(REQUESTS)))
        served = len(self.served)
        self.file.write_text("other\n")
        self.tokens.reload()
        self.turns()
        self.assertEqual(len(self.served), served)
        statuses = [self.it.responses[1 + 2 * at].status for at in range(REQUESTS)]
        self.assertEqual(statuses, [0] * served + [UNAUTHENTICATED] * (REQUESTS - served))

    def test_a_drain(self) -> None:
        """What was read is answered before the call ends."""
        response = self.it.begin(CONNECT_PATH, AUTHORIZED)
        self.it.send(self.frames(REQUESTS))
        self.it.factory.drain(8.0)
        self.it.read()
        self.it.answer_pings()
        self.turns()
        self.assertEqual((len(response.messages), response.status), (REQUESTS, 14))
