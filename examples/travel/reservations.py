"""Reservations: seats of flights, or rooms of hotels. Who acts has a place; a compensation gives it back."""
import web
from barrier import Refused


class Reservations:
    schema = """
        CREATE TABLE IF NOT EXISTS offers (name TEXT PRIMARY KEY, free INTEGER CHECK (free >= 0));
        CREATE TABLE IF NOT EXISTS places (
            transaction_id TEXT, branch TEXT, offer TEXT, traveller TEXT, PRIMARY KEY (transaction_id, branch));"""

    def __init__(self, thing, offers, free):
        self.thing, self.offers = thing, [(name, free) for name in offers]

    def seed(self, db):
        db.executemany("INSERT INTO offers VALUES (?, ?) ON CONFLICT DO NOTHING", self.offers)

    def act(self, db, branch, body):
        offer, traveller = str(body.get("offer")), str(body.get("traveller"))
        if not db.execute("UPDATE offers SET free = free - 1 WHERE name = ? AND free > 0", (offer,)).rowcount:
            raise Refused(f"no {self.thing} left in {offer}, or no {offer} at all")
        db.execute("INSERT INTO places VALUES (?, ?, ?, ?)", (*branch, offer, traveller))
        return {"number": f"{offer}-{branch[0][-6:]}"}

    def compensate(self, db, branch):
        """Gives back this branch's place and nothing else: others have taken some since, and keep them."""
        place = "DELETE FROM places WHERE transaction_id = ? AND branch = ? RETURNING offer"
        (offer,) = db.execute(place, branch).fetchone()
        db.execute("UPDATE offers SET free = free + 1 WHERE name = ?", (offer,))

    def books(self, db):
        places = db.execute("SELECT transaction_id, offer || ' for ' || traveller FROM places").fetchall()
        return {"free": dict(db.execute("SELECT * FROM offers")), "taken": dict(places)}


if __name__ == "__main__":
    options = web.options(__doc__)
    options.add_argument("--thing", required=True, help="what is reserved: the first part of the path")
    options.add_argument("--offers", nargs="+", required=True, help="the flights, or the hotels")
    options.add_argument("--free", type=int, default=100, help="how many places each has at the first start")
    options = options.parse_args()
    web.serve(Reservations(options.thing, options.offers, options.free), options)
