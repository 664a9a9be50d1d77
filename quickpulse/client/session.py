"""A client's conversation with a server, across connections: requests, replies, subscriptions, leases. No I/O is here.

The face that has the sockets and the clock tells what happens (`connected`, `receive`, `lost`, `tick`) and does what
`Host` asks. A call is answered exactly once: with a reply, or with an error when its time is up. What is open when a
connection ends is asked again on the next one, where that cannot do it twice: publishing by its `batch_key`. The rest
is told that the connection was lost.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

from quickpulse.client.batching import Parts, require_few, split
from quickpulse.client.calls import Call, Done, Host
from quickpulse.client.errors import ClientClosed, ConnectionLost, Timeout
from quickpulse.client.leasing import NEVER, Leasing
from quickpulse.client.options import Options
from quickpulse.client.settling import Leased, Settling, count_of
from quickpulse.client.subscribing import Subscribing
from quickpulse.client.unsent import Unsent
from quickpulse.errors import Draining, InvalidArgument, NotFound, QuickPulseError, RequestTooLarge
from quickpulse.requests import (
    Action,
    Credit,
    Deliveries,
    GetServerInfo,
    Pull,
    ServerInfo,
    Settle,
    SettleReply,
    Subscribed,
    SubscriptionEnded,
    Unsubscribe,
)

_CONNECTION = 0
"""The request_id of what is about the connection."""

LAST_ID = 2**32 - 1
"""The highest request_id; after it comes 1 again."""


class Session:
    """One client.

    :param host: the face.
    :param options: of the client.
    """

    def __init__(self, host: Host, options: Options) -> None:
        self._host = host
        self._options = options
        self._link: Any = None
        self.is_ready = False
        """Whether there is a connection, and the server answers on it."""
        self.server: ServerInfo | None = None
        """What the server last said of itself."""
        self.fault: QuickPulseError | None = None
        """Why the last connection ended, or there is none."""
        self.lost_leases = 0
        """Messages of which an ack, or what was said instead, was not waited for, and came too late or was not done."""
        self._longest_lease = 0.0  # seconds, of all that were given
        self._closed: QuickPulseError | None = None
        self._open: dict[int, Call] = {}
        self._unsent = Unsent()
        self._subscriptions: dict[int, Subscribing] = {}
        self._ids = self._unused_ids()
        self._dormant: list[Subscribing] = []  # wait for a connection
        self.settling = Settling(host.settle_soon)
        self._leasing = Leasing(options.max_lease_seconds)
        self.next_tick = NEVER
        """When `tick` is to be called, at the latest."""
        self._heard_at = 0.0
        self._is_asked = False  # for a sign of life
        self._key = os.urandom(8)
        self._keys = count(1)

    # ---- what the face tells ----

    def connected(self, link: Any, now: float) -> None:
        """There is a connection; nothing but a question of who is there is sent before that is answered."""
        self._link = link
        self._ids = self._unused_ids()
        self._heard_at, self._is_asked = now, False
        call = Call(GetServerInfo(), self._introduced, now + self._options.connect_seconds, now)
        self._send(call)
        self._want_tick(call.deadline)

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came."""
        if self._link is None:
            return
        self._heard_at, self._is_asked = now, False
        for request_id, reply in self._link.receive(data, now):
            if request_id == _CONNECTION and isinstance(reply, QuickPulseError):
                self._cut(reply)
                return
            self._take(request_id, reply, now)
        self._send_waiting(now)
        self._host.write_soon()  # for what the link says by itself

    def lost(self, error: QuickPulseError, now: float) -> None:
        """The connection is over, or there will be none for now."""
        self.fault = error
        self._link, self.is_ready = None, False
        open_calls, self._open = list(self._open.values()), {}
        subscriptions, self._subscriptions = list(self._subscriptions.values()), {}
        for subscribing in [*self._dormant, *subscriptions]:
            subscribing.lost()
        for subscribing in subscriptions:
            if subscribing.is_ending:
                subscribing.end(None)
            else:
                self._dormant.append(subscribing)
        # The server ended the connection because of a request: to send it again would end the next one too.
        is_hopeless = isinstance(error, InvalidArgument | RequestTooLarge)
        if is_hopeless and len(open_calls) > 1:
            why = "the server ended the connection because of a request; it is not known whether others took effect"
            error = ConnectionLost(f"{why} ({error})")
        kept = []
        for call in open_calls:
            if isinstance(call.request, GetServerInfo) and call.done == self._introduced:
                continue
            if is_hopeless or not call.repeats:
                call.answer(error)
            elif call.done is not None:
                call.is_repeated = True
                kept.append(call)
        self._unsent.put_back(kept)

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        return b"" if self._link is None else bytes(self._link.data_to_send())

    def tick(self, now: float) -> None:
        """Do what is due: time that is up, leases to extend, silence."""
        self.next_tick = NEVER
        self._expire(now)
        self._leasing.extend(now, lambda request, done, seconds: self.ask(request, done, now, seconds))
        self._want_tick(self._leasing.next_due)
        self._listen_for_life(now)

    def flush(self, now: float) -> None:
        """Send what was said of messages. Nobody waits for it, so that it may take as long as the longest lease."""
        for request in self.settling.take():
            self._longest_lease = max(self._longest_lease, request.lease_ms / 1000)
            seconds = max(self._options.timeout_seconds, self._longest_lease)
            self.ask(request, partial(self._settled, request), now, seconds)

    # ---- what users ask ----

    def ask(self, request: Any, done: Done, now: float, seconds: float | None = None) -> Call:
        """Ask; `done` is called with the reply or an error, perhaps within this call.

        :param seconds: how long to wait for it; None: as the options say.
        """
        deadline = now + (self._options.timeout_seconds if seconds is None else seconds)
        return self._ask_until(deadline, now, request, done)

    def _ask_until(self, deadline: float, now: float, request: Any, done: Done) -> Call:
        call = Call(request, done, deadline, now)
        if self._closed is not None:
            call.answer(self._closed)
            return call  # and no time to be told of
        if self.is_ready and self._unsent.lets_pass(call, len(self._open) + len(self._subscriptions)):
            self._send(call)
        else:
            self._unsent.add(call)
        self._want_tick(call.deadline)
        return call

    def new_key(self) -> bytes:
        """A `batch_key` that nobody else has."""
        return self._key + next(self._keys).to_bytes(6, "big")

    def subscribe(self, subscribing: Subscribing) -> None:
        """Have messages pushed, for as long as the client lives."""
        if self._closed is not None:
            subscribing.end(self._closed)
        elif self.is_ready:
            self._send_subscribe(subscribing)
        else:
            self._dormant.append(subscribing)

    def add_credit(self, subscribing: Subscribing) -> None:
        """Ask for as many as have been handed on."""
        if subscribing.id and self.is_ready:
            messages, size = subscribing.take_credit()
            self._link.send(0, Credit(subscribing.id, messages, size))
            self._host.write_soon()

    def unsubscribe(self, subscribing: Subscribing) -> None:
        """Have nothing more pushed; its end is told, with the server's answer where there is a connection."""
        subscribing.is_ending = True
        if subscribing.id and self.is_ready:
            self._link.send(0, Unsubscribe(subscribing.id))
            self._host.write_soon()
            return
        if subscribing in self._dormant:
            self._dormant.remove(subscribing)
        subscribing.end(None)

    def lease(self, deliveries: Deliveries, now: float) -> Leased:
        """Keep what was delivered leased for as long as somebody holds it."""
        leased = Leased(deliveries, self.settling)
        self._longest_lease = max(self._longest_lease, deliveries.lease_ms / 1000)
        self._leasing.keep(leased, now)
        self._want_tick(self._leasing.next_due)
        return leased

    def release(self, deliveries: Deliveries) -> None:
        """Nobody is there who would take them: put them back."""
        last = deliveries.first_receipt + len(deliveries.batch.payloads) - 1
        if deliveries.first_receipt and last >= deliveries.first_receipt:
            self.settling.add(deliveries.queue, [(deliveries.first_receipt, last)], Action.RELEASE)

    def abandon(self, call: Call) -> None:
        """Nobody waits for this reply any more; the server neither, and messages that are on their way are put back."""
        if call.done is None:
            return
        call.done = None
        if self._unsent.remove(call):
            return
        if self.is_ready and isinstance(call.request, Pull) and self._open.get(call.id) is call:
            self._link.send(0, Unsubscribe(call.id))
            self._host.write_soon()

    @property
    def open_calls(self) -> int:
        """How many requests are on their way."""
        return len(self._open)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked and nothing pushed."""
        return not (self._open or self._subscriptions or self._unsent or self._dormant)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for a reply, pulls left aside."""
        return all(isinstance(call.request, Pull) for call in (*self._open.values(), *self._unsent))

    def close(self, reason: QuickPulseError | None = None) -> None:
        """The end: whoever still waits is told, and whoever asks from now on."""
        reason = reason or ClientClosed()
        self._closed = self._closed or reason
        calls = [*self._open.values(), *self._unsent]
        subscriptions = [*self._subscriptions.values(), *self._dormant]
        self._open, self._subscriptions, self._dormant = {}, {}, []
        self._unsent = Unsent()
        self._leasing.forget()
        self.settling.close(self._closed)
        for request in self.settling.take():
            self._settled(request, self._closed)
        for call in calls:
            call.answer(reason)
        for subscribing in subscriptions:
            subscribing.end(reason)
        if self._link is not None:
            self._link.end()

    # ---- sending ----

    def _unused_ids(self) -> Iterator[int]:
        while True:
            for request_id in range(1, LAST_ID + 1):
                if request_id not in self._open and request_id not in self._subscriptions:
                    yield request_id

    def _send(self, call: Call) -> None:
        request_id = next(self._ids)
        try:
            require_few(call.request, self._link.max_batch_bytes)
            self._link.send(request_id, call.request)
        except RequestTooLarge as error:
            self._send_in_parts(call, error)
            return
        except QuickPulseError as error:
            call.answer(error)
            return
        except Exception as error:  # of a value that is nothing of the kind; whoever asked is told, and not the loop
            call.answer(InvalidArgument(f"{type(call.request).__name__}: {error}"))
            return
        self._open[request_id] = call
        call.id = request_id
        self._host.write_soon()

    def _send_waiting(self, now: float) -> None:
        while self.is_ready:
            call = self._unsent.next(len(self._open) + len(self._subscriptions))
            if call is None:
                return
            if call.done is not None and call.deadline > now:
                call.shorten(now)
                self._send(call)
            else:
                call.answer(self._late(call))

    def _send_in_parts(self, call: Call, error: RequestTooLarge) -> None:
        """The server reads no frame as long as this one."""
        parts = split(call.request, self._link.max_batch_bytes)
        if len(parts) < 2:
            is_atomic = getattr(call.request, "atomic", False)
            call.answer(RequestTooLarge(f"{error}; an atomic batch cannot go in parts") if is_atomic else error)
            return

        def ask(part: Any, done: Done) -> None:
            if call.done is None and not isinstance(part, Settle):  # who asked has given it up: no more of it
                done(Timeout("given up"))
            else:
                self._ask_until(call.deadline, call.asked_at, part, done)

        Parts(call.request, parts, ask, call.answer).send()

    def _send_subscribe(self, subscribing: Subscribing) -> None:
        request_id = next(self._ids)
        self._link.send(request_id, subscribing.request())
        subscribing.id = request_id
        self._subscriptions[request_id] = subscribing
        self._host.write_soon()

    # ---- replies ----

    def _introduced(self, info: Any) -> None:
        """The server has said who it is; or why it does not."""
        if isinstance(info, QuickPulseError):
            self._cut(info if not isinstance(info, Timeout) else ConnectionLost("the server does not answer"))
            return
        self.server = info
        self._link.max_batch_bytes = info.limits.get("max_batch_bytes")
        self.is_ready = True
        self.fault = None
        self._want_tick(self._heard_at + self._options.keepalive_seconds)
        dormant, self._dormant = self._dormant, []
        for subscribing in dormant:
            self._send_subscribe(subscribing)
        self._host.ready()

    def _take(self, request_id: int, reply: Any, now: float) -> None:
        """One frame of the server."""
        subscribing = self._subscriptions.get(request_id)
        if subscribing is not None:
            self._push(subscribing, reply, now)
            return
        call = self._open.pop(request_id, None)
        if call is None or call.done is None:
            if isinstance(reply, Deliveries):
                self.release(reply)
        elif isinstance(reply, Draining):  # it was not done; the next connection is another server's
            self._unsent.add_refused(call)
        elif call.is_repeated and isinstance(reply, SettleReply) and reply.unknown:
            # Receipts are unknown as well when the first time took effect.
            call.answer(ConnectionLost("the connection ended before the reply; it is not known whether it took effect"))
        else:
            call.answer(reply)

    def _push(self, subscribing: Subscribing, reply: Any, now: float) -> None:
        if isinstance(reply, Deliveries):
            if subscribing.is_ending:  # it was on its way
                self.release(reply)
            else:
                subscribing.take(self.lease(reply, now))
        elif isinstance(reply, SubscriptionEnded | QuickPulseError):
            del self._subscriptions[subscribing.id]
            subscribing.id = 0
            error = reply.error if isinstance(reply, SubscriptionEnded) else reply
            if isinstance(error, Draining) and not subscribing.is_ending:  # it goes on with the next server
                self._dormant.append(subscribing)
            else:
                subscribing.end(error)
        else:
            assert isinstance(reply, Subscribed)

    def _settled(self, request: Settle, reply: Any) -> None:
        """What was said without `confirm` was done, or nobody but the count and the log can be told."""
        is_closed = self._closed is not None
        lost = count_of(reply.unknown if isinstance(reply, SettleReply) else request.receipts)
        if isinstance(reply, ConnectionLost) and not is_closed:
            lost = 0  # it is not known whether it took effect
        if request.action not in (Action.EXTEND, Action.RELEASE):
            self.lost_leases += lost
        # Without its queue nothing is leased; what could not be put back comes again anyway; who closes is told.
        if not (isinstance(reply, SettleReply | NotFound) or request.action is Action.RELEASE or is_closed):
            what = request.action.name.lower(), count_of(request.receipts), request.queue, reply
            logging.getLogger("quickpulse.client").warning("%s of %d message(s) of %s: %s", *what)

    # ---- time ----

    def _want_tick(self, when: float) -> None:
        if when < self.next_tick:
            self.next_tick = when
            self._host.tick_at(when)

    def _expire(self, now: float) -> None:
        """Calls whose time is up. One that was sent stays known, so that messages in its reply are put back."""
        for call in [*self._open.values(), *self._unsent]:
            if call.done is not None and call.deadline <= now:
                call.answer(self._late(call))
            elif call.done is not None:
                self._want_tick(call.deadline)
        self._unsent.forget_answered()

    def _late(self, call: Call) -> Timeout:
        fault = Draining() if self._unsent.was_refused(call) else self.fault
        why = f" ({fault})" if fault is not None else ""
        return Timeout(f"no reply to {type(call.request).__name__} in time{why}")

    def _listen_for_life(self, now: float) -> None:
        if self._link is None:
            return
        silent = now - self._heard_at
        most = self._options.keepalive_seconds
        if silent >= 2 * most:
            self._cut(ConnectionLost(f"the server was silent for {silent:.0f} s"))
        elif silent >= most and not self._is_asked:
            self._is_asked = True
            self._link.ping()
            self._host.write_soon()
        if self._link is not None:
            self._want_tick(self._heard_at + most * (2 if self._is_asked else 1))

    def _cut(self, error: QuickPulseError) -> None:
        self.fault = error
        self._host.cut()
