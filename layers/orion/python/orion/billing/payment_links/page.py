"""The page of a payment link as HTML: a pure function of a visit and a language. No script."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from orion import i18n
from orion.billing.payment_links.model import LinkStatus, Price
from orion.billing.payment_links.visiting import Visit
from orion.errors import OrionError
from orion.ids import public_id
from orion.money import Amount, asset

_FILES = {"shared.css": "text/css; charset=utf-8", "pay.css": "text/css; charset=utf-8"}
_LANGUAGE_NAMES = {"en": "English", "zh": "中文", "ja": "日本語", "nl": "Nederlands"}
# What is wrong with an amount that a visitor typed, by code. Out of bounds says the bounds again.
_WRONG = {
    "malformed_amount": "wrong_form",
    "inexact_amount": "wrong_places",
    "amount_not_positive": "wrong_positive",
    "amount_too_large": "wrong_large",
}


class NoSuchFile(OrionError):
    """A file that the page does not have."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was not taken: what was typed, and the code of why."""

    typed: str
    code: str


class LinkPage:
    """Renders from two folders: the page's own (web/pay) and what all pages share (web/shared)."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self._folders = (folder, shared)
        self._page, self._form, self._amount = (
            Template((folder / name).read_text(encoding="utf-8"))
            for name in ("page.html", "form.html", "amount.html")
        )

    def file(self, name: str) -> tuple[str, bytes]:
        """Content type and bytes of a style sheet. Raises NoSuchFile."""
        for folder in self._folders:
            if name in _FILES and (folder / name).is_file():
                return _FILES[name], (folder / name).read_bytes()
        raise NoSuchFile("there is nothing here")

    def render(self, visit: Visit, language: str, refused: Refused | None = None) -> bytes:
        """The page of a link. Every value is escaped; texts come from orion.i18n."""
        texts = i18n.texts("pay", language)
        parts = [_waiting(visit, language, texts)]
        if visit.status is LinkStatus.ACTIVE:
            parts.append(self._rendered_form(visit, language, texts, refused))
        else:
            parts.append(_note("warn", texts[visit.status.value]))
        return self._whole(visit.link.title, "\n".join(filter(None, parts)), language)

    def problem(self, title: str, meaning: str, language: str) -> bytes:
        """A page for what has no link to show."""
        return self._whole(title, _note("bad", meaning), language)

    def _whole(self, title: str, content: str, language: str) -> bytes:
        return self._page.substitute(
            language=language,
            title=escape(title),
            content=content,
            language_label=escape(i18n.texts("pay", language)["language"]),
            languages=" ".join(_language_link(name, language) for name in i18n.LANGUAGES),
        ).encode()

    def _rendered_form(
        self, visit: Visit, language: str, texts: Mapping[str, str], refused: Refused | None
    ) -> str:
        price = visit.link.price
        wrong = None if refused is None else _wrong(refused.code, price, texts)
        alert = ""
        if refused is not None and (wrong is None or price.fixed is not None):
            alert = _note("bad", texts["unpayable"])
        if price.fixed is None:
            shown = self._rendered_amount(price, texts, refused, wrong)
            submit = texts["continue"]
        else:
            shown = f'<p class="price">{escape(_money(price.fixed))}</p>'
            submit = texts["pay"].format(amount=price.fixed.text(), currency=price.currency.code)
        return self._form.substitute(
            alert=alert,
            language=language,
            form_label=escape(texts["form"]),
            visitor=visit.visitor.hex(),
            price=shown,
            assets=escape(texts["assets"].format(assets=_assets(visit.link.assets))),
            submit=escape(submit),
        )

    def _rendered_amount(
        self, price: Price, texts: Mapping[str, str], refused: Refused | None, wrong: str | None
    ) -> str:
        bounds = _bounds(price, texts)
        # The same sentence twice would only be read out twice.
        hint = "" if wrong == bounds else bounds
        described = ["amount-currency", *(["amount-hint"] if hint else [])]
        marks = ""
        if wrong is not None:
            described.append("amount-error")
            marks = ' aria-invalid="true" autofocus'
        return self._amount.substitute(
            label=escape(texts["amount"]),
            typed=escape("" if refused is None else refused.typed),
            marks=f' aria-describedby="{" ".join(described)}"{marks}',
            currency=escape(price.currency.code),
            hint="" if not hint else f'<p id="amount-hint" class="quiet">{escape(hint)}</p>',
            error=""
            if wrong is None
            else f'<p id="amount-error" class="wrong" role="alert">{escape(wrong)}</p>',
        )


def _waiting(visit: Visit, language: str, texts: Mapping[str, str]) -> str:
    if visit.waiting is None:
        return ""
    address = f"../checkout/{public_id('inv', visit.waiting)}?lang={language}"
    return (
        f'<div class="note stack"><p>{escape(texts["waiting"])}</p>'
        f'<p><a class="button" href="{address}">{escape(texts["go_on"])}</a></p></div>'
    )


def _note(tone: str, text: str) -> str:
    return f'<p class="note" data-tone="{tone}" role="alert">{escape(text)}</p>'


def _wrong(code: str, price: Price, texts: Mapping[str, str]) -> str | None:
    """What is wrong with the amount; None where the amount is not what was refused."""
    if code == "amount_out_of_bounds":
        return _bounds(price, texts)
    name = _WRONG.get(code)
    if name is None:
        return None
    return texts[name].format(currency=price.currency.code, decimals=price.currency.decimals)


def _bounds(price: Price, texts: Mapping[str, str]) -> str:
    low, high, code = price.minimum, price.maximum, price.currency.code
    if low is not None and high is not None:
        return texts["between"].format(minimum=low.text(), maximum=high.text(), currency=code)
    if low is not None:
        return texts["at_least"].format(minimum=low.text(), currency=code)
    if high is not None:
        return texts["at_most"].format(maximum=high.text(), currency=code)
    return ""


def _money(amount: Amount) -> str:
    return f"{amount.text()} {amount.asset.code}"


def _assets(codes: tuple[str, ...]) -> str:
    coins = [asset(code) for code in codes]
    return ", ".join(f"{coin.symbol} ({(coin.chain or '').capitalize()})" for coin in coins)


def _language_link(name: str, current: str) -> str:
    mark = ' aria-current="true"' if name == current else ""
    return f'<a href="?lang={name}" lang="{name}"{mark}>{_LANGUAGE_NAMES[name]}</a>'
