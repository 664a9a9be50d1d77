"""What a queue may be called, how it behaves, and what a server bounds: values, checked where they come in."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from hashlib import blake2b

from quickpulse.errors import InvalidArgument
from quickpulse.requests import UNBOUNDED, Overflow, Policy

DEFAULT_QUEUE = "default"
"""The queue that v0 uses."""

LONGEST_NAME = 255

DEAD_SUFFIX = ".dead"

LONGEST_LEASE_MS = 12 * 3600 * 1000
"""What is held longer was forgotten; a lease is extended as long as it is wanted."""

LONGEST_MS = 10 * 366 * 24 * 3600 * 1000
"""Of a delay or a time to live. Ten years: more is a mistake of unit."""

MOST_RECEIPTS = 100_000
"""That one request may speak of, and one pull hand out."""

MOST_PUBLISHED = 100_000
"""Messages of a batch; fewer where what is said of them, should all be refused, would not fit into a frame."""

MOST_RETRY_DELAYS = 100

LONGEST_KEY = 1024
"""Characters of a `dedup_key`, bytes of a `batch_key`: each is remembered for a while."""

_NAME = re.compile(r"[A-Za-z0-9._:@-]{1,255}")

SERVER_POLICY = Policy(
    capacity=1_000_000,
    capacity_bytes=UNBOUNDED,
    overflow=Overflow.REJECT,
    lease_ms=30_000,
    max_deliveries=0,
    dead_letter_queue="",
    retry_delays_ms=(0, 1000, 10_000, 60_000),
    dedup_window_ms=120_000,
    idle_expiry_ms=60_000,
)
"""Where neither the queue nor the server's settings say something else."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What all queues of a server share.

    :param max_queues: queues that users may make.
    :param total_bytes: what all messages may take in memory, with `MESSAGE_BYTES` for each.
    :param max_message_bytes: longest payload.
    :param max_batch_bytes: longest frame, and so the most that a pull hands out.
    """

    max_queues: int = 10_000
    total_bytes: int = UNBOUNDED
    max_message_bytes: int = 1 << 20
    max_batch_bytes: int = (4 << 20) - (64 << 10)


def require_name(name: str) -> None:
    """Raise InvalidArgument unless a queue may be called so."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidArgument(f"queue {repr(name)[:300]}: expected 1 to {LONGEST_NAME} of A-Z a-z 0-9 . _ : @ -")


def dead_name(name: str) -> str:
    """The queue of its dead letters where no policy says another.

    Of a name that would get too long the end is a digest of all of it: it is another one for each, and never the same.
    """
    most = LONGEST_NAME - len(DEAD_SUFFIX)
    if len(name) > most:
        name = f"{name[: most - 17]}-{blake2b(name.encode(), digest_size=8).hexdigest()}"
    return name + DEAD_SUFFIX


def require_between(name: str, value: int | None, least: int, most: int) -> None:
    """Raise InvalidArgument, naming the field and its bounds, unless `value` is within them; None is."""
    if value is not None and not least <= value <= most:
        raise InvalidArgument(f"{name} is {value}, expected {least} to {most}")


def require_policy(name: str, policy: Policy) -> None:
    """Raise InvalidArgument unless the queue `name` may have this policy."""
    for field, least, most in (
        ("capacity", 1, 1 << 62),
        ("capacity_bytes", 1, UNBOUNDED),
        ("lease_ms", 1, LONGEST_LEASE_MS),
        ("max_deliveries", 0, 1 << 31),
        ("dedup_window_ms", 0, LONGEST_MS),
        ("idle_expiry_ms", 1, LONGEST_MS),
    ):
        require_between(field, getattr(policy, field), least, most)
    if policy.retry_delays_ms is not None:
        require_between("retry_delays_ms: number of delays", len(policy.retry_delays_ms), 0, MOST_RETRY_DELAYS)
        for each in policy.retry_delays_ms:
            require_between("retry_delays_ms", each, 0, LONGEST_MS)
    if policy.dead_letter_queue:
        require_name(policy.dead_letter_queue)
        if policy.dead_letter_queue == name:
            raise InvalidArgument(f"dead_letter_queue of {name} is the queue itself")


def over(defaults: Policy, own: Policy | None) -> Policy:
    """The policy in force: what `own` does not say is as in `defaults`."""
    if own is None:
        return defaults
    chosen = {each.name: getattr(own, each.name) for each in fields(Policy)}
    return Policy(**{name: getattr(defaults, name) if value is None else value for name, value in chosen.items()})
