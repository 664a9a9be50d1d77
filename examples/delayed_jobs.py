"""Delayed jobs: a reminder is published now and comes when it is due; one that is published twice comes once.

    twistd --pidfile= -n quickpulse --mode grpc
    python examples/delayed_jobs.py

The server keeps the time. Who takes a reminder and cannot deliver it now puts it back for later: `nack` with a delay.
"""

from __future__ import annotations

import os
import time

from quickpulse.client import Queue, connect

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")


def remind(reminders: Queue, text: str, *, seconds: float) -> None:
    """Have a reminder come so many seconds from now, once, however often this is called with it."""
    reminders.publish(text.encode(), delay_seconds=seconds, dedup_key=text)


def deliver(reminders: Queue, count: int) -> None:
    """Print reminders as they become due."""
    begin = time.monotonic()
    is_busy = True
    while count:
        message = reminders.get(wait_seconds=10)
        if message is None:
            return
        text = message.payload.decode()
        if text == "call back" and is_busy:
            is_busy = False
            message.nack(delay_seconds=0.5)  # not now
            continue
        message.ack()
        count -= 1
        print(f"{text} (after {time.monotonic() - begin:.1f} s, attempt {message.delivery_count})", flush=True)


def main() -> None:
    """Three reminders, the last of them said twice."""
    with connect(URL) as client:
        reminders = client.queue("reminders")
        remind(reminders, "take the bread out", seconds=1.2)
        remind(reminders, "call back", seconds=0.2)
        remind(reminders, "water the plants", seconds=0.4)
        remind(reminders, "water the plants", seconds=0.4)
        deliver(reminders, 3)


if __name__ == "__main__":
    main()
