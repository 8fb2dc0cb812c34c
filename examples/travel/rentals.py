"""Rentals of cars: plain REST, which knows nothing of transactions. `PUT` makes a rental, `DELETE` ends it.

It keeps no marks: who asks twice with `PUT` gets 409, and a `PUT` that comes after its `DELETE` makes a rental. So the gateway
asks it once, alone, and names the rental itself.
"""
import json
import re
import sqlite3

import web
from barrier import LOCK, problem

SCHEMA = "CREATE TABLE IF NOT EXISTS rentals (id TEXT PRIMARY KEY, car TEXT, driver TEXT);"


class Handler(web.Handler):
    def do_PUT(self):
        rental, body = self.rental(), self.read_body()
        if body is None:
            return
        try:
            wanted = json.loads(body)
            row = (rental, str(wanted["car"]), str(wanted["driver"]))
        except (ValueError, TypeError, KeyError):
            return self.tell(422, problem(422, "a rental has a car and a driver"))
        if rental is None or row[1] not in self.server.cars:
            return self.tell(422, problem(422, "no such car, or no name for a rental"))
        self.change("INSERT INTO rentals VALUES (?, ?, ?)", row, 201, 409, "there is this rental already")

    def do_DELETE(self):
        self.change("DELETE FROM rentals WHERE id = ?", (self.rental(),), 200, 404, "there is no such rental")

    def do_GET(self):
        if self.path == "/rentals":
            with LOCK:
                rows = self.server.db.execute("SELECT id, car || ' for ' || driver FROM rentals").fetchall()
            return self.tell(200, json.dumps(dict(rows)))
        super().do_GET()

    def do_POST(self):
        self.tell(405, problem(405, "a rental is made with PUT"))

    def rental(self):
        """The rental that the path names."""
        path = re.fullmatch("/rentals/([A-Za-z0-9_-]{1,64})", self.path)
        return path and path[1]

    def change(self, sql, row, done, not_done, why):
        try:
            with LOCK:
                changed = self.server.db.execute(sql, row).rowcount
        except sqlite3.IntegrityError:
            changed = 0
        except sqlite3.Error as error:  # Nobody knows whether it was done: this must not read as a refusal.
            return self.tell(500, problem(500, error))
        self.tell(done, "{}") if changed else self.tell(not_done, problem(not_done, why))


if __name__ == "__main__":
    options = web.options(__doc__)
    options.add_argument("--cars", nargs="+", default=["small", "large"], help="what can be rented")
    options = options.parse_args()
    server = web.Server((options.address, options.port), Handler)
    server.db, server.cars = web.open_database(options.database, SCHEMA), options.cars
    print(f"listening on {options.address}:{server.server_port}", flush=True)
    server.serve_forever()
