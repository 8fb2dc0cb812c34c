"""Payments: the pivot of the trip. It may refuse, and a refusal stays one; what was paid is never paid back."""
import web
from barrier import Refused


class Payments:
    thing = "payments"
    schema = """
        CREATE TABLE IF NOT EXISTS accounts (traveller TEXT PRIMARY KEY, cents INTEGER CHECK (cents >= 0));
        CREATE TABLE IF NOT EXISTS paid (
            transaction_id TEXT, branch TEXT, traveller TEXT, cents INTEGER, PRIMARY KEY (transaction_id, branch));"""

    def __init__(self, travellers, cents):
        self.accounts = [(name, cents) for name in travellers]

    def seed(self, db):
        db.executemany("INSERT INTO accounts VALUES (?, ?) ON CONFLICT DO NOTHING", self.accounts)

    def act(self, db, branch, body):
        traveller, cents = str(body.get("traveller")), body.get("cents")
        if type(cents) is not int or cents <= 0:
            raise Refused("a payment is whole cents, and more than nothing")
        pay = "UPDATE accounts SET cents = cents - ?2 WHERE traveller = ?1 AND cents >= ?2"
        if not db.execute(pay, (traveller, cents)).rowcount:
            raise Refused(f"{traveller} has less than {cents} cents, or no account")
        db.execute("INSERT INTO paid VALUES (?, ?, ?, ?)", (*branch, traveller, cents))
        return {"receipt": "/".join(branch)}

    def compensate(self, db, branch):
        """Nobody asks a pivot for this. Should a route do so all the same, a person has to look."""
        raise NotImplementedError("a payment is not paid back")

    def books(self, db):
        paid = db.execute("SELECT transaction_id, cents FROM paid").fetchall()
        return {"accounts": dict(db.execute("SELECT * FROM accounts")), "paid": dict(paid)}


if __name__ == "__main__":
    options = web.options(__doc__)
    options.add_argument("--travellers", nargs="+", default=["ann", "bob"], help="who has an account")
    options.add_argument("--cents", type=int, default=100_000, help="on each account at the first start")
    options = options.parse_args()
    web.serve(Payments(options.travellers, options.cents), options)
