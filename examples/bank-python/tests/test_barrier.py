"""What the programs' own business cannot show: a refusal, a failure and an old mark in the middle of things."""
import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import barrier  # noqa: E402


class Business:
    """Writes a row, and then does as it is told."""

    def __init__(self, then=None):
        self.then = then

    def hold(self, db, _thing, _branch, _body):
        self.end(db, None, None)
        return {}

    def end(self, db, _branch, _state):
        db.execute("INSERT INTO effects VALUES (1)")
        if self.then:
            raise self.then


class Barrier(unittest.TestCase):
    def setUp(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(barrier.MARKS + "CREATE TABLE effects (x);")

    def carry(self, operation, then=None, transaction="t"):
        return barrier.carry(self.db, Business(then), "things", operation, [transaction, "b"], "{}")[::2]

    def there(self):
        marks = self.db.execute("SELECT transaction_id, state FROM marks ORDER BY 1").fetchall()
        return dict(marks), self.db.execute("SELECT count(*) FROM effects").fetchone()[0]

    def test_a_refused_effect_is_undone_and_its_mark_is_kept(self):
        self.assertEqual(self.carry("prepare", barrier.Refused("no")), (409, "refused"))
        self.assertEqual(self.there(), ({"t": "refused"}, 0))
        self.assertEqual(self.carry("prepare"), (409, "refused"))

    def test_a_failing_database_leaves_neither_mark_nor_effect(self):
        with self.assertRaises(sqlite3.Error):
            self.carry("prepare", sqlite3.OperationalError("disk I/O error"))
        self.assertEqual(self.there(), ({}, 0))
        self.carry("prepare")
        for operation in ("commit", "rollback"):
            with self.assertRaises(sqlite3.Error):
                self.carry(operation, sqlite3.OperationalError("disk I/O error"))
            self.assertEqual(self.there(), ({"t": "held"}, 1))

    def test_old_marks_are_forgotten_but_never_one_that_is_held(self):
        for transaction in ("new", "old", "held"):
            self.carry("prepare", transaction=transaction)
        self.carry("commit", transaction="new")
        self.carry("commit", transaction="old")
        age = "UPDATE marks SET ended_at = ended_at - ? WHERE transaction_id = 'old'"
        self.db.execute(age, (barrier.MARKS_KEPT_S + 60,))
        barrier.clean(self.db)
        self.assertEqual(self.there()[0], {"new": "committed", "held": "held"})


if __name__ == "__main__":
    unittest.main()
