"""A notifier: what is prepared is only written down; what is committed is told, once, by a row in `told`."""
import web
from barrier import Refused

TEXT_CHARACTERS_MAX = 1000


class Notifier:
    things = ("notes",)
    schema = """
        CREATE TABLE IF NOT EXISTS drafts (
            transaction_id TEXT, branch TEXT, text TEXT, PRIMARY KEY (transaction_id, branch));
        CREATE TABLE IF NOT EXISTS told (number INTEGER PRIMARY KEY, transaction_id TEXT, branch TEXT, text TEXT);"""

    def seed(self, db):
        """Starts empty."""

    def hold(self, db, _, branch, body):
        text = body.get("text")
        if not isinstance(text, str) or not 0 < len(text) <= TEXT_CHARACTERS_MAX:
            raise Refused(f"a note needs a text of at most {TEXT_CHARACTERS_MAX} characters")
        db.execute("INSERT INTO drafts VALUES (?, ?, ?)", (*branch, text))
        return {"receipt": "/".join(branch)}

    def end(self, db, branch, state):
        """Telling is a row here. To reach the world, a sender would read `told` and send each row at least once."""
        draft = "DELETE FROM drafts WHERE transaction_id = ? AND branch = ? RETURNING text"
        (text,) = db.execute(draft, branch).fetchone()
        if state == "committed":
            db.execute("INSERT INTO told (transaction_id, branch, text) VALUES (?, ?, ?)", (*branch, text))

    def audit(self, db):
        """The texts of each transaction: those told, in order, and those that wait for their verdict."""
        facts = {"told": {}, "held": {}}
        for state, table in (("told", "told ORDER BY number"), ("held", "drafts")):
            for transaction, branch, text in db.execute(f"SELECT transaction_id, branch, text FROM {table}"):
                facts[state].setdefault(transaction, []).append({"branch": branch, "text": text})
        return facts


if __name__ == "__main__":
    web.serve(Notifier(), web.options(__doc__).parse_args())
