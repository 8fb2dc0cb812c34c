"""Asks the gateway for the verdict of what is held too long: after a crash it may know nothing of it, and send nothing."""
import threading
import time
import urllib.request

import barrier

ASK_AFTER_S = 2  # The verdict is on its way as a rule, and asking would only cost both sides.
# No proxy, whatever the environment says: the address is the gateway's own.
GATEWAY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start(db, business):
    threading.Thread(target=ask_for_ever, args=(db, business), daemon=True).start()


def ask_for_ever(db, business):
    while True:
        time.sleep(ASK_AFTER_S / 2)
        for branch, address in barrier.held(db, ASK_AFTER_S):
            verdict = ask(address)
            if verdict in ("commit", "rollback"):  # `pending` and `not-mine` decide nothing.
                barrier.carry(db, business, None, verdict, branch, b"")


def ask(address):
    try:
        with GATEWAY.open(address, timeout=2) as answer:
            return answer.read(32).decode()
    except (OSError, ValueError):
        return None  # Nobody is there now. The branch stays held, and is asked for again.
