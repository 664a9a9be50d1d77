"""A message's life: its states, what happens to it, and the one table of legal moves.

::

            publish                lease                 ack
      --> DELAYED --due--> READY ----------------> LEASED -----------> GONE
             ^               ^  <-- nack, release, expiry  |
             |               |                             |  max_deliveries reached, dead_letter
             +-- nack with delay, from LEASED              +-----------------------------> DEAD
             time to live passed while DELAYED or READY, or on coming back: GONE, or DEAD where there are dead letters

DEAD is the end in this queue; the message begins anew in the dead-letter queue, and so does a message that is
redriven. No message carries its state: it is told by the place where it is kept (`ready.py`, `named.py`, `lease.py`),
and each of these places counts what leaves it. The table is what those moves are checked against.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """Where a message is."""

    NEW = "new"
    DELAYED = "delayed"
    READY = "ready"
    LEASED = "leased"
    GONE = "gone"
    DEAD = "dead"


class Event(Enum):
    """What happens to it; the value is what a queue calls its count."""

    PUBLISH = "published"
    DUE = "due"
    LEASE = "leased"
    TAKE = "taken"
    ACK = "acked"
    NACK = "nacked"
    RELEASE = "released"
    EXTEND = "extended"
    EXPIRE = "expired"
    DEAD_LETTER = "dead_lettered"
    DROP = "dropped"
    VOID = "void"
    PURGE = "purged"
    DELETE = "deleted"
    REDRIVE = "redriven"


_BACK = (State.READY, State.DELAYED, State.DEAD, State.GONE)
"""Where a failed delivery leads: to its place, now or after a delay; or its deliveries or its time are at their end."""

MOVES: Mapping[tuple[State, Event], tuple[State, ...]] = {
    (State.NEW, Event.PUBLISH): (State.READY, State.DELAYED),
    (State.DELAYED, Event.DUE): (State.READY,),
    (State.DELAYED, Event.VOID): (State.GONE, State.DEAD),
    (State.DELAYED, Event.PURGE): (State.GONE,),
    (State.DELAYED, Event.DELETE): (State.GONE,),
    (State.READY, Event.LEASE): (State.LEASED,),
    (State.READY, Event.TAKE): (State.GONE,),
    (State.READY, Event.VOID): (State.GONE, State.DEAD),
    (State.READY, Event.DROP): (State.GONE,),
    (State.READY, Event.PURGE): (State.GONE,),
    (State.READY, Event.DELETE): (State.GONE,),
    (State.READY, Event.REDRIVE): (State.GONE,),
    (State.LEASED, Event.ACK): (State.GONE,),
    (State.LEASED, Event.NACK): _BACK,
    (State.LEASED, Event.RELEASE): (State.READY, State.GONE, State.DEAD),
    (State.LEASED, Event.EXTEND): (State.LEASED,),
    (State.LEASED, Event.EXPIRE): (State.READY, State.GONE, State.DEAD),
    (State.LEASED, Event.DEAD_LETTER): (State.DEAD,),
    (State.LEASED, Event.DELETE): (State.GONE,),
}
"""State and event, to the states that may follow. What is not here cannot happen."""
