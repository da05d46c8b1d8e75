"""The merchant pages as files: one page for every area, and what it loads, under a strict policy.

Nothing here knows a merchant. The browser asks the public API with the key that a person gave it
(docs/merchant-pages.md).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from orion import i18n
from orion.runtime.http import NotFound
from orion.runtime.request import Handler, Request, Response

PAGES = (
    "overview",
    "invoices",
    "invoice",
    "payments",
    "links",
    "webhooks",
    "webhook",
    "keys",
    "settings",
)
# Trusted Types without a policy: a browser that knows them refuses innerHTML and its like.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_KEPT = "public, max-age=31536000, immutable"
_SHELL = "page.html"
_VERSION_DIGITS = 16


class MerchantFiles:
    """What lies in the folders, read once; the first folder that has a name wins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = dict(
            sorted(
                (path.name, path.read_bytes())
                for folder in reversed(folders)
                for path in folder.iterdir()
                if path.suffix in _TYPES
            )
        )
        for language in i18n.LANGUAGES:
            body = json.dumps(dict(i18n.texts("merchant", language)), ensure_ascii=False)
            self._files[f"texts.{language}.json"] = body.encode()
        self._shell = Template((folders[0] / _SHELL).read_text(encoding="utf-8"))
        self.version = self._hash()

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name, body in self._files.items():
            digest.update(f"{name} {len(body)}\n".encode() + body)
        return digest.hexdigest()[:_VERSION_DIGITS]

    def modules(self) -> Sequence[str]:
        """Names of all modules, for the page to load them at once instead of one after another."""
        return sorted(name for name in self._files if name.endswith(".js"))

    def file(self, name: str) -> tuple[str, bytes]:
        """Content type and bytes. Raises NotFound."""
        body = self._files.get(name)
        if body is None:
            raise NotFound("there is nothing here")
        return _TYPES[Path(name).suffix], body

    def page(self, name: str, language: str) -> bytes:
        """The page of one area. Raises NotFound."""
        if name not in PAGES:
            raise NotFound("there is nothing here")
        texts = i18n.texts("merchant", language)
        preloads = "\n".join(
            f'<link rel="modulepreload" href="assets/{self.version}/{module}">'
            for module in self.modules()
        )
        plain = {
            "language": language,
            "page": name,
            "version": self.version,
            "title": texts[f"title_{name}"],
            "product": texts["product"],
            "needs_script": texts["needs_script"],
            "skip": texts["skip"],
        }
        values = {key: escape(value) for key, value in plain.items()} | {"preloads": preloads}
        return self._shell.substitute(values).encode()


def handlers(*folders: Path) -> Mapping[tuple[str, str], Handler]:
    """The pages and their files from `folders`; the first holds the page itself."""

    @cache
    def files() -> MerchantFiles:
        return MerchantFiles(folders)

    def start(_: Request) -> Response:
        """GET /merchant: relative, so that a stage's name in the path stays."""
        return Response(302, b"", {"Location": "merchant/overview", "Cache-Control": "no-cache"})

    def show(request: Request) -> Response:
        """GET /merchant/{page}: 304 while nothing changed."""
        language = i18n.choose(request.query.get("lang"), request.headers.get("accept-language"))
        body = files().page(request.path_params.get("page", ""), language)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {
            **_PAGE_HEADERS,
            "Content-Language": language,
            "ETag": etag,
            "Vary": "Accept-Language",
        }
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", headers)
        return Response(200, body, headers)

    def asset_file(request: Request) -> Response:
        """GET /merchant/assets/{version}/{file}: kept for ever under its own version's name only.

        While two versions are deployed side by side, a page of one may ask the other.
        """
        content_type, body = files().file(request.path_params.get("file", ""))
        current = request.path_params.get("version") == files().version
        kept = _KEPT if current else "no-store"
        return Response(200, body, {"Content-Type": content_type, "Cache-Control": kept})

    return {
        ("GET", "/merchant"): start,
        ("GET", "/merchant/{page}"): show,
        ("GET", "/merchant/assets/{version}/{file}"): asset_file,
    }
