"""JSON-RPC over HTTP to a node on loopback, for readiness and faucets."""

import base64
import http.client
import json
from collections.abc import Sequence

from infra.local.layout import Credentials

_TIMEOUT_S = 30.0


class RpcRefused(Exception):
    """The node answered with an error object."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message


class JsonRpc:
    """Calls to one node. A connection a call: engines are killed and restarted under it."""

    def __init__(self, host: str, port: int, user: Credentials | None = None) -> None:
        self._host = host
        self._port = port
        self._headers = {"Content-Type": "application/json"}
        if user is not None:
            pair = f"{user.username}:{user.password}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()

    def call(self, method: str, *params: object, timeout_s: float = _TIMEOUT_S) -> object:
        """The `result` of one call. Raises RpcRefused, or OSError while no node answers."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.request("POST", "/", body, self._headers)
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as exc:
            raise ConnectionError(f"{method}: {exc!r}") from exc
        finally:
            connection.close()
        return _result(method, response.status, content)


def _result(method: str, status: int, content: bytes) -> object:
    try:
        answer = json.loads(content)
    except ValueError as exc:
        raise ConnectionError(f"{method}: HTTP {status}, no JSON") from exc
    error = answer.get("error")
    if error is not None:
        raise RpcRefused(method, int(error["code"]), str(error["message"]))
    result: object = answer["result"]
    return result


def text(value: object) -> str:
    """`value` as the text that it must be."""
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")
    return value


def number(value: object) -> int:
    """`value` as the whole number that it must be."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a whole number was expected, not {type(value).__name__}")
    return value


def record(value: object) -> dict[str, object]:
    """`value` as the JSON object that it must be."""
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value


def sequence(value: object) -> Sequence[object]:
    """`value` as the JSON list that it must be."""
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return value
