"""QuickPulse: a blazing fast, in-memory message queue.

The vocabulary is here; the server is `twistd quickpulse`, the ports are in `quickpulse.interfaces`.
"""

from quickpulse import backends as _backends  # noqa: F401 - registers the adapters to IMessageQueue
from quickpulse.errors import QueueEmpty, QueueFull, QuickPulseError
from quickpulse.interfaces import IMessageQueue, IMetricsCollector, MetricsCollector
from quickpulse.messages import Message
from quickpulse.queues.memory import MessageQueue
from quickpulse.version import __version__

__all__ = [
    "IMessageQueue",
    "IMetricsCollector",
    "Message",
    "MessageQueue",
    "MetricsCollector",
    "QueueEmpty",
    "QueueFull",
    "QuickPulseError",
    "__version__",
]
