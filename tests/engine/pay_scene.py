"""The page of payment links served over a real database: to clients, and to a real browser."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest

from orion.runtime import http as entry
from orion.runtime import links, links_page, rate_limits, reports
from tests.engine.billing_scene import MERCHANT
from tests.engine.checkout_scene import HANDLERS as CHECKOUT
from tests.engine.checkout_scene import ROOT, STAGE, UNLIMITED, checkout_stage
from tests.engine.page_gateway import gateway
from tests.engine.sales_scene import SALES_TABLES, SalesScene

CACHED: tuple[Any, ...] = (
    links._store,
    links.lane_urls,
    links.links,
    links.visits,
    links.sessions,
    reports._store,
    reports._ledger,
    reports.payments,
    reports.statements,
    reports.exports,
    rate_limits.live,
)
ADDRESS = "203.0.113.9"


def forget() -> None:
    """The product reads its stage once a process; tests have several."""
    for cached in CACHED:
        cached.cache_clear()


@contextmanager
def pay_stage(
    admin: Any, aws: Any, memcached: str, quotas: Mapping[str, object]
) -> Iterator[SalesScene]:
    """A stage whose functions sell and report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORION_LANE", "standard")
        more = {"policy/rate-limits": json.dumps(quotas)}
        with checkout_stage(admin, aws, memcached, patch.setenv, **more) as found:
            login = admin.credentials("statements")
            secrets = boto3.client("secretsmanager")
            name = f"orion/{STAGE}/mysql/statements"
            if not any(row["Name"] == name for row in secrets.list_secrets()["SecretList"]):
                content = {"username": login.username, "password": login.password}
                secrets.create_secret(Name=name, SecretString=json.dumps(content))
            forget()
            yield SalesScene(found.billing)
            forget()


def empty(scene: SalesScene) -> None:
    """No invoice, no link."""
    for table in (*SALES_TABLES, "deposit", "invoice", "payment_option", "invoice_change"):
        scene.billing.rows(f"DELETE FROM orion_billing.{table}")
    scene.billing.rows("DELETE FROM orion_billing.idempotency WHERE scope = %s", MERCHANT)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)

    @property
    def visitor(self) -> str:
        """The token of the page's form."""
        return self.text.partition('name="visitor" value="')[2][:32]


def event_of(
    method: str, path: str, headers: Mapping[str, str], body: str | None = None
) -> Mapping[str, object]:
    """A request as API Gateway's REST proxy hands it over."""
    parts = urlsplit(path)
    names = parts.path.strip("/").split("/")
    if names[1:2] == ["assets"]:
        resource, params = f"/{names[0]}/assets/{{file}}", {"file": names[-1]}
    elif names[0] == "pay":
        resource, params = "/pay/{link_id}", {"link_id": names[-1]}
    else:
        tail = "/status" if names[-1] == "status" else ""
        resource, params = f"/checkout/{{invoice_id}}{tail}", {"invoice_id": names[1]}
    return {
        "httpMethod": method,
        "resource": resource,
        "pathParameters": params,
        "queryStringParameters": dict(parse_qsl(parts.query)) or None,
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {"identity": {"sourceIp": ADDRESS}},
    }


def answered(event: Mapping[str, object], *, limited: bool = False) -> Any:
    """What the function of the path answers; `limited` by the quotas of the stage."""
    limits = None if limited else UNLIMITED
    if str(event["resource"]).startswith("/checkout"):
        return entry.serve(event, CHECKOUT, limits)
    return links_page.answer(event, ROOT / "web" / "pay", ROOT / "web" / "shared", limits)


def ask(
    method: str,
    path: str,
    body: str | None = None,
    *,
    limited: bool = False,
    form: bool = True,
    **headers: str,
) -> Answer:
    """One request to the page; underscores in names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and form:
        named["Content-Type"] = "application/x-www-form-urlencoded"
    found = answered(event_of(method, path, named, body), limited=limited)
    return Answer(found["statusCode"], found["headers"], found["body"])


@contextmanager
def served() -> Iterator[str]:
    """A gateway in front of both pages; its base URL."""
    with gateway(
        lambda method, path, headers, body: answered(event_of(method, path, headers, body))
    ) as url:
        yield url
