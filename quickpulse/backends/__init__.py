"""Outside providers of IMessageQueue, one file each, and the adapters that make foreign objects into one.

Importing this package registers the adapters: `IMessageQueue(collections.deque())`, `IMessageQueue(queue.Queue())`
and `IMessageQueue(an_object_with_enqueue_and_dequeue)`.
"""

import collections
import queue

from zope.interface.adapter import AdapterRegistry
from zope.interface.declarations import implementedBy, providedBy
from zope.interface.interface import adapter_hooks

from quickpulse.backends.foreign import DequeQueue, StandardQueue, adapt_duck
from quickpulse.interfaces import IMessageQueue

_registry = AdapterRegistry()
_registry.register([implementedBy(collections.deque)], IMessageQueue, "", DequeQueue)
_registry.register([implementedBy(queue.Queue)], IMessageQueue, "", StandardQueue)
_registry.register([implementedBy(object)], IMessageQueue, "", adapt_duck)


def _adapt(interface: object, value: object) -> object:
    """Answer zope's question how `value` becomes an `interface`; None leaves it to other registries."""
    if interface is not IMessageQueue:
        return None
    factory = _registry.lookup([providedBy(value)], IMessageQueue)  # type: ignore[attr-defined]
    return None if factory is None else factory(value)


# At the end, so that an adapter which a user registered for an own class is asked first.
adapter_hooks.append(_adapt)
