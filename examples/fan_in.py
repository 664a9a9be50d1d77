"""Fan-in: many sensors publish one by one, and one collector takes what there is together.

    twistd --pidfile= -n quickpulse --mode grpc
    python examples/fan_in.py

A publisher sends in batches behind the scenes, and leaving it waits until everything is confirmed. The collector pulls
batches, writes each away as one, and acks it as one.
"""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict

from quickpulse.client import Client, connect

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")

SENSORS = 5

READINGS = 1_000


def sense(client: Client, name: str) -> None:
    """One sensor: a client may be used by any number of threads."""
    with client.queue("readings").publisher() as out:
        for number in range(READINGS):
            out.publish(json.dumps({"sensor": name, "value": number}).encode())


def collect(client: Client, expected: int) -> dict[str, list[int]]:
    """What all sensors said, by their names."""
    queue = client.queue("readings")
    values: dict[str, list[int]] = defaultdict(list)
    while expected > 0:
        batch = queue.pull(max_messages=500, wait_seconds=10)
        if not batch:
            break
        for payload in batch.payloads:
            reading = json.loads(payload)
            values[reading["sensor"]].append(reading["value"])
        batch.ack()
        expected -= len(batch)
    return values


def main() -> None:
    """Sensors in threads of their own, and the collector here."""
    with connect(URL) as client:
        sensors = [threading.Thread(target=sense, args=(client, f"sensor-{number}")) for number in range(SENSORS)]
        for sensor in sensors:
            sensor.start()
        values = collect(client, SENSORS * READINGS)
        for sensor in sensors:
            sensor.join()
    for name, readings in sorted(values.items()):
        in_order = "in order" if readings == sorted(readings) else "out of order"
        print(f"{name}: {len(readings)} readings, {in_order}, mean {sum(readings) / len(readings):g}")


if __name__ == "__main__":
    main()
