"""A tiny server that stands for the gateway, and answers participants that ask."""
import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gateway(BaseHTTPRequestHandler):
    """Answers `/WORD` with the word, a path that is in `says` with what stands there, `/STATUS/WORD` with both."""

    says = {}
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        *status, word = self.path[1:].split("/")
        body = self.says.get(self.path, word.encode())
        self.send_response(int(status[0]) if status else 200)
        self.send_header("Location", "/commit")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # Who has read enough goes away.
            self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing of each request."""


def start(test):
    """Runs the server as long as the test, and gives its address."""
    Gateway.says, Gateway.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
