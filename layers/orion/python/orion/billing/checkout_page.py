"""The hosted checkout page as HTML: a pure function of public fields, a language and the time."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import cast
from urllib.parse import urlsplit

import segno

from orion import i18n
from orion.billing.checkout_state import SCENES, Offer, Scene, offers, return_link
from orion.billing.payment_link import Networks
from orion.errors import OrionError
from orion.money import asset

_TYPES = {
    "shared.css": "text/css; charset=utf-8",
    "checkout.css": "text/css; charset=utf-8",
    "checkout.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
# The script's own words; all others are in the document.
_SPOKEN = ("copy", "copied", "not_copied", "minutes_5", "minutes_1", "time_over")
_PLAIN = ("title", "offline", "reference", "refresh")
# The page needs nothing from anywhere else, so nothing else may run, load or frame it.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'{socket};"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LANGUAGE_NAMES = {"en": "English", "zh": "中文", "ja": "日本語", "nl": "Nederlands"}


class NoSuchAsset(OrionError):
    """A file that the page does not have."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class View:
    """One invoice to show: its public fields and their ETag (without quotes), the time by which
    the countdown runs, where changes are told (None: nowhere), and the networks of the stage.
    """

    fields: Mapping[str, object]
    etag: str
    now: datetime
    socket_url: str | None
    places: Networks


def policy(socket_url: str | None) -> str:
    """The page's Content-Security-Policy: it names the socket's origin, where there is one."""
    if socket_url is None:
        return _POLICY.format(socket="")
    parts = urlsplit(socket_url)
    return _POLICY.format(socket=f" {parts.scheme}://{parts.netloc}")


class Page:
    """Renders from two folders (web/checkout and web/shared, shipped beside the function)."""

    def __init__(self, folder: Path, shared: Path) -> None:
        read = {name: _find(name, folder, shared) for name in _TYPES}
        self._assets = {name: path.read_bytes() for name, path in read.items()}
        self._page = Template((folder / "page.html").read_text(encoding="utf-8"))
        self._option = Template((folder / "option.html").read_text(encoding="utf-8"))
        digests = {name: _digest(body) for name, body in self._assets.items()}
        self._versions = digests
        self._digests = {
            "icon_digest": digests["icon.svg"],
            "shared_digest": digests["shared.css"],
            "style_digest": digests["checkout.css"],
            "script_digest": digests["checkout.js"],
        }

    def asset(self, name: str) -> tuple[str, bytes]:
        """Content type and bytes of a style sheet or script. Raises NoSuchAsset."""
        if name not in _TYPES:
            raise NoSuchAsset("there is nothing here")
        return _TYPES[name], self._assets[name]

    def version(self, name: str) -> str:
        """By which the document names this content of a file. Raises NoSuchAsset."""
        if name not in _TYPES:
            raise NoSuchAsset("there is nothing here")
        return self._versions[name]

    def render(self, view: View, language: str) -> bytes:
        """The page of one invoice. Every value is escaped; texts come from orion.i18n."""
        texts = i18n.texts("checkout", language)
        fields, status = view.fields, str(view.fields["status"])
        scene = SCENES.get(status, Scene("info"))
        amount, currency = str(fields["amount"]), str(fields["currency"])
        plain = {
            "language": language,
            "status": status,
            "status_text": texts.get(f"status_{status}", status),
            "help_text": texts.get(f"help_{status}", ""),
            "tone": scene.tone,
            "etag": view.etag,
            "expires_at": str(fields["expires_at"]),
            "expires_text": _minute(str(fields["expires_at"])),
            "now": view.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "socket": view.socket_url or "",
            "id": str(fields["id"]),
            "pay": texts["pay" if scene.pays else "paying"].format(
                amount=amount, currency=currency
            ),
            "language_label": texts["language"],
            "time_left": texts["time_left"],
            "fee": _fee(fields, texts),
            **{name: texts[name] for name in _PLAIN},
        }
        markup = {
            **self._digests,
            "over": " data-over" if scene.over else "",
            "countdown_hidden": "" if scene.pays else " hidden",
            "parts": "\n".join(self._parts(view, scene, texts)),
            "languages": " ".join(_language_link(name, language) for name in i18n.LANGUAGES),
            "texts_json": _script_json({name: texts[name] for name in _SPOKEN}),
        }
        values = {name: escape(value) for name, value in plain.items()} | markup
        return self._page.substitute(values).encode()

    def _parts(self, view: View, scene: Scene, texts: Mapping[str, str]) -> Sequence[str]:
        """What changes with the status, in reading order."""
        fields, found = view.fields, []
        if scene.pays:
            rows = cast(Sequence[Mapping[str, str]], fields["payment_options"])
            ways = offers(rows, view.places)
            if len(ways) > 1:
                found.append(_choice(ways, texts))
            found += [self._offer(number, way, texts) for number, way in enumerate(ways)]
        deposits = cast(Sequence[Mapping[str, object]], fields["deposits"])
        if deposits:
            found.append(_payments(deposits, texts))
        if scene.receipt:
            found.append(_receipt(fields, texts))
        back = return_link(fields.get("success_url" if scene.returns else "cancel_url"))
        if back or scene.receipt:
            found.append(_actions(back, scene, texts))
        if scene.pays:
            found.append(
                f'<details class="card screen" id="wrong-network">'
                f"<summary>{escape(texts['wrong_network'])}</summary>"
                f"<p>{escape(texts['wrong_network_help'])}</p></details>"
            )
        return found

    def _offer(self, number: int, way: Offer, texts: Mapping[str, str]) -> str:
        coin = way.rest.asset
        names = {
            "amount": _coins(way.rest.text()),
            "symbol": coin.symbol,
            "chain": _chain(way.chain),
        }
        whole = way.code != way.address
        plain = {
            **names,
            "number": str(number),
            "asset": coin.code,
            "address": way.address,
            "send": texts["send_rest" if way.partly_paid else "send"].format(**names),
            "qr_label": texts["qr" if whole else "qr_address"],
            "network_label": texts["network"],
            "amount_label": texts["amount"],
            "address_label": texts["address"],
            "copy": texts["copy"],
            "exact": texts["exact"],
        }
        warnings = []
        if way.token:
            warnings.append(texts["token_warning"].format(symbol=coin.symbol))
        if not whole:
            warnings.append(texts["code_is_address"])
        markup = {
            "qr": _qr(way.code),
            "wallet": _wallet(way.link, texts),
            "warnings": "".join(
                f'<p class="note" data-tone="warn">{escape(text)}</p>' for text in warnings
            ),
            "second_code": _second_code(number, way.address, texts) if whole else "",
        }
        return self._option.substitute({k: escape(v) for k, v in plain.items()} | markup)


def _find(name: str, *folders: Path) -> Path:
    """Raises StopIteration for a file that the deployment forgot."""
    return next(folder / name for folder in folders if (folder / name).is_file())


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


def _minute(moment: str) -> str:
    """2026-01-02T03:04:05.000Z for people: to the minute, and UTC says so."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def _coins(text: str) -> str:
    """The same amount without the zeros that nobody types: 0.010000000000000000 is 0.01."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _chain(name: str) -> str:
    return name.capitalize()


def _qr(text: str) -> str:
    drawing = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, nl=False
    )
    return drawing.getvalue().decode()


def _wallet(link: str | None, texts: Mapping[str, str]) -> str:
    if link is None:
        return ""
    return f'<a class="button main wallet" href="{escape(link)}">{escape(texts["open_wallet"])}</a>'


def _second_code(number: int, address: str, texts: Mapping[str, str]) -> str:
    return (
        f'<details id="second-{number}"><summary>{escape(texts["second_code"])}</summary>'
        f"<p>{escape(texts['second_code_help'])}</p>"
        f'<div class="qr small" role="img" aria-label="{escape(texts["qr_address"])}">'
        f"{_qr(address)}</div></details>"
    )


def _choice(ways: Sequence[Offer], texts: Mapping[str, str]) -> str:
    rows = []
    for number, way in enumerate(ways):
        symbol, amount = escape(way.rest.asset.symbol), _coins(way.rest.text())
        checked = "" if number else " checked"
        rows.append(
            f'<label><input type="radio" name="option" id="way-{number}"'
            f' value="option-{number}"{checked}><span class="way">'
            f"<strong>{symbol} · {escape(_chain(way.chain))}</strong>"
            f'<span class="quiet digits">{amount} {symbol}</span></span></label>'
        )
    return (
        f'<fieldset id="choice" class="screen"><legend>{escape(texts["choose"])}</legend>'
        f'<div class="ways">{"".join(rows)}</div></fieldset>'
    )


def _payments(deposits: Sequence[Mapping[str, object]], texts: Mapping[str, str]) -> str:
    rows = []
    for deposit in deposits:
        coin, state = asset(str(deposit["asset"])), str(deposit["state"])
        said = texts.get(f"state_{state}", state)
        if state == "included":
            said = texts["progress"].format(
                count=deposit["confirmations"], needed=deposit["confirmations_required"]
            )
        rows.append(
            f"<li><strong>{escape(_coins(str(deposit['amount'])))} {escape(coin.symbol)}</strong>"
            f" · {escape(said)}"
            f'<code><span class="unseen">{escape(texts["transaction"])}: </span>'
            f"{escape(str(deposit['txid']))}</code></li>"
        )
    return (
        f'<section id="deposits" class="card" aria-labelledby="payments">'
        f'<h2 id="payments">{escape(texts["received"])}</h2><ul>{"".join(rows)}</ul></section>'
    )


def _receipt(fields: Mapping[str, object], texts: Mapping[str, str]) -> str:
    cause = cast(Mapping[str, object], fields["cause"])
    refunds = cast(Sequence[Mapping[str, object]], fields["refunds"])
    fee = _fee(fields, texts)
    rows = [
        (texts["reference"], str(fields["id"])),
        (texts["amount"], f"{fields['amount']} {fields['currency']}" + (f" {fee}" if fee else "")),
        (texts["status"], texts.get(f"status_{fields['status']}", str(fields["status"]))),
        *((texts["refunded"], _refunded(refund)) for refund in refunds),
        (texts["created"], _minute(str(fields["created_at"]))),
        (texts["changed"], _minute(str(cause["at"]))),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return (
        f'<section id="receipt" class="card" aria-labelledby="receipt-title">'
        f'<h2 id="receipt-title">{escape(texts["receipt"])}</h2><dl>{listed}</dl></section>'
    )


def _refunded(refund: Mapping[str, object]) -> str:
    coin = asset(str(refund["asset"]))
    return f"{_coins(str(refund['amount']))} {coin.symbol}, {_minute(str(refund['at']))}"


def _fee(fields: Mapping[str, object], texts: Mapping[str, str]) -> str:
    """What the payer bears on top of the amount, in words; nothing where it is nothing."""
    fee = str(fields["customer_fee"])
    return texts["fee"].format(fee=fee, currency=fields["currency"]) if fee.strip("0.") else ""


def _actions(back: str | None, scene: Scene, texts: Mapping[str, str]) -> str:
    made = []
    if back is not None:
        weight = " main" if scene.returns else ""
        made.append(
            f'<a class="button{weight}" id="back" href="{escape(back)}" rel="noreferrer">'
            f"{escape(texts['back'])}</a>"
        )
    if scene.receipt:
        made.append(
            f'<button type="button" id="print" data-print>{escape(texts["print"])}</button>'
        )
    return f'<div class="actions">{"".join(made)}</div>'


def _language_link(name: str, current: str) -> str:
    mark = ' aria-current="true"' if name == current else ""
    return (
        f'<a href="?lang={name}" lang="{name}" hreflang="{name}"{mark}>{_LANGUAGE_NAMES[name]}</a>'
    )


def _script_json(texts: Mapping[str, str]) -> str:
    # "<" must not end the script element early.
    return json.dumps(dict(texts), ensure_ascii=False).replace("<", "\\u003c")
