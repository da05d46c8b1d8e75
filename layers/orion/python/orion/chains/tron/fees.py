"""The most that an account can lose in fees. Prices are data: `fees.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from orion.chains.tron.raw_data import Call, PermissionUpdate, RawData, Transfer
from orion.chains.tron.signed import SIGNATURE_BYTES, transaction


@dataclass(frozen=True, slots=True)
class Fees:
    """Prices in sun; `fees.toml` names each one's chain parameter."""

    bandwidth_sun_byte: int
    result_bytes: int
    multi_signature_sun: int
    new_account_sun: int
    new_account_bandwidth_sun: int
    permission_update_sun: int


FEES = Fees(**tomllib.loads(Path(__file__).with_name("fees.toml").read_text(encoding="utf-8")))


def bandwidth_max_sun(unsigned: bytes, signatures: int) -> int:
    """Burned when no bandwidth is left: each byte of the transaction with so many signatures.

    300 bytes of raw_data and one signature: 300 + 3 (its tag and length) + 67 + 64 = 434 bytes,
    434,000 sun.
    """
    signed = transaction(unsigned, (bytes(SIGNATURE_BYTES),) * signatures)
    return FEES.bandwidth_sun_byte * (len(signed) + FEES.result_bytes)


def fee_max_sun(unsigned: bytes, raw: RawData, signatures: int) -> int:
    """The most that `raw`, whose bytes are `unsigned`, can cost its account with at most so many
    signatures: bandwidth burned, TRX for several signatures, and by kind of action the fee limit,
    the activation of a recipient that may not exist yet, or the price of an update.
    """
    bandwidth = bandwidth_max_sun(unsigned, signatures)
    several = FEES.multi_signature_sun if signatures > 1 else 0
    match raw.action:
        case Transfer():
            bandwidth = max(bandwidth, FEES.new_account_bandwidth_sun)
            return bandwidth + several + FEES.new_account_sun
        case Call():
            return bandwidth + several + raw.fee_limit_sun
        case PermissionUpdate():
            return bandwidth + several + FEES.permission_update_sun
