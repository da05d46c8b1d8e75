"""What people read, in four languages. One TOML file an area, one table a language, the same keys
in each.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh", "ja", "nl")
_MAX_HEADER = 256


@cache
def texts(area: str, language: str) -> Mapping[str, str]:
    """All texts of `area` (a file beside this one) in one of LANGUAGES."""
    tables = tomllib.loads(Path(__file__).with_name(f"{area}.toml").read_text(encoding="utf-8"))
    table: Mapping[str, str] = tables[language]
    return table


def choose(wanted: str | None, accept_language: str | None) -> str:
    """The language asked for by name, else the best of an Accept-Language header (RFC 9110), else
    English.

    Unreadable weights count as zero: a header is a wish, not an input to refuse.
    """
    if wanted in LANGUAGES:
        return wanted
    best, best_weight = LANGUAGES[0], 0
    for item in (accept_language or "")[:_MAX_HEADER].split(","):
        tag, _, parameter = item.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        weight = _thousandths(parameter.strip())
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _thousandths(parameter: str) -> int:
    if not parameter:
        return 1000
    name, _, value = parameter.partition("=")
    whole, _, fraction = value.partition(".")
    if name.strip() != "q" or whole not in ("0", "1") or not (fraction or "0").isdigit():
        return 0
    return min(1000, int(whole) * 1000 + int(fraction[:3].ljust(3, "0") or "0"))
