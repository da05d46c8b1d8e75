"""What people and programs look up: the page of each problem, and the OpenAPI document.

The same for everyone, so it may be kept for some minutes by whatever stands between.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from orion import i18n
from orion.runtime import problems
from orion.runtime.http import NotFound
from orion.runtime.request import Handler, Request, Response
from orion.runtime.settings import settings

_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_KEPT = "public, max-age=300"
_HTML_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Cache-Control": _KEPT,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
}
_SHEETS = ("shared.css", "problems.css")
_LANGUAGE_NAMES = {"en": "English", "zh": "中文", "ja": "日本語", "nl": "Nederlands"}
_NAME = re.compile(r"`([^`]+)`")


class ProblemPages:
    """The pages and their sheets, from the folders `problems` and `shared`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._page = Template((folders[0] / "page.html").read_text(encoding="utf-8"))
        self._sheets = {
            path.name: path.read_bytes()
            for folder in folders
            for path in folder.iterdir()
            if path.name in _SHEETS
        }

    def sheet(self, name: str) -> bytes:
        """A style sheet. Raises NotFound."""
        found = self._sheets.get(name)
        if found is None:
            raise NotFound("there is nothing here")
        return found

    def one(self, code: str, language: str) -> bytes:
        """The page of one code. Raises NotFound."""
        text = problems.texts(language).get(code)
        status = problems.STATUS.get(code)
        if text is None or status is None:
            raise NotFound("there is no problem of this code")
        words = i18n.texts("problem_page", language)
        rows = {
            "code": f"<code>{escape(code)}</code>",
            "status": str(status),
            "meaning": _marked(text.meaning),
        }
        listed = "\n".join(
            f"<dt>{escape(words[name])}</dt><dd>{value}</dd>" for name, value in rows.items()
        )
        content = (
            f'<dl class="card">\n{listed}\n</dl>\n'
            f'<p><a href="../problems?lang={language}">{escape(words["all"])}</a></p>'
        )
        return self._render(text.title, content, language, here="")

    def all(self, language: str) -> bytes:
        """The list of all codes, by status and name."""
        words, texts = i18n.texts("problem_page", language), problems.texts(language)
        rows = "\n".join(
            f'<tr><th scope="row"><a href="problems/{code}?lang={language}">'
            f"<code>{code}</code></a></th><td>{status}</td><td>{escape(texts[code].title)}</td></tr>"
            for code, status in sorted(problems.STATUS.items(), key=lambda row: (row[1], row[0]))
        )
        heads = "".join(
            f'<th scope="col">{escape(words[name])}</th>' for name in ("code", "status", "meaning")
        )
        content = (
            f"<p>{escape(words['intro'])}</p>\n"
            f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
        )
        return self._render(words["all"], content, language, here="problems/")

    def _render(self, title: str, content: str, language: str, *, here: str) -> bytes:
        words = i18n.texts("problem_page", language)
        plain = {
            "language": language,
            "title": title,
            "skip": words["skip"],
            "language_label": words["language"],
        }
        values = {name: escape(value) for name, value in plain.items()} | {
            "content": content,
            "languages": " ".join(_language_link(name, language) for name in i18n.LANGUAGES),
            "here": here,
        }
        return self._page.substitute(values).encode()


def _marked(text: str) -> str:
    return _NAME.sub(r"<code>\1</code>", escape(text, quote=False))


def _language_link(name: str, current: str) -> str:
    mark = ' aria-current="true"' if name == current else ""
    return (
        f'<a href="?lang={name}" lang="{name}" hreflang="{name}"{mark}>{_LANGUAGE_NAMES[name]}</a>'
    )


@cache
def _openapi() -> bytes:
    """The document with the public addresses of this stage's two lanes."""
    # Only what serves the document describes all routes.
    from orion.runtime.api_schema.openapi import document
    from orion.runtime.routes import ROUTES

    servers = [
        {"url": settings().text(f"api/{lane}-url"), "description": lane}
        for lane in ("standard", "vip")
    ]
    return json.dumps({**document(ROUTES), "servers": servers}, ensure_ascii=False).encode()


def openapi(request: Request) -> Response:
    """GET /v1/openapi.json: 304 while nothing changed."""
    body = _openapi()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT}
    if request.headers.get("if-none-match") == etag:
        return Response(304, b"", headers)
    return Response(200, body, {**headers, "Content-Type": "application/json"})


def handlers(*folders: Path) -> Mapping[tuple[str, str], Handler]:
    """The pages rendered from `folders` (the first holds the page itself), and the document."""

    @cache
    def pages() -> ProblemPages:
        return ProblemPages(folders)

    def language_of(request: Request) -> str:
        return i18n.choose(request.query.get("lang"), request.headers.get("accept-language"))

    def show_all(request: Request) -> Response:
        """GET /problems"""
        language = language_of(request)
        headers = {**_HTML_HEADERS, "Content-Language": language}
        return Response(200, pages().all(language), headers)

    def show_one(request: Request) -> Response:
        """GET /problems/{code}"""
        language = language_of(request)
        headers = {**_HTML_HEADERS, "Content-Language": language}
        return Response(200, pages().one(request.path_params.get("code", ""), language), headers)

    def sheet(request: Request) -> Response:
        """GET /problems/assets/{file}"""
        body = pages().sheet(request.path_params.get("file", ""))
        headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": _KEPT}
        return Response(200, body, headers)

    return {
        ("GET", problems.PAGES): show_all,
        ("GET", f"{problems.PAGES}/{{code}}"): show_one,
        ("GET", f"{problems.PAGES}/assets/{{file}}"): sheet,
        ("GET", "/v1/openapi.json"): openapi,
    }
