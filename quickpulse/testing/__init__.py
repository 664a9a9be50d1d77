"""For tests of programs that use QuickPulse: a real server inside the test's process, on free ports of loopback.

    from quickpulse.testing import Server

    with Server() as server, server.connect() as client:
        client.queue("jobs").publish(b"one")

`Server` runs in a thread of its own and is driven from the test's; `TwistedServer` runs on the test's own reactor.
pytest finds the fixtures `quickpulse_server` and `quickpulse_client` by itself. Nothing of this is for production.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quickpulse.testing.faults import Faults
    from quickpulse.testing.in_reactor import TwistedServer
    from quickpulse.testing.in_thread import Server

__all__ = ["Faults", "Server", "TwistedServer"]

_HOMES = {"Faults": "faults", "Server": "in_thread", "TwistedServer": "in_reactor"}


def __getattr__(name: str) -> Any:
    """Load a server only when it is asked for: pytest looks in here in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
