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


class RefusedKey(Exception):
    """API Gateway answers 401 when the authorizer fails with exactly this word."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def authorize(event: Mapping[str, object], lane: str) -> Mapping[str, object]:
    """Allow a merchant's key on the merchant's lane. A key of the other lane is denied: 403
    `wrong_lane`.
    """
    log = logger()
    headers = cast(Mapping[str, str], event.get("headers") or {})
    given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    found = principal(given)
    if found is None:
        log.info("key refused")
        raise RefusedKey
    allowed = found.lane == lane
    log.info(
        "key known", extra={"merchant": public_id("mer", found.merchant_id), "allowed": allowed}
    )
    # arn:aws:execute-api:region:account:api/stage/method/path
    stage_arn = "/".join(str(event["methodArn"]).split("/")[:2])
    return {
        "principalId": public_id("mer", found.merchant_id),
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
        "context": {
            "merchant_id": public_id("mer", found.merchant_id),
            "key_id": public_id("key", found.key_id),
            "scopes": " ".join(sorted(found.scopes)),
            "lane": lane,
        },
    }
