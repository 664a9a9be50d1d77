"""Waiting for messages of a broker: pulls, until one comes or their time is up, and subscriptions with credit.

A layer over the broker, which itself never waits. A queue tells when it has something, and its line is served, first
come, first served; a subscription stands at the end of the line after each helping. A queue for which nobody waits has
no line, and pays nothing.

Time is an argument, as everywhere in the domain. Whoever holds the clock calls `serve` when there is work, and `tick`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Protocol

from zope.interface import implementer

from quickpulse.errors import InvalidArgument, NotFound, QuickPulseError, TooManyRequests
from quickpulse.interfaces import ISubscription
from quickpulse.queues.lines import LEAST_COMPACTED, Line, Party
from quickpulse.queues.policies import require_between
from quickpulse.requests import Deliveries, Pull, Subscribe

HELPING_MESSAGES = 256
"""Most that a subscription gets before the next in the line: large enough that a helping costs little for each."""

TURN_HELPINGS = 64
"""Helpings of one turn, so that others have theirs: a consumer may give new credit as fast as it is served."""

MOST_CREDIT = (1 << 31) - 1
"""Messages, and bytes. Nobody can hold so many; a sum that goes on growing is a mistake of its maker."""

MOST_PLACES = 500_000
"""Of pulls that wait, each has one for each queue that it names. A pull takes 1 to 2 KiB, a further place of it 0.1."""

_ASKED_NOTHING = Pull(())

NOTHING = Deliveries("")
"""The answer to a pull for which nothing came."""


class Pullable(Protocol):
    """What waiting needs of a broker."""

    def pull(self, request: Pull, now_ms: int) -> Deliveries:
        """What there is now."""

    def holds(self, holder: object) -> bool:
        """Whether a holder of leases has any."""

    def watch(self, name: str, woken: Callable[[], None]) -> None:
        """Call `woken` whenever the queue, made on need, has something new."""

    def unwatch(self, name: str, woken: Callable[[], None]) -> None:
        """No more."""


class WaitingPull(Party):
    """A pull for which there was nothing yet.

    :param answer: called once with what came, or with nothing.
    :param wake: called with a line in which it stands again.
    :param left: called once when it waits no more, with the number of its lines.
    """

    __slots__ = ("_answer", "_broker", "_left", "_request", "_wake", "deadline_ms")

    def __init__(
        self,
        broker: Pullable,
        request: Pull,
        deadline_ms: int,
        answer: Callable[[Deliveries], None],
        wake: Callable[[Line], None],
        left: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.deadline_ms = deadline_ms
        self._left = left
        self._broker = broker
        self._request = request
        self._answer = answer
        self._wake = wake

    @property
    def wants(self) -> bool:
        """Whether its answer would be read."""
        reader = self._request.reader
        return not self.is_gone and (reader is None or not reader.is_held)

    def passed_over(self) -> None:
        """Its reader is held: it stands again when that is over."""
        if self._request.reader is not None:
            self._request.reader.when_released(self._stand)

    def leave(self) -> None:
        """It waits no more, for its reader neither; what it asked for is not kept until its time is up."""
        if self.is_gone:
            return
        self._left(len(self.lines))
        super().leave()
        if self._request.reader is not None:
            self._request.reader.forget(self._stand)
        self._request, self._answer = _ASKED_NOTHING, _tell_nobody

    def take(self, line: Line, now_ms: int) -> bool:
        """All that it asked for, of the first of its queues that has something."""
        deliveries = self._broker.pull(self._request, now_ms)
        if not deliveries.batch.payloads:
            return False
        answer = self._answer
        self.leave()
        answer(deliveries)
        return True

    def end(self, error: QuickPulseError | None = None) -> None:
        """Nothing came, whatever the reason."""
        answer = self._answer
        self.leave()
        answer(NOTHING)

    def _stand(self) -> None:
        for line in self.lines:
            line.stand(self)
            self._wake(line)


@implementer(ISubscription)
class Subscription(Party):
    """Messages of a queue, pushed as far as there is credit.

    :param deliver: called with each helping.
    :param ended: called once when there will be nothing more, with the reason; None: it was asked for.
    :param give_back: called with this subscription when its subscriber is gone and does not keep what it holds: how
        many messages that are.
    """

    __slots__ = ("_broker", "_bytes", "_deliver", "_ended", "_give_back", "_is_held", "_messages", "_request", "_wake")

    def __init__(
        self,
        broker: Pullable,
        request: Subscribe,
        deliver: Callable[[Deliveries], None],
        ended: Callable[[QuickPulseError | None], None],
        give_back: Callable[[Subscription], int],
        wake: Callable[[Line], None],
    ) -> None:
        super().__init__()
        self._give_back = give_back if request.release_on_disconnect else None
        self._broker = broker
        self._request = request
        self._deliver = deliver
        self._ended = ended
        self._wake = wake
        self._messages = _credit("credit_messages", request.credit_messages)
        self._bytes = _credit("credit_bytes", request.credit_bytes) if request.credit_bytes else None
        self._is_held = False

    @property
    def wants(self) -> bool:
        """Whether there is credit, and its reader keeps up."""
        has_bytes = self._bytes is None or self._bytes > 0
        return self._messages > 0 and has_bytes and not self._is_held and not self.is_gone

    def take(self, line: Line, now_ms: int) -> bool:
        """A helping. What it costs is taken from the credit; of bytes it may be more than there was."""
        asked = self._request
        request = Pull(
            (asked.queue,),
            min(self._messages, HELPING_MESSAGES),
            self._bytes or 0,
            lease_ms=asked.lease_ms,
            delivery=asked.delivery,
            with_enqueued_at=asked.with_enqueued_at,
            holder=self if asked.release_on_disconnect else None,
        )
        deliveries = self._broker.pull(request, now_ms)
        payloads = deliveries.batch.payloads
        if not payloads:
            return False
        self._messages -= len(payloads)
        if self._bytes is not None:
            self._bytes -= sum(map(len, payloads))
        self._deliver(deliveries)
        return True

    def add_credit(self, messages: int, size_bytes: int = 0) -> None:
        """Ask for more.

        :param size_bytes: nothing to one that has no bound in bytes.
        :raises InvalidArgument: there would be more than `MOST_CREDIT`; nothing changed.
        """
        more = _credit("credit_messages", self._messages + messages)
        if self._bytes is not None:
            self._bytes = _credit("credit_bytes", self._bytes + size_bytes)
        self._messages = more
        self._stand()

    def hold(self) -> None:
        """Its reader does not keep up: nothing more for now."""
        self._is_held = True

    def release(self) -> None:
        """It does again."""
        self._is_held = False
        self._stand()

    def end(self, error: QuickPulseError | None = None) -> None:
        """There is nothing more."""
        if not self.is_gone:
            self.leave()
            self._ended(error)

    def lost(self) -> int:
        """Its subscriber is gone, whether the subscription had ended before or not; how many messages went back."""
        if not self.is_gone:
            self.leave()
        give_back, self._give_back = self._give_back, None
        return 0 if give_back is None else give_back(self)

    def holds(self) -> bool:
        """Whether `lost` would give anything back."""
        return self._give_back is not None and self._broker.holds(self)

    def _stand(self) -> None:
        if self.wants:
            for line in self.lines:
                line.stand(self)
                self._wake(line)


class Waiting:
    """All who wait for messages of one broker.

    :param broker: the broker.
    :param has_work: called when `serve` is wanted; it may be called at any time, from within a call of the broker too.
    """

    def __init__(self, broker: Pullable, has_work: Callable[[], None]) -> None:
        self._broker = broker
        self._has_work = has_work
        self._lines: dict[str, Line] = {}
        self._wakers: dict[str, Callable[[], None]] = {}
        self._woken: dict[Line, None] = {}  # lines with something to do, in order
        self._deadlines: list[tuple[int, int, WaitingPull]] = []
        self._most_deadlines = LEAST_COMPACTED  # from here on those of pulls that have left are looked for
        self._serial = 0
        self._places = 0  # of pulls, in all lines
        self._is_serving = False

    def waiters(self, queue: str) -> int:
        """How many wait for a queue, subscriptions without credit included."""
        line = self._lines.get(queue)
        return len(line.members) if line is not None else 0

    def all_waiters(self) -> dict[str, int]:
        """Likewise, by queue: those for which somebody waits."""
        return {queue: len(line.members) for queue, line in self._lines.items()}

    def pull(self, request: Pull, now_ms: int, answer: Callable[[Deliveries], None]) -> WaitingPull:
        """Wait for messages; the queues have none at this moment.

        :param answer: called later, once, unless the pull is left before.
        :returns: what waits; `leave` takes it out, and from then on nothing is leased for it.
        :raises TooManyRequests: so many wait that their memory would not be bounded.
        """
        names = request.queues if len(request.queues) == 1 else tuple(dict.fromkeys(request.queues))
        if self._places + len(names) > MOST_PLACES:
            raise TooManyRequests(f"pulls wait in {self._places} places, of {MOST_PLACES} in all queues")
        lines = [self._line(queue) for queue in names]
        waiting = WaitingPull(self._broker, request, now_ms + request.wait_ms, answer, self._wake, self._pull_left)
        for line in lines:
            line.join(waiting)
        self._places += len(lines)
        self._serial += 1
        heappush(self._deadlines, (waiting.deadline_ms, self._serial, waiting))
        if len(self._deadlines) > self._most_deadlines:
            self._deadlines = [entry for entry in self._deadlines if not entry[2].is_gone]
            heapify(self._deadlines)
            self._most_deadlines = LEAST_COMPACTED + 2 * len(self._deadlines)
        return waiting

    def subscribe(
        self,
        request: Subscribe,
        deliver: Callable[[Deliveries], None],
        ended: Callable[[QuickPulseError | None], None],
        give_back: Callable[[Subscription], int],
    ) -> Subscription:
        """Push messages of a queue; the first may come with the next `serve`.

        :param give_back: called with a subscription whose subscriber is gone: put back what is leased to it.
        :raises InvalidArgument: of the credit, or of how long leases are.
        """
        require_between("lease_ms", request.lease_ms, 0, 1 << 62)
        subscription = Subscription(self._broker, request, deliver, ended, give_back, self._wake)
        line = self._line(request.queue)
        line.join(subscription)
        self._wake(line)
        return subscription

    def serve(self, now_ms: int) -> None:
        """Give out what there is; if that is much, not all in one turn: `has_work` is called for the next.

        An exception ends the turn of all, and goes on; the next turn has the others.
        """
        if self._is_serving:
            return
        self._is_serving = True
        helpings = TURN_HELPINGS
        try:
            while self._woken and helpings:
                line = next(iter(self._woken))
                del self._woken[line]
                try:
                    helpings = line.serve(now_ms, helpings)
                except Exception:
                    self._wake(line)
                    raise
                if not helpings:
                    self._wake(line)
        finally:
            self._is_serving = False
            if self._woken:
                self._has_work()

    def serve_before(self, queues: Sequence[str], now_ms: int) -> None:
        """Somebody asks for what these queues have: who waits for it and was not served yet came before.

        One helping for each is enough, so that a subscription with much credit does not hold up who asks.
        """
        for line in map(self._lines.get, queues):
            if line is not None and line in self._woken and not self._is_serving:
                self._is_serving = True
                try:
                    line.serve(now_ms, min(len(line.members), TURN_HELPINGS))
                finally:
                    self._is_serving = False

    def next_deadline(self) -> int | None:
        """When the time of somebody is up; None: of nobody."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][2].is_gone:
            heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def has_deadline_before(self, moment: int) -> bool:
        """Whether `next_deadline` may be before that moment: a quick look, which may say so in vain."""
        return bool(self._deadlines) and self._deadlines[0][0] < moment

    def tick(self, now_ms: int) -> None:
        """Answer those whose time is up."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:  # an answer may bring another pull, and another list
            heappop(self._deadlines)[2].end()

    def queue_deleted(self, queue: str) -> None:
        """A queue is gone: its subscriptions end, and pulls get nothing."""
        line = self._lines.get(queue)
        if line is not None:
            self._end(line, NotFound(f"the queue {queue} was deleted"))

    def end_all(self, error: QuickPulseError) -> None:
        """Nobody gets anything any more."""
        for line in list(self._lines.values()):
            self._end(line, error)

    def _end(self, line: Line, error: QuickPulseError) -> None:
        self._emptied(line)  # who waits again when it hears of this stands in another line
        for party in list(line.members):
            party.end(error)

    def _line(self, queue: str) -> Line:
        line = self._lines.get(queue)
        if line is None:
            line = Line(queue, self._emptied)
            waker = partial(self._wake, line)
            self._broker.watch(queue, waker)
            self._lines[queue], self._wakers[queue] = line, waker
        return line

    def _pull_left(self, places: int) -> None:
        self._places -= places

    def _emptied(self, line: Line) -> None:
        self._woken.pop(line, None)
        if self._lines.get(line.queue) is line:
            del self._lines[line.queue]
            self._broker.unwatch(line.queue, self._wakers.pop(line.queue))

    def _wake(self, line: Line) -> None:
        if line.members:
            self._woken[line] = None
            if not self._is_serving:
                self._has_work()


def _tell_nobody(deliveries: Deliveries) -> None:
    """Whoever asked has left."""


def _credit(name: str, value: int) -> int:
    if value > MOST_CREDIT:
        raise InvalidArgument(f"{name} would be {value}, the most is {MOST_CREDIT}")
    return value
