"""A work queue: jobs are put in by whoever has some, and done by as many workers as you start.

    twistd --pidfile= -n quickpulse --mode grpc
    python examples/work_queue.py add apple pear plum
    python examples/work_queue.py work

A worker that dies loses nothing: what it held comes to another one when its lease has run out. A job that fails three
times goes to the queue `jobs.dead`, where you can look at it (`work_queue.py failed`).
"""

from __future__ import annotations

import argparse
import os

from quickpulse.client import Client, Message, connect
from quickpulse.errors import NotFound
from quickpulse.requests import Policy

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")

MOST_ATTEMPTS = 3


def add(client: Client, jobs: list[str]) -> None:
    """Put jobs in."""
    queue = client.queue("jobs")
    queue.set_policy(Policy(max_deliveries=MOST_ATTEMPTS, retry_delays_ms=(0, 100)))
    queue.publish_many([job.encode() for job in jobs])
    print(f"{len(jobs)} jobs added")


def do(message: Message) -> None:
    """One job. It is acked when this returns, and comes again when this raises."""
    job = message.payload.decode()
    if job.startswith("bad"):
        raise ValueError(f"nobody can do {job!r}")
    print(f"done: {job} (attempt {message.delivery_count})", flush=True)


def work(client: Client) -> None:
    """Do jobs, four at a time, until interrupted."""
    client.queue("jobs").consume(do, concurrency=4)


def failed(client: Client) -> None:
    """Show the jobs that nobody could do."""
    try:
        messages = client.queue("jobs.dead").peek(100)
    except NotFound:  # it is made by the first that fails
        print("none failed")
        return
    for message in messages:
        reason = message.source.reason if message.source else ""
        print(f"{message.payload.decode()}: {reason}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="a work queue")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("add").add_argument("jobs", nargs="+")
    verbs.add_parser("work")
    verbs.add_parser("failed")
    arguments = parser.parse_args()
    with connect(URL) as client:
        if arguments.verb == "add":
            add(client, arguments.jobs)
        elif arguments.verb == "work":
            try:
                work(client)
            except KeyboardInterrupt:
                print("what was not done is left to others")
        else:
            failed(client)


if __name__ == "__main__":
    main()
