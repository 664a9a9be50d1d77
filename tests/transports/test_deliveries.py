"""Messages that were written and are not known to have arrived."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.deliveries import CONFIRM_EVERY, Deliveries, UnderWay


class Transport:
    """One of ours: it is asked, and says how much has arrived.

    :param is_ours: else it cannot tell.
    """

    def __init__(self, is_ours: bool = True) -> None:
        self.arrived: int | None = 0 if is_ours else None
        self.questions = 0

    def acknowledged_bytes(self) -> int | None:
        """How much."""
        self.questions += 1
        return self.arrived


class UnderWayTests(SynchronousTestCase):
    """Messages by their place in what was written."""

    def test_confirmed_in_order(self) -> None:
        """What is up to a position has arrived."""
        it = UnderWay()
        it.next = 2
        it.wrote(100)
        it.next = 3
        it.wrote(200)
        it.next = 4
        self.assertEqual((it.messages(), len(it)), (9, 2))
        it.confirm(99)
        self.assertEqual(it.messages(), 9)
        it.confirm(100)
        self.assertEqual(it.messages(), 7)
        it.confirm(1000)
        self.assertEqual(it.messages(), 4)

    def test_merged(self) -> None:
        """Positions stay in order."""
        one, two = UnderWay(), UnderWay()
        for it, positions in ((one, (100, 300)), (two, (200, 400))):
            for position in positions:
                it.next = 1
                it.wrote(position)
        two.next = 5
        one.merge(two)
        self.assertEqual((one.messages(), two.messages()), (9, 0))
        one.confirm(250)
        self.assertEqual(one.messages(), 7)


class DeliveriesTests(SynchronousTestCase):
    """Those of one connection."""

    def test_the_kernel_is_asked(self) -> None:
        """Arrived bytes confirm the messages that end in them, whole writes only."""
        transport = Transport()
        it = Deliveries(transport)
        it.writes(100)
        for messages in (2, 3):
            it.add(messages)
            it.writes(10)
        self.assertEqual((it.messages(), it.written_bytes), (5, 120))
        for arrived, left in ((105, 5), (110, 3), (121, 0)):
            transport.arrived = arrived
            it.confirm_arrived()
            self.assertEqual(it.messages(), left)

    def test_what_the_peer_says_itself(self) -> None:
        """Its Close in reply to ours says that all before was read."""
        it = Deliveries(Transport())
        it.add(1)
        it.writes(10)
        it.confirm_all()
        self.assertEqual(it.messages(), 0)

    def test_writes_without_messages_ask_nothing(self) -> None:
        """And with nothing under way there is nothing to ask."""
        transport = Transport()
        it = Deliveries(transport)
        before = transport.questions
        for _ in range(1000):
            it.writes(10)
        it.confirm_arrived()
        self.assertEqual(transport.questions, before)

    def test_one_of_ours_is_asked_seldom(self) -> None:
        """Once in `CONFIRM_EVERY` writes: what is remembered is bounded while the peer reads."""
        transport = Transport()
        it = Deliveries(transport)
        before = transport.questions
        for _ in range(10 * CONFIRM_EVERY + 1):
            transport.arrived = it.written_bytes
            it.add(1)
            it.writes(10)
            self.assertLessEqual(len(it), CONFIRM_EVERY)
        self.assertEqual(transport.questions - before, 10)

    def test_any_other_is_asked_before_each_write(self) -> None:
        """When its connection has ended it is too late."""
        it = Deliveries(Transport(is_ours=False))
        for _ in range(10):
            it.add(1)
            it.writes(10)
        self.assertEqual(it.messages(), 1)
