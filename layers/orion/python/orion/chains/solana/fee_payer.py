"""What a fee payer signs: custody payments, sweeps into custody, and the making of accounts.

A fee payer is a single key with a float. In everything that is accepted here its lamports go to
fees and rents alone; the temporary account of a plain SOL payment gives its rent back, and what
the fee payer then pays out was paid to it in the instruction before.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orion.chains.solana.address import parse_address
from orion.chains.solana.creation import decode_creation
from orion.chains.solana.message import Message, parse_message
from orion.chains.solana.order import read_order
from orion.chains.solana.programs import ASSOCIATED_TOKEN, TOKEN
from orion.chains.solana.sweep import read_sweep
from orion.chains.spend import CustodyAccount, SpendRefused


class FeeKind(StrEnum):
    """What a fee payer pays the fee of."""

    PAYMENT = "payment"
    SWEEP = "sweep"
    CREATION = "creation"


@dataclass(frozen=True, slots=True)
class FeePayment:
    """A message that a fee payer may sign.

    `fee_max_units` is the most that it can lose, in lamports: 5,000 a signature, the priority fee,
    and the rent of accounts that are made for others. `body_digest` is SHA-256 of the message in
    hexadecimal, the same as `Spend.version`; `message` are the bytes to sign. `address` is the
    custody account that pays, is swept into, or is made.
    """

    kind: FeeKind
    address: str
    fee_max_units: int
    body_digest: str
    message: bytes


def decode_fee(
    unsigned: bytes,
    fee_payer: str,
    accounts: Collection[CustodyAccount],
    contracts: Mapping[str, str],
) -> FeePayment:
    """Read what `fee_payer` (an address) is asked to pay the fee of, for one of `accounts`.

    Raises SpendRefused: reason `wrong_fee_payer`, `unknown_account`, or what the message's own
    decoder says.
    """
    message = parse_message(unsigned)
    payer = parse_address(fee_payer)
    if message.keys[0] != payer:
        raise SpendRefused("another fee payer", reason="wrong_fee_payer")
    kind, account = _subject(message, accounts)
    if kind is FeeKind.CREATION:
        lost = decode_creation(unsigned, account, contracts).fee_lamports()
    elif kind is FeeKind.PAYMENT:
        lost = read_order(unsigned, account, contracts).fee_lamports(account)
    else:
        sweep = read_sweep(unsigned, account.place.network, contracts)
        if payer in sweep.owners:
            raise SpendRefused("it would be swept itself", reason="fee_payer_has_authority")
        lost = sweep.fee_lamports
    return FeePayment(
        kind=kind,
        address=account.address,
        fee_max_units=lost,
        body_digest=hashlib.sha256(unsigned).hexdigest(),
        message=unsigned,
    )


def _subject(
    message: Message, accounts: Collection[CustodyAccount]
) -> tuple[FeeKind, CustodyAccount]:
    """What the message seems to be and whose; its decoder then reads every byte."""
    known = {parse_address(account.address): account for account in accounts}
    if message.signers == 1:
        for key in message.keys:
            if key in known:
                return FeeKind.CREATION, known[key]
    for call in message.calls:
        # The authority of a custody payment's first transfer is the multisig, with three signers.
        if call.program == TOKEN and len(call.accounts) == 7 and call.accounts[3] in known:
            return FeeKind.PAYMENT, known[call.accounts[3]]
    for call in message.calls:
        named = call.program == ASSOCIATED_TOKEN and len(call.accounts) == 6
        if named and call.accounts[2] in known:
            return FeeKind.SWEEP, known[call.accounts[2]]
    raise SpendRefused("no custody account takes part", reason="unknown_account")
