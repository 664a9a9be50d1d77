"""Clients of a QuickPulse server: the blocking one is here, asyncio's in `quickpulse.client.aio`.

    from quickpulse.client import connect

    with connect("quickpulse://127.0.0.1:50051") as client:
        client.queue("jobs").publish(b"one")

Importing this imports neither Twisted nor grpc.
"""

from quickpulse.client.blocking import Client, Confirmation, Publisher, Queue, Subscription, connect
from quickpulse.client.errors import (
    ClientClosed,
    ClientError,
    ConnectionLost,
    ConnectionRefused,
    LeaseLost,
    PartialPublish,
    Timeout,
    TlsFailed,
)
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Options
from quickpulse.errors import (
    BatchRejected,
    Draining,
    InvalidArgument,
    MessageTooLarge,
    NoDeadLetterQueue,
    NotFound,
    PermissionDenied,
    QueueError,
    QueueFull,
    QueuePaused,
    QueueUnavailable,
    QuickPulseError,
    RequestTooLarge,
    ServerFull,
    TooManyQueues,
    TooManyRequests,
    Unauthenticated,
    Unsupported,
)
from quickpulse.requests import (
    UNBOUNDED,
    DeadLetter,
    Overflow,
    Policy,
    Properties,
    PublishReply,
    QueueInfo,
    Rejection,
    ServerInfo,
)

__all__ = [
    "UNBOUNDED",
    "Batch",
    "BatchRejected",
    "Client",
    "ClientClosed",
    "ClientError",
    "Confirmation",
    "ConnectionLost",
    "ConnectionRefused",
    "DeadLetter",
    "Draining",
    "InvalidArgument",
    "LeaseLost",
    "Message",
    "MessageTooLarge",
    "NoDeadLetterQueue",
    "NotFound",
    "Options",
    "Overflow",
    "PartialPublish",
    "PermissionDenied",
    "Policy",
    "Properties",
    "PublishReply",
    "Publisher",
    "Queue",
    "QueueError",
    "QueueFull",
    "QueueInfo",
    "QueuePaused",
    "QueueUnavailable",
    "QuickPulseError",
    "Rejection",
    "RequestTooLarge",
    "ServerFull",
    "ServerInfo",
    "Subscription",
    "Timeout",
    "TlsFailed",
    "TooManyQueues",
    "TooManyRequests",
    "Unauthenticated",
    "Unsupported",
    "connect",
]
