"""What every participant in a saga must do, with SQLite and nothing else. Copy it.

Each branch has one mark, written in the same local transaction as its effect, so that a crash keeps both or neither.
"""
import json
import threading
import time
from http import HTTPStatus

MARKS = """CREATE TABLE IF NOT EXISTS marks (
    transaction_id TEXT, branch TEXT, state TEXT DEFAULT 'new', answer TEXT DEFAULT '{}', asked_at INTEGER,
    PRIMARY KEY (transaction_id, branch));
CREATE INDEX IF NOT EXISTS marks_by_age ON marks (asked_at);"""
MARKS_KEPT_S = 7 * 24 * 3600  # Longer than any outage of the gateway: what was done may still have to be compensated.
LOCK = threading.Lock()


class Refused(Exception):
    """A final no, as people can read it."""


def carry(db, business, operation, branch, body):
    """Runs one operation of one branch, and gives status, body and outcome of the answer."""
    with LOCK, db:  # Leaving `with db` commits; an exception rolls back.
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO marks (transaction_id, branch) VALUES (?, ?) ON CONFLICT DO NOTHING", branch)
        mark = "SELECT state, answer FROM marks WHERE transaction_id = ? AND branch = ?"
        state, answer = db.execute(mark, branch).fetchone()
        match operation, state:
            case "act", "new":
                state, answer = act(db, business, branch, body)
            case "compensate", "new":  # The action may still be on its way, and must find that it comes too late.
                state = "compensated"
            case "compensate", "acted":
                business.compensate(db, branch)
                state = "compensated"
        db.execute(
            "UPDATE marks SET state = ?, answer = ?, asked_at = ? WHERE transaction_id = ? AND branch = ?",
            (state, answer, int(time.time()), *branch),
        )
    match operation, state:
        case "act", "acted":
            return 200, answer, "done"
        case "act", "refused":
            return 409, answer, "refused"
        case "compensate", _:
            return 200, "{}", "done"
    return 409, problem(409, f"this branch is already {state}"), "refused"


def act(db, business, branch, body):
    """Runs the effect; gives the mark's state and answer. A refusal undoes the effect and keeps the mark."""
    db.execute("SAVEPOINT effect")
    try:
        return "acted", json.dumps(business.act(db, branch, parse(body)))
    except Refused as refusal:
        db.execute("ROLLBACK TO effect")
        return "refused", problem(409, refusal)


def clean(db):
    """Forgets old marks."""
    with LOCK:
        db.execute("DELETE FROM marks WHERE asked_at < ?", (time.time() - MARKS_KEPT_S,))


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
