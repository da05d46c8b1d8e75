"""The hosted checkout page as HTML: a pure function of public fields and a language."""

import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import cast

import segno

from orion import i18n
from orion.errors import OrionError
from orion.money import asset

_ASSETS = {
    "checkout.css": "text/css; charset=utf-8",
    "checkout.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class NoSuchAsset(OrionError):
    """A file that the page does not have."""

    code = "not_found"


class Page:
    """Renders from the files of one folder (web/checkout, shipped beside the function)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._page = Template(self._read("page.html"))
        self._option = Template(self._read("option.html"))

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    def asset(self, name: str) -> tuple[str, bytes]:
        """Content type and bytes of a style sheet or script. Raises NoSuchAsset."""
        content_type = _ASSETS.get(name)
        if content_type is None:
            raise NoSuchAsset("there is nothing here")
        return content_type, self._read(name).encode()

    def render(self, invoice: Mapping[str, object], language: str) -> bytes:
        """The page of one invoice. Every value is escaped; texts come from orion.i18n."""
        texts = i18n.texts("checkout", language)
        options = cast(Sequence[Mapping[str, str]], invoice["payment_options"])
        amount, currency = str(invoice["amount"]), str(invoice["currency"])
        plain = {
            "language": language,
            "title": texts["title"],
            "status": str(invoice["status"]),
            "status_text": texts[f"status_{invoice['status']}"],
            "expires_at": str(invoice["expires_at"]),
            "id": str(invoice["id"]),
            "pay": texts["pay"].format(amount=amount, currency=currency),
            "language_label": texts["language"],
            **{name: texts[name] for name in _PAGE_TEXTS},
        }
        markup = {
            "choice_hidden": " hidden" if len(options) < 2 else "",
            "choices": "\n".join(_choice(number, row) for number, row in enumerate(options)),
            "options": "\n".join(
                self._render_option(number, row, texts) for number, row in enumerate(options)
            ),
            "languages": " ".join(_language_link(name, language) for name in i18n.LANGUAGES),
            "texts_json": _script_json(texts),
        }
        values = {name: escape(value) for name, value in plain.items()} | markup
        return self._page.substitute(values).encode()

    def _render_option(self, number: int, row: Mapping[str, str], texts: Mapping[str, str]) -> str:
        plain = {
            "number": str(number),
            "asset": row["asset"],
            "symbol": asset(row["asset"]).symbol,
            "chain": row["chain"].capitalize(),
            "amount": row["amount"],
            "address": row["address"],
            "payment_link": row["payment_link"],
            "qr_label": texts["qr"],
            "network_label": texts["network"],
            "amount_label": texts["amount"],
            "address_label": texts["address"],
            **{name: texts[name] for name in ("copy", "exact", "open_wallet")},
        }
        markup = {"qr": _qr(row["payment_link"]), "hidden": " hidden" if number else ""}
        return self._option.substitute({k: escape(v) for k, v in plain.items()} | markup)


_PAGE_TEXTS = ("offline", "time_left", "choose", "received", "reference")


def _qr(text: str) -> str:
    drawing = io.BytesIO()
    segno.make(text, error="m").save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, nl=False
    )
    return drawing.getvalue().decode()


def _choice(number: int, row: Mapping[str, str]) -> str:
    label = f"{asset(row['asset']).symbol} ({row['chain'].capitalize()})"
    checked = "" if number else " checked"
    return (
        f'<label><input type="radio" name="option" value="option-{number}"{checked}>'
        f" {escape(label)}</label>"
    )


_LANGUAGE_NAMES = {"en": "English", "zh": "中文", "ja": "日本語", "nl": "Nederlands"}


def _language_link(name: str, current: str) -> str:
    mark = ' aria-current="true"' if name == current else ""
    return f'<a href="?lang={name}" lang="{name}"{mark}>{_LANGUAGE_NAMES[name]}</a>'


def _script_json(texts: Mapping[str, str]) -> str:
    # "<" must not end the script element early.
    return json.dumps(dict(texts), ensure_ascii=False).replace("<", "\\u003c")
