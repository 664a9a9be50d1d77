"""Clients of a QuickPulse server: the blocking one is here, asyncio's in `quickpulse.client.aio`.

    from quickpulse.client import connect

    with connect("quickpulse://127.0.0.1:50051") as client:
        client.queue("jobs").publish(b"one")

Importing this imports neither Twisted nor grpc.
"""

from quickpulse.client.blocking import Client, Publisher, Queue, Subscription, connect
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
from quickpulse.requests import Overflow, Policy

__all__ = [
    "Batch",
    "Client",
    "ClientClosed",
    "ClientError",
    "ConnectionLost",
    "ConnectionRefused",
    "LeaseLost",
    "Message",
    "Options",
    "Overflow",
    "PartialPublish",
    "Policy",
    "Publisher",
    "Queue",
    "Subscription",
    "Timeout",
    "TlsFailed",
    "connect",
]
