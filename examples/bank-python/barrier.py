"""What every participant in a transaction must do, with SQLite and nothing else. Copy it.

Each branch has one mark, written in the same local transaction as its effect, so that a crash keeps both or neither.
"""
import json
import threading
import time
from http import HTTPStatus

MARKS = """CREATE TABLE IF NOT EXISTS marks (
    transaction_id TEXT, branch TEXT, state TEXT DEFAULT 'new', answer TEXT DEFAULT '{}', ended_at INTEGER,
    held_at INTEGER DEFAULT (unixepoch()), inquire TEXT, PRIMARY KEY (transaction_id, branch));
CREATE INDEX IF NOT EXISTS marks_held ON marks (state) WHERE state = 'held';"""
MARKS_KEPT_S = 7 * 24 * 3600  # Longer than any outage of the gateway.
LOCK = threading.Lock()


class Refused(Exception):
    """A final no, as people can read it."""


class NoSuchBranch(Exception):
    """A commit for a branch that was never prepared here: a promise was lost, and a person must look."""


def carry(db, business, thing, operation, branch, body, inquire=None):
    """Runs one operation of one branch, and gives status, body and outcome of the answer."""
    with LOCK, db:  # Leaving `with db` commits; an exception rolls back.
        db.execute("BEGIN IMMEDIATE")
        new = "INSERT INTO marks (transaction_id, branch, inquire) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        db.execute(new, (*branch, inquire))
        mark = "SELECT state, answer FROM marks WHERE transaction_id = ? AND branch = ?"
        state, answer = db.execute(mark, branch).fetchone()
        match operation, state:
            case "prepare", "new":
                state, answer = hold(db, business, thing, branch, body)
            case "commit", "held":
                state = "committed"
                business.end(db, branch, state)
            case "rollback", "held":
                state = "rolled-back"
                business.end(db, branch, state)
            case "rollback", "new":  # Its prepare may still be on its way, and must find that it comes too late.
                state = "rolled-back"
            case "commit", "new":
                raise NoSuchBranch("nothing is known of this branch here")
        ended_at = None if state == "held" else int(time.time())
        db.execute(
            "UPDATE marks SET state = ?, answer = ?, ended_at = coalesce(ended_at, ?)"
            " WHERE transaction_id = ? AND branch = ?",
            (state, answer, ended_at, *branch),
        )
    match operation, state:
        case ("prepare", "held" | "committed") | ("commit", "committed") | ("rollback", "rolled-back" | "refused"):
            return 200, answer, "done"
        case "prepare", "refused":
            return 409, answer, "refused"
    return 409, problem(409, f"this branch is already {state}"), "refused"


def hold(db, business, thing, branch, body):
    """Runs the first effect; gives the mark's state and answer. A refusal undoes the effect and keeps the mark."""
    db.execute("SAVEPOINT effect")
    try:
        return "held", json.dumps(business.hold(db, thing, branch, parse(body)))
    except Refused as refusal:
        db.execute("ROLLBACK TO effect")
        return "refused", problem(409, refusal)


def held(db, seconds, after=0, most=100):
    """Branches that have waited so long for their verdict, the oldest first: row, branch, and the address to ask at."""
    with LOCK:
        rows = db.execute(
            "SELECT rowid, transaction_id, branch, inquire FROM marks WHERE state = 'held' AND inquire IS NOT NULL"
            " AND held_at <= unixepoch() - ? AND rowid > ? ORDER BY rowid LIMIT ?",
            (seconds, after, most),
        ).fetchall()
    return [(row, (transaction, branch), inquire) for row, transaction, branch, inquire in rows]


def clean(db):
    """Forgets old marks. One that is held has no end, and is never forgotten: only the gateway knows its verdict."""
    with LOCK:
        db.execute("DELETE FROM marks WHERE ended_at < ?", (time.time() - MARKS_KEPT_S,))


def parse(body):
    try:
        body = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON") from None
    if not isinstance(body, dict):
        raise Refused("the body is no JSON object")
    return body


def problem(status, detail):
    return json.dumps({"title": HTTPStatus(status).phrase, "status": status, "detail": str(detail)})
