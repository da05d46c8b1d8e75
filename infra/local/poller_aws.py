"""The three AWS calls of a poller, signed by botocore but without its clients.

Eleven pollers run beside each other: a boto3 client costs about 35 MB of memory a process, this 7
MB.
"""

import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_CALL_TIMEOUT_S = 10.0
_JSON = "application/x-amz-json-1.1"


class CallFailed(Exception):
    """AWS refused a call or did not answer it."""


class FunctionFailed(Exception):
    """The function ran and reported an error; `args[0]` is what it said."""


class OutcomeUnknown(Exception):
    """Throttled, timed out or cut off: the function may or may not have run."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where AWS answers and as whom we ask."""

    url: str
    region: str
    access_key: str
    secret_key: str

    @staticmethod
    def from_environment() -> "Endpoint":
        """AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY. Raises
        CallFailed.
        """
        try:
            return Endpoint(
                os.environ["AWS_ENDPOINT_URL"],
                os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"],
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
            )
        except KeyError as exc:
            raise CallFailed(f"the environment lacks {exc.args[0]}") from exc


class Aws:
    """Calls over connections kept open, one a thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._credentials = Credentials(endpoint.access_key, endpoint.secret_key)
        self._local = threading.local()

    def parameter(self, name: str) -> str:
        """The value of an SSM parameter. Raises CallFailed."""
        answer = self._json("ssm", "AmazonSSM.GetParameter", {"Name": name})
        return str(_mapping(answer["Parameter"])["Value"])

    def secret(self, arn: str) -> tuple[str, str]:
        """User name and password of a secret. Raises CallFailed."""
        answer = self._json("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": arn})
        try:
            body = json.loads(str(answer["SecretString"]))
            return str(body["username"]), str(body["password"])
        except (KeyError, TypeError, ValueError) as exc:
            raise CallFailed("a secret is not of the agreed form") from exc

    def invoke(self, function: str, payload: bytes, *, timeout_s: float) -> None:
        """Invoke and wait for success. Raises FunctionFailed or OutcomeUnknown."""
        path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        headers = {"X-Amz-Invocation-Type": "RequestResponse", "Content-Type": "application/json"}
        try:
            status, answer_headers, body = self._post("lambda", path, headers, payload, timeout_s)
        except (OSError, http.client.HTTPException) as exc:
            raise OutcomeUnknown(f"no answer: {exc!r}") from exc
        if status != 200:
            raise OutcomeUnknown(f"HTTP {status}: {body[:300].decode('utf-8', 'replace')}")
        if answer_headers.get("x-amz-function-error"):
            raise FunctionFailed(body[:2000].decode("utf-8", "replace"))

    def _json(self, service: str, target: str, request: Mapping[str, str]) -> Mapping[str, object]:
        headers = {"X-Amz-Target": target, "Content-Type": _JSON}
        body = json.dumps(request).encode()
        try:
            status, _, answer = self._post(service, "/", headers, body, _CALL_TIMEOUT_S)
        except (OSError, http.client.HTTPException) as exc:
            raise CallFailed(f"{target}: no answer: {exc!r}") from exc
        if status != 200:
            said = answer[:300].decode("utf-8", "replace")
            raise CallFailed(f"{target} {sorted(request.values())}: HTTP {status}: {said}")
        return _mapping(json.loads(answer))

    def _post(
        self, service: str, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = AWSRequest(
            method="POST", url=self._endpoint.url + path, data=body, headers=dict(headers)
        )
        SigV4Auth(self._credentials, service, self._endpoint.region).add_auth(request)
        connection = self._connection(timeout_s)
        try:
            connection.request("POST", path, body, dict(request.headers.items()))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            # The next call starts on a fresh connection; this one may still carry a late answer.
            connection.close()
            raise
        lower = {name.lower(): value for name, value in response.getheaders()}
        return response.status, lower, answer

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._open()
            self._local.connection = connection
        connection.timeout = timeout_s
        if connection.sock is not None:
            if _closed_by_peer(connection.sock):
                connection.close()
            else:
                connection.sock.settimeout(timeout_s)
        return connection

    def _open(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._endpoint.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port)


def _closed_by_peer(sock: socket.socket) -> bool:
    """Whether an idle connection can be read, which before a request means its end."""
    timeout_s = sock.gettimeout()
    try:
        sock.setblocking(False)
        return sock.recv(1, socket.MSG_PEEK) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except (OSError, ValueError):
        return True
    finally:
        sock.settimeout(timeout_s)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise CallFailed("the answer is not a JSON object")
    return value
