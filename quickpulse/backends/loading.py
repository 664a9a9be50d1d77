"""From settings to providers: `memory`, or `package.module:factory` of the user's own. No provider lives here."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Callable
from typing import Any

from quickpulse.backends.machine import memory_bytes
from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import SettingsError
from quickpulse.interfaces import IMessageQueue
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.queues.policies import DEFAULT_QUEUE, Limits
from quickpulse.requests import Policy
from quickpulse.settings import Settings
from quickpulse.version import __version__


def load(path: str, option: str) -> Callable[..., Any]:
    """The callable that `path` ("package.module:factory") names.

    :raises SettingsError: it cannot be imported, or is not callable; the text names `option`.
    """
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise SettingsError(f"{option} {path!r}: expected package.module:factory")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:  # TypeError: a relative name
        raise SettingsError(f"{option} {path!r}: {error}") from error
    if not callable(factory):
        raise SettingsError(f"{option} {path!r}: {attribute} is not callable")
    result: Callable[..., Any] = factory
    return result


def make_queue(provider: str, capacity: int, capacity_bytes: int | None) -> Any:
    """An IMessageQueue of the named provider.

    :param provider: `memory`, or `package.module:factory`; the factory is called with the keywords `capacity` and
        `capacity_bytes`, and what it returns is adapted to IMessageQueue.
    :raises SettingsError: it does not load, or gives something that is no queue.
    """
    if provider == "memory":
        return MessageQueue(capacity, capacity_bytes)
    made = load(provider, "--queue")(capacity=capacity, capacity_bytes=capacity_bytes)
    queue = IMessageQueue(made, None)
    if queue is None:
        raise SettingsError(f"--queue {provider!r}: {type(made).__name__} cannot be adapted to IMessageQueue")
    return queue


def make_broker(settings: Settings, reactor: Any) -> MemoryBroker:
    """The memory broker, with what the settings say of all queues and of each."""
    limits = Limits(
        max_queues=settings.max_queues,
        total_bytes=settings.total_bytes or memory_bytes() // 2,
        max_message_bytes=settings.max_message_bytes,
        max_batch_bytes=settings.max_batch_bytes,
    )
    broker = Broker(
        limits=limits,
        defaults=Policy(capacity=settings.capacity, capacity_bytes=settings.capacity_bytes),
        # Above all that an earlier server has given: receipts rise slower than a thousand for each microsecond.
        first_receipt=time.time_ns() // 1000 << 10,
        instance=uuid.uuid4().hex,
        version=__version__,
    )
    return MemoryBroker(reactor, broker)


def make_store(settings: Settings, reactor: Any) -> tuple[MemoryBroker | None, Any]:
    """The IBroker of v1, and the queue that v0 uses.

    A provider of the user's own is a queue and no broker: then there is no v1.

    :raises SettingsError: it does not load, or gives something that is no queue.
    """
    if settings.queue != "memory":
        return None, make_queue(settings.queue, settings.capacity, settings.capacity_bytes)
    broker = make_broker(settings, reactor)
    return broker, broker.queue(DEFAULT_QUEUE)
