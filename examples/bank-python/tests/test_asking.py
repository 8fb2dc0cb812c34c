"""What a participant does that asks, whatever it hears: a verdict, no verdict, nonsense, or nothing."""
import contextlib
import io
import socket
import sqlite3
import sys
import threading
import time
import unittest
from pathlib import Path

import answering
from answering import Gateway
from running import TestCase

sys.path.insert(0, str(Path(__file__).parent.parent))
import asker  # noqa: E402
import barrier  # noqa: E402

NONSENSE = [b"", b"COMMIT", b"commit\n", b"commits", b"\xff\xfe", b"<html>commit</html>", b"commit" * 9999]
PATIENCE_S = 20


class Business:
    """Notes how its branches end, unless it is to fail."""

    def __init__(self):
        self.ended, self.fails = {}, set()

    def hold(self, _db, _thing, _branch, _body):
        return {}

    def end(self, _db, branch, state):
        if branch[0] in self.fails:
            raise sqlite3.OperationalError("disk I/O error")
        self.ended[branch[0]] = state


class Asking(TestCase):
    def setUp(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(barrier.MARKS)
        self.business = Business()
        for name, value in {"ASK_AFTER_S": 0, "TIMEOUT_S": 0.2}.items():
            self.addCleanup(setattr, asker, name, getattr(asker, name))
            setattr(asker, name, value)
        self.gateway = answering.start(self)

    def hold(self, transaction, path, at=None):
        barrier.carry(self.db, self.business, "things", "prepare", (transaction, "b"), b"{}", (at or self.gateway) + path)

    def ask(self, row=0):
        """One round, and what was said about it."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            row = asker.ask_round(self.db, self.business, row)
        return row, said.getvalue()

    def state(self, transaction):
        return self.db.execute("SELECT state FROM marks WHERE transaction_id = ?", (transaction,)).fetchone()[0]

    def test_a_verdict_ends_the_branch_and_nothing_else_does(self):
        paths = ["/commit", "/rollback", "/pending", "/not-mine", "/404/commit", "/500/rollback", "/202/commit", "/302/x"]
        for number, body in enumerate(NONSENSE):
            Gateway.says[f"/nonsense-{number}"] = body
        paths += Gateway.says
        for path in paths:
            self.hold(path, path)
        self.assertEqual(self.ask(), (0, ""))
        self.assertEqual(Gateway.asked, paths, "each was asked for once, the oldest first")
        self.assertEqual(self.business.ended, {"/commit": "committed", "/rollback": "rolled-back"})
        self.ask()
        self.assertEqual(Gateway.asked, paths + paths[2:], "what has ended is not asked for again")

    def test_silence_and_noise_decide_nothing_and_take_a_bounded_time(self):
        silent, noisy, gone = sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]

        def make_noise():
            with noisy.accept()[0] as connection:
                connection.sendall(b"commit\r\n\r\n")

        threading.Thread(target=make_noise, daemon=True).start()
        for name, there in zip(("silent", "noisy", "gone"), sockets, strict=True):
            self.addCleanup(there.close)
            self.hold(name, "/commit", f"http://127.0.0.1:{there.getsockname()[1]}")
        gone.close()
        self.hold("odd", "", "no address")
        self.hold("later", "/commit")
        began = time.monotonic()
        self.assertEqual(self.ask(), (0, ""))
        self.assertLess(time.monotonic() - began, PATIENCE_S)
        self.assertEqual(self.business.ended, {"later": "committed"})

    def test_a_database_that_fails_ends_nothing_and_stops_nobody(self):
        self.hold("first", "/commit")
        self.hold("second", "/rollback")
        self.business.fails = {"first"}
        self.assertIn("first/b: no commit now: disk I/O error", self.ask()[1])
        self.assertEqual((self.state("first"), self.business.ended), ("held", {"second": "rolled-back"}))
        self.business.fails = set()
        self.ask()
        self.assertEqual(self.state("first"), "committed")
        self.db.execute("DROP TABLE marks")
        row, said = self.ask(row=7)
        self.assertEqual(row, 7)
        self.assertIn("cannot be read now", said)

    def test_many_that_nobody_decides_starve_no_later_one(self):
        for number in range(asker.MOST):
            self.hold(f"lost-{number}", "/not-mine")
        self.hold("later", "/commit")
        row, _ = self.ask()
        self.assertEqual(self.business.ended, {})
        row, _ = self.ask(row)
        self.assertEqual((row, self.business.ended), (0, {"later": "committed"}))


if __name__ == "__main__":
    unittest.main()
