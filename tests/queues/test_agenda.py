"""The agenda: order, stale entries, and what happens meanwhile."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.agenda import DUE, IDLE, LEAST_SWEPT, VOID, Agenda


class Note:
    """Something that notes when it happened."""

    def __init__(self, name: str, notes: list[tuple[str, int]]) -> None:
        self.name = name
        self.notes = notes
        self.pending = True

    def is_pending(self, moment: int) -> bool:
        return self.pending

    def happen(self, moment: int) -> None:
        self.notes.append((self.name, moment))


class AgendaTests(SynchronousTestCase):
    """What is due."""

    def setUp(self) -> None:
        """Nothing is."""
        self.agenda = Agenda()
        self.notes: list[tuple[str, int]] = []

    def add(self, moment: int, name: str, kind: int = DUE, number: int = 0) -> Note:
        """One more thing."""
        note = Note(name, self.notes)
        self.agenda.add(moment, kind, number, note)
        return note

    def test_a_quick_look(self) -> None:
        """It may say in vain that something is due, but never that nothing is."""
        self.assertFalse(self.agenda.has_before(5))
        note = self.add(4, "a")
        self.assertEqual([self.agenda.has_before(moment) for moment in (4, 5)], [False, True])
        note.pending = False
        self.assertTrue(self.agenda.has_before(5))

    def test_nothing(self) -> None:
        """No moment is the next."""
        self.assertIsNone(self.agenda.next_moment)
        self.agenda.run(10)

    def test_in_the_order_of_time(self) -> None:
        """Each at its own moment, up to now and not further."""
        self.add(30, "c")
        self.add(10, "a")
        self.add(20, "b")
        self.assertEqual(self.agenda.next_moment, 10)
        self.agenda.run(20)
        self.assertEqual(self.notes, [("a", 10), ("b", 20)])
        self.assertEqual(self.agenda.next_moment, 30)

    def test_at_the_same_moment(self) -> None:
        """By kind, by number, and else as they were added."""
        self.add(10, "idle", IDLE)
        self.add(10, "second", VOID, 2)
        self.add(10, "third", VOID, 2)
        self.add(10, "first", VOID, 1)
        self.agenda.run(10)
        self.assertEqual([name for name, _ in self.notes], ["first", "second", "third", "idle"])

    def test_stale_entries_are_passed_over(self) -> None:
        """They neither happen nor count as the next."""
        self.add(10, "gone").pending = False
        self.add(20, "here")
        self.assertEqual(self.agenda.next_moment, 20)
        self.agenda.run(30)
        self.assertEqual(self.notes, [("here", 20)])

    def test_what_is_made_due_meanwhile_happens_too(self) -> None:
        """As of its own moment."""
        note = self.add(10, "first")
        note.happen = lambda moment: self.add(moment + 5, "second") and None  # type: ignore[method-assign]
        self.agenda.run(20)
        self.assertEqual(self.notes, [("second", 15)])

    def test_stale_entries_do_not_pile_up(self) -> None:
        """A thing that is put off again and again leaves few entries."""
        for moment in range(10_000):
            self.add(100_000 - moment, "put off").pending = False
        self.assertLessEqual(len(self.agenda), LEAST_SWEPT + 1)
