"""A web application that takes orders and puts them into a queue, with Flask and the blocking client.

    pip install flask
    twistd --pidfile= -n quickpulse --mode grpc
    flask --app examples/flask_producer.py run
    curl -d '{"item": "tea", "count": 2}' -H 'Content-Type: application/json' http://127.0.0.1:5000/orders

One client for the process, made at the first request: so a server that forks its workers gives each its own.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from flask import Flask, request

from quickpulse.client import Client, connect
from quickpulse.errors import QueueFull

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")

app = Flask(__name__)


@cache
def client() -> Client:
    """Any thread may use it."""
    return connect(URL)


@app.post("/orders")
def order() -> tuple[dict[str, Any], int]:
    """Accepted means: it is in the queue."""
    wanted = request.get_json()
    try:
        sequence = client().queue("orders").publish(json.dumps(wanted).encode())
    except QueueFull:
        return {"error": "too many orders, come back later"}, 503
    return {"accepted": sequence}, 202
