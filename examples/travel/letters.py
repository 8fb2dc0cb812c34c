"""Letters: told when the trip stands and nothing can go wrong any more. So this service refuses nothing."""
import web


class Letters:
    thing = "letters"
    schema = """
        CREATE TABLE IF NOT EXISTS letters (
            number INTEGER PRIMARY KEY, transaction_id TEXT, branch TEXT, text TEXT);"""

    def seed(self, db):
        """Starts empty."""

    def act(self, db, branch, body):
        """A letter is a row here. To reach the world, a sender would read the rows and send each at least once."""
        text = str(body.get("text"))
        db.execute("INSERT INTO letters (transaction_id, branch, text) VALUES (?, ?, ?)", (*branch, text))
        return {}

    def compensate(self, db, branch):
        """Nobody asks for this: a letter is written when nothing leads back."""
        raise NotImplementedError("a letter is not taken back")

    def books(self, db):
        return dict(db.execute("SELECT transaction_id, text FROM letters ORDER BY number").fetchall())


if __name__ == "__main__":
    web.serve(Letters(), web.options(__doc__).parse_args())
