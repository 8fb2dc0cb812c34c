"""Asks the gateway for the verdict of what is held too long: after a crash it may know nothing of it, and send nothing.

A round asks for MOST branches at most, one after the other, and waits TIMEOUT_S for the gateway each time it waits; the
next round goes on with the branches behind. So what nobody can answer delays the others, and never starves them.
"""
import http.client
import sqlite3
import sys
import threading
import time
import urllib.request

import barrier

ASK_AFTER_S = 2  # The verdict is on its way as a rule, and asking would only cost both sides.
TIMEOUT_S = 2
MOST = 100


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        """Follows no redirect: nobody but the gateway knows the verdict."""


# No proxy either, whatever the environment says.
GATEWAY = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)


def start(db, business):
    threading.Thread(target=ask_for_ever, args=(db, business), daemon=True).start()


def ask_for_ever(db, business):
    row = 0
    while True:
        time.sleep(ASK_AFTER_S / 2)
        row = ask_round(db, business, row)


def ask_round(db, business, row):
    """Asks for the branches behind this row, and gives the row behind which to go on: 0 is the first again."""
    try:
        branches = barrier.held(db, ASK_AFTER_S, row, MOST)
    except sqlite3.Error as error:
        print("what is held cannot be read now:", error, file=sys.stderr)
        return row
    for _, branch, address in branches:
        verdict = ask(address)
        if verdict not in ("commit", "rollback"):  # `pending`, `not-mine` and nonsense decide nothing.
            continue
        try:
            barrier.carry(db, business, None, verdict, branch, b"")
        except sqlite3.Error as error:  # It stays held, and is asked for again.
            print(f"{'/'.join(branch)}: no {verdict} now:", error, file=sys.stderr)
    return branches[-1][0] if len(branches) == MOST else 0


def ask(address):
    try:
        with GATEWAY.open(address, timeout=TIMEOUT_S) as answer:
            return answer.read(32).decode() if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None  # Nobody is there now, or something else than the gateway.
