"""SQS as a relay sees it over the wire, saying what a test wants and no engine of ours says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server
from typing import Any, cast

TAKEN, LATER, NEVER, SILENT = "taken", "later", "never", "silent"


@dataclass(slots=True)
class Queues:
    """`judge(purpose, body)` says TAKEN, LATER or NEVER of a message, SILENT of a call. `asked`
    is all of them, in the order that they came in, with what was said.
    """

    judge: Callable[[str, dict[str, Any]], str] = lambda _purpose, _body: TAKEN
    url: str = ""
    asked: list[tuple[str, int, str]] = field(default_factory=list)
    calls: int = 0

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, object] | None:
        """None where nothing is said and the connection ends."""
        if action == "GetQueueUrl":
            return {"QueueUrl": f"{self.url}/{asked['QueueName']}"}
        self.calls += 1
        purpose = asked["QueueUrl"].rsplit("-", 1)[1]
        taken, failed = [], []
        for entry in asked["Entries"]:
            body = json.loads(entry["MessageBody"])
            said = self.judge(purpose, body)
            self.asked.append((purpose, body["n"], said))
            if said == SILENT:
                return None
            if said == TAKEN:
                taken.append({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "m"})
            else:
                fault = said == NEVER
                failed.append({"Id": entry["Id"], "Code": "Said", "SenderFault": fault})
        return {"Successful": taken, "Failed": failed}


@contextmanager
def queues_over_the_wire() -> Iterator[Queues]:
    """Queues at `url`, speaking the JSON protocol of Amazon SQS."""
    queues = Queues()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
            answer = queues.answer(action, asked)
            if answer is None:
                self.close_connection = True
                return
            said = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_args: object) -> None:
            """Nothing: pytest shows what failed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    queues.url = f"http://127.0.0.1:{cast(tuple[str, int], server.server_address)[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield queues
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def a_queue_that_hangs() -> Iterator[str]:
    """The URL of one that takes connections and never says anything."""
    with create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
