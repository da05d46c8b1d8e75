"""The answer of a REQUEST authorizer: a policy for one API and what the functions behind it may
know.

Form: Amazon API Gateway Developer Guide, "Output from an API Gateway Lambda authorizer". The answer
is kept for up to 60 s by the caller's Authorization header, so its policy speaks of the whole
stage, never of the one method asked for.
"""

from collections.abc import Mapping
from typing import cast

from orion.ids import public_id
from orion.runtime.log import logger
from orion.runtime.user import principal

NOBODY = "nobody"


def authorize(event: Mapping[str, object], lane: str) -> Mapping[str, object]:
    """Allow a merchant's key on the merchant's lane. A key of the other lane is denied: 403
    `wrong_lane`.

    A wrong key may pass too, as nobody: without a merchant in its context a request gets a 401 from
    the entry of every function (`orion.runtime.http`), which counts it by its address, says what is
    left of the quota and speaks the caller's language. An authorizer can do none of this. It reads
    one row, and none for what has not the form of a key.
    """
    log = logger()
    headers = cast(Mapping[str, str], event.get("headers") or {})
    given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    found = principal(given)
    if found is None:
        log.info("key refused")
        return _answer(event, NOBODY, allowed=True, context={})
    merchant, allowed = public_id("mer", found.merchant_id), found.lane == lane
    log.info("key known", extra={"merchant": merchant, "allowed": allowed})
    context = {
        "merchant_id": merchant,
        "key_id": public_id("key", found.key_id),
        "scopes": " ".join(sorted(found.scopes)),
        "lane": lane,
    }
    return _answer(event, merchant, allowed=allowed, context=context)


def _answer(
    event: Mapping[str, object], principal_id: str, *, allowed: bool, context: Mapping[str, str]
) -> Mapping[str, object]:
    # arn:aws:execute-api:region:account:api/stage/method/path
    stage_arn = "/".join(str(event["methodArn"]).split("/")[:2])
    return {
        "principalId": principal_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",
                    "Resource": f"{stage_arn}/*",
                }
            ],
        },
        "context": dict(context),
    }
