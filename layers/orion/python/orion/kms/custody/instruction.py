"""An instruction: what a custodian is asked to do, its one canonical form and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orion.chains.errors import MalformedAddress, WrongNetworkAddress
from orion.chains.registry import chain, chain_data, chain_names
from orion.chains.spend import WalletKind
from orion.kms.custody import strict
from orion.kms.custody.errors import InstructionRefused
from orion.money import ASSETS

INSTRUCTION_PREFIX = b"orion instruction v1\n"
MAX_ADDRESS = 128
# Where a rotation replaces the keys of an account; elsewhere it pays to the target set's account.
IN_PLACE = frozenset({"ethereum", "tron"})
# Where an account's address says nothing of its keys: the chain's word for them is wanted.
HELD_ON_CHAIN = frozenset({"solana"})
# Where claims exclude versions from each other, so that one that pays nobody ends the others.
WITH_CLAIMS = frozenset({"bitcoin", "ethereum"})
_FIELDS = frozenset(
    {
        "v",
        "id",
        "purpose",
        "merchant",
        "chain",
        "network",
        "group",
        "wallet",
        "set",
        "account",
        "asset",
        "recipient",
        "units",
        "fee_max_units",
        "target_set",
        "created_at",
    }
)


class Purpose(StrEnum):
    """What money leaves an account for. A `VOID` pays nobody: it ends what else was signed with the
    same claims.
    """

    PAYOUT = "payout"
    REFILL = "refill"
    ROTATION = "rotation"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, read; `digest` is what evidence speaks of, in hexadecimal. `account` is the
    address that pays, as whoever asked knows it.
    """

    id: str
    purpose: Purpose
    merchant: str | None
    chain: str
    network: str
    group_no: int
    wallet: WalletKind
    set_no: int
    account: str
    asset: str
    recipient: str | None
    units: int
    fee_max_units: int
    target_set: int | None
    created_at: datetime
    digest: str

    @property
    def in_place(self) -> bool:
        """Whether it replaces keys and pays nothing."""
        return self.purpose is Purpose.ROTATION and self.chain in IN_PLACE

    @property
    def pays_nobody(self) -> bool:
        """Whether it moves nothing but a fee."""
        return self.in_place or self.purpose is Purpose.VOID

    @property
    def wants_held(self) -> bool:
        """Whether it pays to an account of custody whose address does not follow from keys."""
        return self.purpose is Purpose.ROTATION and self.chain in HELD_ON_CHAIN

    @property
    def scope(self) -> tuple[object, ...]:
        """What all instructions of one transaction share."""
        place = (self.chain, self.network, self.group_no, self.wallet, self.set_no)
        return (self.purpose, *place, self.account, self.target_set)


def canonical(body: Mapping[str, object]) -> bytes:
    """The one way in which instructions and statements are written: sorted keys, no white space,
    ASCII.
    """
    return json.dumps(
        body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def instruction_digest(body: Mapping[str, object]) -> str:
    """SHA-256 over the prefix and the canonical JSON, in hexadecimal."""
    return hashlib.sha256(INSTRUCTION_PREFIX + canonical(body)).hexdigest()


def read_instruction(value: object, networks: Mapping[str, str], part: str) -> Instruction:
    """Read one instruction strictly; `networks` is what the deployment says of each chain.

    Raises RequestRefused for a field's form, InstructionRefused for what the fields say.
    """
    body = strict.fields(value, _FIELDS, part)
    strict.version_1(body["v"], f"{part}.v")
    read = Instruction(
        id=strict.public_id("pay", body["id"], f"{part}.id"),
        purpose=Purpose(strict.word(body["purpose"], frozenset(Purpose), f"{part}.purpose")),
        merchant=_optional_merchant(body["merchant"], f"{part}.merchant"),
        chain=strict.word(body["chain"], frozenset(chain_names()), f"{part}.chain"),
        network=strict.name(body["network"], f"{part}.network"),
        group_no=strict.number(body["group"], f"{part}.group"),
        wallet=WalletKind(strict.word(body["wallet"], frozenset(WalletKind), f"{part}.wallet")),
        set_no=strict.set_number(body["set"], f"{part}.set"),
        account=strict.text(body["account"], MAX_ADDRESS, f"{part}.account"),
        asset=strict.word(body["asset"], frozenset(ASSETS), f"{part}.asset"),
        recipient=_optional_text(body["recipient"], f"{part}.recipient"),
        units=strict.units(body["units"], f"{part}.units"),
        fee_max_units=strict.units(body["fee_max_units"], f"{part}.fee_max_units"),
        target_set=_optional_set(body["target_set"], f"{part}.target_set"),
        created_at=strict.moment(body["created_at"], f"{part}.created_at"),
        digest=instruction_digest(body),
    )
    _check_place(read, networks, part)
    _check_purpose(read, part)
    _check_payment(read, part)
    return read


def _refused(part: str, field: str, reason: str, detail: str) -> InstructionRefused:
    return InstructionRefused(detail, reason=reason, part=f"{part}.{field}")


def _check_place(read: Instruction, networks: Mapping[str, str], part: str) -> None:
    if networks.get(read.chain) != read.network:
        raise _refused(part, "network", "other_network", "this deployment serves another network")
    if ASSETS[read.asset].chain != read.chain:
        raise _refused(part, "asset", "asset_of_other_chain", "the asset is not of this chain")


def _check_purpose(read: Instruction, part: str) -> None:
    if (read.merchant is None) == (read.purpose is Purpose.PAYOUT):
        raise _refused(part, "merchant", "merchant_differs", "payouts, only they, name a merchant")
    if (read.target_set is None) == (read.purpose is Purpose.ROTATION):
        raise _refused(part, "target_set", "target_differs", "rotations, only they, name a target")
    if read.target_set == read.set_no:
        raise _refused(part, "target_set", "target_is_source", "a rotation leads to another set")
    if read.purpose is Purpose.VOID and read.chain not in WITH_CLAIMS:
        raise _refused(part, "chain", "no_claims", "nothing but time ends a version there")


def _check_payment(read: Instruction, part: str) -> None:
    if read.pays_nobody:
        if read.asset != chain_data(read.chain).native_asset:
            raise _refused(part, "asset", "not_native", "what pays nobody names the native asset")
        if read.recipient is not None:
            raise _refused(part, "recipient", "recipient_given", "this purpose pays nobody")
        if read.units:
            raise _refused(part, "units", "units_given", "this purpose pays nothing")
        return
    if read.recipient is None:
        raise _refused(part, "recipient", "recipient_missing", "a payment has a recipient")
    if not read.units:
        raise _refused(part, "units", "units_zero", "a payment is above zero")
    try:
        same = chain(read.chain).canonical_address(read.recipient, read.network) == read.recipient
    except (MalformedAddress, WrongNetworkAddress) as exc:
        raise _refused(part, "recipient", "recipient_malformed", "not an address there") from exc
    if not same:
        raise _refused(part, "recipient", "recipient_not_canonical", "not the canonical address")


def _optional_merchant(value: object, part: str) -> str | None:
    return None if value is None else strict.public_id("mer", value, part)


def _optional_set(value: object, part: str) -> int | None:
    return None if value is None else strict.set_number(value, part)


def _optional_text(value: object, part: str) -> str | None:
    return None if value is None else strict.text(value, MAX_ADDRESS, part)
