"""A web application that takes orders and puts them into a queue, with FastAPI and the asyncio client.

    pip install fastapi uvicorn
    twistd --pidfile= -n quickpulse --mode grpc
    uvicorn --app-dir examples fastapi_producer:app
    curl -d '{"item": "tea", "count": 2}' -H 'Content-Type: application/json' http://127.0.0.1:8000/orders

One client for the application, open as long as it runs. A full queue is said to the caller, who may come back later.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from quickpulse.client.aio import connect
from quickpulse.errors import QueueFull

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")


class Order(BaseModel):
    """What somebody wants."""

    item: str
    count: int = 1


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Connect before the first request, and close after the last."""
    async with await connect(URL) as client:
        application.state.orders = client.queue("orders")
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=202)
async def order(wanted: Order, request: Request) -> dict[str, Any]:
    """Accepted means: it is in the queue."""
    try:
        sequence = await request.app.state.orders.publish(wanted.model_dump_json().encode())
    except QueueFull as error:
        raise HTTPException(503, "too many orders, come back later", {"Retry-After": "1"}) from error
    return {"accepted": sequence}
