"""Ways to a broker for the stories of `tests.broker_scenario`, beside those of the transports' own tests."""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from zope.interface import implementer

from quickpulse.backends.loading import make_store
from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import QuickPulseError
from quickpulse.interfaces import IBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.transports.v1_session import Session
from quickpulse.wire.v1.table import BY_KIND, ROWS


def make_broker() -> MemoryBroker:
    """An empty one, on the reactor's clock."""
    return MemoryBroker(reactor, Broker())


class BrokerPeer:
    """In process: a call of the broker's method.

    :param broker: the IBroker.
    """

    def __init__(self, broker: Any) -> None:
        self._broker = broker

    async def ask(self, request: Any) -> Any:
        """Now or later; whoever is cancelled waits no more."""
        reply = getattr(self._broker, BY_KIND[type(request)].name)(request)
        if isinstance(reply, Deferred):
            reply = await reply.asFuture(asyncio.get_running_loop())
        return reply

    async def close(self) -> None:
        """Nothing is open."""


class SessionConversation:
    """A session without any bytes.

    :param broker: the IBroker.
    """

    def __init__(self, broker: Any) -> None:
        self._frames: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._session = Session(
            broker, lambda request_id, reply: self._frames.put_nowait((request_id, reply)), Traffic()
        )

    async def send(self, request_id: int, request: Any) -> None:
        """At once."""
        self._session.request(request_id, request)

    async def receive(self) -> tuple[int, Any]:
        """In order."""
        return await self._frames.get()

    async def close(self) -> None:
        """The connection is gone."""
        self._session.lost()


class FramesPeer:
    """Asks each thing in a frame of one conversation. One that is not waited for any more takes a conversation away.

    :param converse: opens one.
    """

    def __init__(self, converse: Any) -> None:
        self._converse = converse
        self._conversation: Any = None
        self._reader: Any = None
        self._waiting: dict[int, asyncio.Future] = {}
        self._last_id = 0

    async def ask(self, request: Any) -> Any:
        """Many at a time."""
        if getattr(request, "wait_ms", 0):
            return await self._ask_alone(request)
        if self._conversation is None:
            self._conversation = await self._converse()
            self._reader = asyncio.ensure_future(self._read())
        self._last_id += 1
        self._waiting[self._last_id] = future = asyncio.get_running_loop().create_future()
        await self._conversation.send(self._last_id, request)
        return _reply_of(await future)

    async def _ask_alone(self, request: Any) -> Any:
        conversation = await self._converse()
        try:
            await conversation.send(1, request)
            return _reply_of((await conversation.receive())[1])
        finally:
            await conversation.close()

    async def _read(self) -> None:
        while True:
            request_id, reply = await self._conversation.receive()
            self._waiting.pop(request_id).set_result(reply)

    async def close(self) -> None:
        """Leave."""
        if self._conversation is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            await self._conversation.close()


def _reply_of(reply: Any) -> Any:
    if isinstance(reply, QuickPulseError):
        raise reply
    return reply


@implementer(IBroker)
class LateBroker:
    """A broker that does each thing a few turns later, in order, and answers with a Deferred of its own.

    :param broker: what does it.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self._pending: list[tuple[Deferred, Any, Any]] = []
        for row in ROWS:
            if row.reply is not None and row.name != "subscribe":
                setattr(self, row.name, self._late(getattr(broker, row.name)))

    def subscribe(self, request: Any, deliver: Any, ended: Any) -> Any:
        """At once, as the port has it: its messages come later anyway."""
        return self.broker.subscribe(request, deliver, ended)

    def queue(self, name: str) -> Any:
        """As it is."""
        return self.broker.queue(name)

    def drain(self) -> None:
        """At once."""
        self.broker.drain()

    def close(self) -> None:
        """At once."""
        self.broker.close()

    def _late(self, method: Any) -> Any:
        def ask(request: Any) -> Deferred:
            inner: list[Deferred] = []
            result: Deferred = Deferred(lambda _: [each.cancel() for each in inner])

            def do() -> None:
                if result.called:  # given up before it was done
                    return
                try:
                    reply = method(request)
                except Exception:
                    result.errback()
                    return
                if isinstance(reply, Deferred):
                    inner.append(reply)
                    reply.addBoth(lambda value: result.called or result.callback(value))
                else:
                    reactor.callLater(0, lambda: result.called or result.callback(reply))

            reactor.callLater(0, do)
            return result

        return ask


def make_late_store(settings: Any, reactor: Any) -> tuple[Any, Any]:
    """As the service makes them, with a broker that answers late."""
    broker, queue = make_store(settings, reactor)
    return LateBroker(broker), queue
