"""Where a customer may be led back to. Pure rules; docs/payment-links.md, "Return URLs".

The characters are those of RFC 3986 section 2, so nothing that a browser would repair (a backslash,
a tab, a blank) reaches the reading of the host.
"""

import re
from urllib.parse import urlsplit

from orion.errors import OrionError

URL_MAX_LENGTH = 2_048
SESSION_ID = "{session_id}"
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    re.ASCII,
)


class ReturnUrlRefused(OrionError):
    """A URL that no customer is led to; `field` names it."""

    code = "return_url_refused"


def check_return_url(url: str, field: str, *, may_name_session: bool = False) -> str:
    """The URL itself. Raises ReturnUrlRefused.

    `may_name_session` allows SESSION_ID behind the host, which `with_session` fills.
    """
    plain = url.replace(SESSION_ID, "x") if may_name_session else url
    if len(url) > URL_MAX_LENGTH or not _CHARACTERS.fullmatch(plain):
        raise ReturnUrlRefused(
            f"at most {URL_MAX_LENGTH} characters of a URL (RFC 3986)", field=field
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ReturnUrlRefused("not a URL", field=field) from exc
    # The scheme as text: urlsplit lower-cases it, and what is shown is what was checked.
    if not url.startswith("https://"):
        raise ReturnUrlRefused("only https leads a customer anywhere", field=field)
    if "@" in parts.netloc:
        raise ReturnUrlRefused("no user or password may stand in the URL", field=field)
    if not _NAME.fullmatch(parts.hostname or ""):
        raise ReturnUrlRefused("the host is a full DNS name", field=field)
    if port == 0:
        raise ReturnUrlRefused("a port is from 1 to 65535", field=field)
    return url


def with_session(url: str, session: str) -> str:
    """A checked URL with the session's public id where it asks for one."""
    return url.replace(SESSION_ID, session)
