"""The calls of the gateway, as HTTP: who may call, what is asked, and how the answer is told."""
import argparse
import hmac
import json
import re
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import barrier
from barrier import problem

BODY_BYTES_MAX = 64 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections are kept.
    wbufsize, disable_nagle_algorithm = -1, True  # Each answer is one packet, and leaves at once.

    def do_POST(self):
        body = self.read_body()
        if body is None:
            return
        if not self.is_known():
            return self.tell(401, problem(401, "this call needs the bearer token"))
        path = re.fullmatch("/([a-z]+)/(act|compensate)", self.path)
        if not path or path[1] != self.server.business.thing:
            return self.tell(404, problem(404, "this path names no operation"))
        branch = [self.headers.get(name, "") for name in ("Unanimo-Transaction", "Unanimo-Branch")]
        if not all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in branch):
            return self.tell(400, problem(400, "Unanimo-Transaction and Unanimo-Branch must name a branch"))
        try:
            self.tell(*barrier.carry(self.server.db, self.server.business, path[2], branch, body))
        except sqlite3.Error as error:  # Nobody knows whether it was done: this must not read as a refusal.
            self.tell(500, problem(500, error))

    def do_GET(self):
        if self.path == "/healthz":
            self.tell(200, '"ok"')
        elif self.path == "/books" and self.is_known():
            with barrier.LOCK:
                books = json.dumps(self.server.business.books(self.server.db))
            self.tell(200, books)
        else:
            self.tell(404, problem(404, "nothing here, or nothing for you"))

    def read_body(self):
        length = self.headers.get("Content-Length", "")
        if re.fullmatch("[0-9]{1,9}", length) and int(length) <= BODY_BYTES_MAX:
            return self.rfile.read(int(length))
        self.close_connection = True  # What follows is an unread body, and no request.
        self.tell(413, problem(413, f"a body needs a Content-Length, at most {BODY_BYTES_MAX}"))

    def is_known(self):
        token = self.headers.get("Authorization", "").encode()
        return hmac.compare_digest(token, b"Bearer " + self.server.credential)

    def tell(self, status, body, outcome=None):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        if outcome:
            self.send_header("Unanimo-Outcome", outcome)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing of each request."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # The default of 5 turns connections away when many come at once.


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="the SQLite file")
    parser.add_argument("--credential-file", type=Path, help="holds the gateway's bearer token")
    return parser


def open_database(path, schema):
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # In WAL mode only FULL syncs at every commit, and only what is synced may be promised.
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + schema)
    return db


def serve(business, options):
    credential = options.credential_file.read_bytes().strip() if options.credential_file else b""
    if not credential:
        raise SystemExit("--credential-file is needed, and a token in it: without one anybody could call")
    db = open_database(options.database, barrier.MARKS + business.schema)
    business.seed(db)
    barrier.clean(db)
    server = Server((options.address, options.port), Handler)
    server.business, server.db, server.credential = business, db, credential
    print(f"listening on {options.address}:{server.server_port}", flush=True)
    server.serve_forever()
