"""`make demo`: start the stack, play the story three times, print what was seen, stop the stack."""

import os
import sys
import time
from pathlib import Path

from demos.first_light import merchant, report
from demos.first_light.browser import chromium
from demos.first_light.customers import BitcoinCustomer, EtherCustomer, TetherCustomer
from demos.first_light.merchant import StoryFailure
from demos.first_light.receiver import Receiver
from demos.first_light.story import Told, tell
from infra.local import Stack, stack_down, stack_up
from infra.local.deployed import confirmations_settled, standard_url
from infra.local.failure import EngineFailure

FOLDER = Path("var/demo")
RATES = {"BTC.bitcoin": "60000.00", "ETH.ethereum": "2500.00", "USDT.ethereum": "0.93"}


def play(stack: Stack) -> list[Told]:
    """The three stories of one merchant."""
    receiver = Receiver()
    try:
        api = merchant.register(standard_url(stack), "Tea house")
        for asset, rate in RATES.items():
            api.call("PUT", f"/v1/rates/{asset}/EUR", {"rate": rate})
        endpoint = api.call("POST", "/v1/webhook-endpoints", {"url": receiver.url, "events": ["*"]})
        receiver.trust(str(endpoint["secret"]))
        told: list[Told] = []
        with chromium() as browser:
            for customer in (BitcoinCustomer(stack), EtherCustomer(stack), TetherCustomer(stack)):
                say(f"{customer.asset}: invoice for 25.00 EUR, page, payment, blocks, webhook")
                chain = customer.asset.partition(".")[2]
                settled = confirmations_settled(stack, chain)
                told.append(tell(api, customer, receiver, browser, FOLDER, settled))
        return told
    finally:
        receiver.close()


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """0 when every balance in the ledger equals the chain's."""
    keep = os.environ.get("KEEP") == "1"
    started = time.monotonic()
    var = Path(os.environ.get("ORION_VAR", "var/stack"))
    # A stack that somebody else started is used and left running.
    keep = keep or Stack(var).alive("ministack")
    stack = None
    try:
        stack = stack_up(var)
        stories = play(stack)
    except (StoryFailure, EngineFailure) as exc:
        say(f"the story failed: {exc}")
        say(f"logs: {var}/logs")
        return 1
    finally:
        if not keep:
            stack_down(var)
    report.write(stories, FOLDER / "report.json")
    print(report.table(stories))
    print(f"screenshots and report.json: {FOLDER}/   time: {time.monotonic() - started:.0f} s")
    if keep and stack is not None:
        print(f"the stack stays up: API {standard_url(stack)}")
        print(f"open a checkout page: {standard_url(stack)}/checkout/{stories[0].invoice_id}")
        print("stop it with: make down")
    unequal = report.unequal(stories)
    if unequal:
        say(f"ledger and chain differ for {', '.join(unequal)}: see the table")
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
