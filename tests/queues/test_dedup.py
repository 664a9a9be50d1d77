"""Keys: the window, and how many there may be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import QueueFull
from quickpulse.queues import dedup
from quickpulse.queues.agenda import Agenda
from quickpulse.queues.dedup import MOST_KEYS, Keys
from quickpulse.queues.usage import KEY_BYTES, Usage
from quickpulse.requests import UNBOUNDED, PublishReply, Rejection

REPLY = PublishReply(((1, 2),))


class KeyTests(SynchronousTestCase):
    """The keys of a queue."""

    def setUp(self) -> None:
        """A window of five seconds."""
        self.agenda = Agenda()
        self.usage = Usage(UNBOUNDED)
        self.keys = Keys(self.agenda, self.usage)
        self.keys.window_ms = 5000

    def test_the_window(self) -> None:
        """A key is known until it is over."""
        self.keys.add("k", 100)
        self.assertTrue(self.keys.knows("k", 5099))
        self.assertFalse(self.keys.knows("k", 5100))
        self.assertFalse(self.keys.knows("other", 100))

    def test_a_batch(self) -> None:
        """Its reply is there until then."""
        self.keys.add_batch(b"k", REPLY, 100)
        self.assertIs(self.keys.reply_to(b"k", 5099), REPLY)
        self.assertIsNone(self.keys.reply_to(b"k", 5100))
        self.assertIsNone(self.keys.reply_to(b"other", 100))

    def test_a_longer_window_revives_none(self) -> None:
        """What was over before the window changed is forgotten, whether its memory was freed by then or not."""
        for key, moment in (("old", 100), ("new", 4000)):
            self.keys.add(key, moment)
            self.keys.add_batch(key.encode(), REPLY, moment)
        self.keys.drop_old(5100)
        self.keys.window_ms = 60_000
        self.assertEqual([self.keys.knows(key, 5200) for key in ("old", "new")], [False, True])
        self.assertEqual([self.keys.reply_to(key, 5200) for key in (b"old", b"new")], [None, REPLY])

    def test_no_window(self) -> None:
        """Nothing is remembered."""
        self.keys.window_ms = 0
        self.keys.add("k", 100)
        self.keys.add_batch(b"k", REPLY, 100)
        self.assertEqual((len(self.keys), self.keys.knows("k", 100)), (0, False))

    def test_old_keys_are_dropped(self) -> None:
        """When their time is up, and nothing is due any more."""
        self.keys.add("a", 100)
        self.keys.add_batch(b"b", REPLY, 3000)
        self.agenda.run(5100)
        self.assertEqual(len(self.keys), 1)
        self.agenda.run(9000)
        self.assertEqual((len(self.keys), self.agenda.next_moment), (0, None))

    def test_keys_that_come_after_all_were_dropped(self) -> None:
        """A change of the window drops them, and the agenda is swept: those that come later are freed in time."""
        self.keys.add("a", 100)
        self.keys.drop_old(5100)
        self.agenda.run(5100)
        self.keys.add("b", 5200)
        self.agenda.run(20_000)
        self.assertEqual((len(self.keys), self.agenda.next_moment), (0, None))
        self.keys.add("c", 20_000)
        self.keys.drop_old(25_000)
        self.assertEqual(self.agenda.next_moment, 25_000)
        self.keys.add("d", 25_000)
        self.agenda.run(40_000)
        self.assertEqual((len(self.keys), self.agenda.next_moment), (0, None))

    def test_most_keys(self) -> None:
        """The oldest go first."""
        for number in range(MOST_KEYS + 2):
            self.keys.add(str(number), 100)
            self.keys.add_batch(b"%d" % number, REPLY, 100)
        self.assertEqual(len(self.keys), 2 * MOST_KEYS)
        self.assertFalse(self.keys.knows("1", 100))
        self.assertTrue(self.keys.knows("2", 100))
        self.assertIsNone(self.keys.reply_to(b"1", 100))
        self.assertIs(self.keys.reply_to(b"2", 100), REPLY)

    def test_long_replies_count_for_more(self) -> None:
        """What a reply names is kept with it; the last one is kept however long it is."""
        long = PublishReply(((1, 1),), (), [Rejection(0, QueueFull())] * MOST_KEYS)
        self.keys.add_batch(b"short", REPLY, 100)
        self.keys.add_batch(b"long", long, 100)
        self.assertEqual(len(self.keys), 1)
        self.assertIs(self.keys.reply_to(b"long", 100), long)
        self.keys.add_batch(b"next", REPLY, 100)
        self.assertIsNone(self.keys.reply_to(b"long", 100))

    def test_they_count(self) -> None:
        """With their characters, and what a reply names, as long as they are kept; a repeat counts once."""
        used = []
        self.keys.add("abc", 100)
        used.append(self.usage.used)
        self.keys.add("abc", 200)
        used.append(self.usage.used)
        self.keys.add("\N{PARTY POPPER}", 200)
        used.append(self.usage.used)
        for _ in range(2):
            self.keys.add_batch(b"ab", PublishReply(((1, 1),), (1, 2)), 5150)
            used.append(self.usage.used)
        self.keys.drop_old(5200)
        used.append(self.usage.used)
        batch = 3 * KEY_BYTES + 2
        texts = 2 * KEY_BYTES + 3 + 4
        self.assertEqual(used, [KEY_BYTES + 3] * 2 + [texts] + [texts + batch] * 2 + [batch])

    def test_the_oldest_count_no_more(self) -> None:
        """Those that went because there were too many."""
        self.patch(dedup, "MOST_KEYS", 2)
        for number in range(5):
            self.keys.add(str(number), 100)
            self.keys.add_batch(b"%d" % number, REPLY, 100)
        self.assertEqual(self.usage.used, 4 * (KEY_BYTES + 1))

    def test_clear(self) -> None:
        """They go with the queue."""
        self.keys.add("a", 100)
        self.keys.add_batch(b"b", REPLY, 100)
        self.keys.clear()
        self.assertEqual(self.usage.used, 0)
        self.assertEqual((len(self.keys), self.agenda.next_moment), (0, None))
