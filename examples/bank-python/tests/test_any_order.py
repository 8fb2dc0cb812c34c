"""Whatever order calls come in, and whenever the process is killed: each branch ends legally, with its effect once.

`SEED=n` repeats a run.
"""
import os
import random

from running import DONE, REFUSED, UNKNOWN_BRANCH, TestCase

# (mark, operation) → (next mark, answer): the table of barrier.py, written down a second time.
TABLE = {
    ("none", "prepare"): ("held", DONE), ("none", "commit"): ("none", UNKNOWN_BRANCH),
    ("none", "rollback"): ("rolled-back", DONE),
    ("held", "prepare"): ("held", DONE), ("held", "commit"): ("committed", DONE),
    ("held", "rollback"): ("rolled-back", DONE),
    ("committed", "prepare"): ("committed", DONE), ("committed", "commit"): ("committed", DONE),
    ("committed", "rollback"): ("committed", REFUSED),
    ("rolled-back", "prepare"): ("rolled-back", REFUSED), ("rolled-back", "commit"): ("rolled-back", REFUSED),
    ("rolled-back", "rollback"): ("rolled-back", DONE),
}


class AnyOrder(TestCase):
    def walk(self, participant, thing, body, steps=150):
        """Calls in any order, with kills between them; gives the mark of every transaction."""
        seed = int(os.environ.get("SEED", random.randrange(2**32)))
        print(f"{thing}: SEED={seed}")
        chance, marks, first_answers = random.Random(seed), {}, {}
        for _ in range(steps):
            if chance.random() < 0.03:
                participant.kill()
                participant.start()
            transaction, operation = f"t{chance.randrange(30)}", chance.choice(["prepare", "commit", "rollback"])
            mark = marks.get(transaction, "none")
            marks[transaction], expected = TABLE[mark, operation]
            status, outcome, answer = participant.call(f"/{thing}/{operation}", transaction, body)
            self.assertEqual((status, outcome), expected, f"{operation} of {transaction}, {mark}: {answer}")
            if outcome == "done" and operation != "rollback":
                self.assertEqual(first_answers.setdefault(transaction, answer), answer)
        return {state: {t for t, mark in marks.items() if mark == state} for state in ("held", "committed")}

    def test_debits(self):
        bank = self.participant("bank.py", "--accounts", "1", "--balance", "100000")
        marks = self.walk(bank, "debits", {"account": "account-0", "amount": "1.01"})
        facts = bank.audit()
        self.assertEqual({state: set(facts["moves"][state]) for state in marks}, marks)
        self.assertEqual(facts["held"], 101 * len(marks["held"]))
        self.assertEqual(facts["balances"], 100_000 - 101 * sum(map(len, marks.values())))

    def test_credits(self):
        bank = self.participant("bank.py", "--accounts", "1", "--balance", "0")
        marks = self.walk(bank, "credits", {"account": "account-0", "amount": 7})
        self.assertEqual(bank.audit()["balances"], 7 * len(marks["committed"]))

    def test_notes_are_told_once(self):
        notifier = self.participant("notifier.py")
        marks = self.walk(notifier, "notes", {"text": "hello"})
        facts = notifier.audit()
        self.assertEqual({"held": set(facts["held"]), "committed": set(facts["told"])}, marks)
        self.assertTrue(all(len(told) == 1 for told in facts["told"].values()))
