"""A bank: debits and credits in two phases. An amount is whole cents (1250) or text with two decimals ("12.50")."""
import re

import web
from barrier import Refused

CENTS_MAX = 10**14


class Bank:
    things = ("debits", "credits")
    schema = """
        CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, cents INTEGER CHECK (cents >= 0));
        CREATE TABLE IF NOT EXISTS moves (
            transaction_id TEXT, branch TEXT, kind TEXT, account TEXT, cents INTEGER, state TEXT,
            PRIMARY KEY (transaction_id, branch));"""

    def __init__(self, accounts, balance):
        self.accounts = [(f"account-{i}", balance) for i in range(accounts)]

    def seed(self, db):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO accounts VALUES (?, ?) ON CONFLICT DO NOTHING", self.accounts)
        db.execute("COMMIT")

    def hold(self, db, kind, branch, body):
        """A debit takes its money at once, so that committing it cannot fail; a credit only needs an account."""
        account, cents = str(body.get("account")), parse(body.get("amount"))
        if not db.execute("SELECT 1 FROM accounts WHERE account = ?", (account,)).fetchone():
            raise Refused(f"no account {account}")
        if kind == "debits":
            debit = "UPDATE accounts SET cents = cents - ?2 WHERE account = ?1 AND cents >= ?2"
            if not db.execute(debit, (account, cents)).rowcount:
                raise Refused(f"insufficient funds in {account}")
        db.execute("INSERT INTO moves VALUES (?, ?, ?, ?, ?, 'held')", (*branch, kind, account, cents))
        return {"receipt": "/".join(branch)}

    def end(self, db, branch, state):
        """A credit arrives when it is committed, a debit comes back when it is rolled back."""
        kind, account, cents = db.execute(
            "UPDATE moves SET state = ?3 WHERE transaction_id = ?1 AND branch = ?2 RETURNING kind, account, cents",
            (*branch, state),
        ).fetchone()
        if (kind, state) in [("credits", "committed"), ("debits", "rolled-back")]:
            db.execute("UPDATE accounts SET cents = cents + ? WHERE account = ?", (cents, account))

    def audit(self, db):
        """All money in cents, and the effects of each transaction by their state. `held` is debited and not yet gone."""
        facts = {"held": 0, "moves": {"held": {}, "committed": {}, "rolled-back": {}}}
        (facts["balances"],) = db.execute("SELECT ifnull(sum(cents), 0) FROM accounts").fetchone()
        for transaction, branch, kind, account, cents, state in db.execute("SELECT * FROM moves"):
            effect = {"branch": branch, "kind": kind, "account": account, "cents": cents}
            facts["moves"][state].setdefault(transaction, []).append(effect)
            if (kind, state) == ("debits", "held"):
                facts["held"] += cents
        return facts


def parse(amount):
    if isinstance(amount, str) and re.fullmatch(r"[0-9]{1,12}\.[0-9]{2}", amount):
        amount = int(amount.replace(".", ""))
    if type(amount) is not int or not 0 < amount <= CENTS_MAX:
        raise Refused('an amount is whole cents, or text such as "12.50", and more than nothing')
    return amount


if __name__ == "__main__":
    options = web.options(__doc__)
    options.add_argument("--accounts", type=int, default=10, help="how many: account-0, account-1, …")
    options.add_argument("--balance", type=int, default=100_000, help="cents on each at the first start")
    options = options.parse_args()
    web.serve(Bank(options.accounts, options.balance), options)
