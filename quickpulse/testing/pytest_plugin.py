"""What pytest finds by itself where QuickPulse is installed: two fixtures. Nothing is loaded until one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from quickpulse.client import Client
    from quickpulse.testing import Server


@pytest.fixture
def quickpulse_server() -> Iterator[Server]:
    """A server of the test's own, with real time. For another one: `with Server(...) as server:`."""
    from quickpulse.testing import Server

    with Server() as server:
        yield server


@pytest.fixture
def quickpulse_client(quickpulse_server: Server) -> Client:
    """A blocking client of `quickpulse_server`."""
    return quickpulse_server.connect()
