"""A participant as a process of its own, with a real socket and a real file, that can be killed."""
import http.client
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAMS = Path(__file__).parent.parent
DONE, REFUSED, UNKNOWN_BRANCH = (200, "done"), (409, "refused"), (404, None)


class Participant:
    def __init__(self, directory, program, *options):
        token = Path(directory, "token")
        token.write_text("open sesame\n")
        self.command = [sys.executable, "-B", PROGRAMS / program, "--port", "0", "--credential-file", token,
                        "--database", Path(directory, "db"), *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Authorization": "Bearer open sesame"} | headers)
            response = connection.getresponse()
            return response.status, response.getheader("Unanimo-Outcome"), json.loads(response.read())
        finally:
            connection.close()

    def call(self, path, transaction, body):
        return self.request("POST", path, json.dumps(body), Unanimo_Transaction=transaction, Unanimo_Branch="b")

    def audit(self):
        return self.request("GET", "/audit")[2]


class TestCase(unittest.TestCase):
    def participant(self, program, *options):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        participant = Participant(directory.name, program, *options)
        self.addCleanup(participant.kill)
        return participant
