"""Where the agent may connect: this host only.

A node's RPC can spend, stop the node or lie to whoever trusts it, so it is never reached over a
network.
"""

import ipaddress
import os
import stat
from urllib.parse import urlsplit

from node_stacks.agent.errors import EndpointRefused

_SOCKET_MODE = 0o600


def loopback_url(url: str, schemes: frozenset[str]) -> str:
    """`url` if its scheme is wanted and its host is this one. Raises EndpointRefused.

    Names are refused, `localhost` apart: what a name resolves to can change after the check.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        raise EndpointRefused("an endpoint of another kind was expected", scheme=parts.scheme)
    if parts.username is not None or parts.password is not None:
        raise EndpointRefused("credentials belong in the secret, not in the endpoint")
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
        numbered = parts.port is not None
    except ValueError:
        local, numbered = host == "localhost", ":" in parts.netloc
    if not local or not numbered:
        raise EndpointRefused("an endpoint must be a port of this host's loopback", host=host)
    return url


def private_socket(path: str) -> str:
    """`path` if it is a socket that only this user may open. Raises EndpointRefused."""
    try:
        found = os.lstat(path)
    except OSError as exc:
        raise EndpointRefused("there is no such IPC socket", path=path) from exc
    if not stat.S_ISSOCK(found.st_mode):
        raise EndpointRefused("the IPC path is not a socket", path=path)
    if stat.S_IMODE(found.st_mode) != _SOCKET_MODE:
        raise EndpointRefused(
            "the IPC socket must have mode 0600", path=path, mode=oct(stat.S_IMODE(found.st_mode))
        )
    if found.st_uid != os.geteuid():
        raise EndpointRefused("the IPC socket belongs to another user", path=path)
    return path
