"""From a setting to a provider: `memory`, or `package.module:factory` of the user's own. No provider lives here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from quickpulse.errors import SettingsError
from quickpulse.interfaces import IMessageQueue
from quickpulse.queues.memory import MessageQueue


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
