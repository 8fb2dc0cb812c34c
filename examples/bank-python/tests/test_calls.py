"""What is refused, what is turned away, what comes twice at the same time, and what never comes."""
import json
import threading
import time

import answering
from running import DONE, REFUSED, TestCase


class Calls(TestCase):
    def test_a_refusal_stays_one_and_has_no_effect(self):
        bank = self.participant("bank.py", "--accounts", "1", "--balance", "1000")

        def ask(operation, transaction, amount):
            return bank.call(f"/debits/{operation}", transaction, {"account": "account-0", "amount": amount})[:2]

        self.assertEqual(ask("prepare", "first", 900), DONE)
        self.assertEqual(ask("prepare", "second", 200), REFUSED)
        self.assertEqual(ask("rollback", "first", 900), DONE)
        self.assertEqual(ask("prepare", "second", 200), REFUSED)
        for number, amount in enumerate([1.5, True, "10", "1.5", 0, -1, None, 10**15]):
            self.assertEqual(ask("prepare", f"odd-{number}", amount), REFUSED, amount)
        self.assertEqual(bank.audit()["balances"], 1000)

    def test_equal_calls_at_the_same_time_have_one_effect(self):
        bank = self.participant("bank.py", "--accounts", "1", "--balance", "1000")
        body, answers = {"account": "account-0", "amount": 1}, []

        def call():
            answers.append(bank.call("/debits/prepare", "t", body)[:2])

        threads = [threading.Thread(target=call) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((answers, bank.audit()["held"]), ([DONE] * 16, 1))

    def test_strangers_and_nonsense_are_turned_away(self):
        bank = self.participant("bank.py")
        body = json.dumps({"account": "account-0", "amount": 1})
        names = {"Unanimo_Transaction": "t", "Unanimo_Branch": "b"}
        for authorization in ("", "Bearer ", "Bearer open sesam", "open sesame"):
            answer = bank.request("POST", "/debits/prepare", body, Authorization=authorization, **names)
            self.assertEqual(answer[:2], (401, None))
        self.assertEqual(bank.request("POST", "/debits/prepare", body)[:2], (400, None))
        self.assertEqual(bank.request("POST", "/loans/prepare", body, **names)[:2], (404, None))
        self.assertEqual(bank.request("POST", "/debits/prepare", "x" * 70_000, **names)[:2], (413, None))
        self.assertEqual(bank.audit()["held"], 0)

    def test_a_bank_that_was_told_nothing_asks_by_itself(self):
        gateway = answering.start(self)
        bank = self.participant("bank.py", "--accounts", "1", "--balance", "1000")
        for word in ("commit", "rollback", "pending"):
            names = {"Unanimo_Transaction": word, "Unanimo_Branch": "b", "Unanimo_Inquire": f"{gateway}/{word}"}
            body = '{"account": "account-0", "amount": 100}'
            self.assertEqual(bank.request("POST", "/debits/prepare", body, **names)[0], 200)
        until = time.monotonic() + 20
        while len(bank.audit()["moves"]["held"]) > 1 and time.monotonic() < until:
            time.sleep(0.05)
        states = {state: list(moves) for state, moves in bank.audit()["moves"].items()}
        self.assertEqual(states, {"held": ["pending"], "committed": ["commit"], "rolled-back": ["rollback"]})
        self.assertEqual(bank.audit()["balances"], 1000 - 100 - 100)
