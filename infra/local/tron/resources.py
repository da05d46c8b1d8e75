"""Bandwidth and energy: what recovers, what is staked, what is burned.

Source: developers.tron.network "Resource Model" and "FAQ: fee limit"; the arithmetic follows
java-tron's ResourceProcessor, BandwidthProcessor, EnergyProcessor, VMActuator and ReceiptCapsule.
One thing is simpler: the recovery window is always 24 hours (java-tron varies it per account).
"""

from dataclasses import dataclass

from infra.local.tron.accounts import Account, Usage
from infra.local.tron.parameters import CHAIN, NETWORK, SUN_PER_TRX, WINDOW_SLOTS
from infra.local.tron.refusals import insufficient
from infra.local.tron.state import Record, View, load

_PRECISION = 1_000_000
TOTALS_KEY = "totals"


@dataclass(slots=True)
class Receipt:
    """What a transaction used and burned; sun in the `_fee` fields."""

    net_usage: int = 0
    net_fee: int = 0
    energy_usage: int = 0
    energy_fee: int = 0
    origin_energy_usage: int = 0
    energy_usage_total: int = 0
    other_fee: int = 0
    result: str = ""

    @property
    def fee(self) -> int:
        """All that the owner burned."""
        return self.net_fee + self.energy_fee + self.other_fee


def _divide_up(amount: int, by: int) -> int:
    return -(-amount // by)


def decay(usage: Usage, slot: int, *, more: int = 0) -> int:
    """Usage at `slot`: the old one shrinks evenly to nothing in 24 hours, then `more` is added.

    Half of 600 bytes used 12 hours ago: 300 of them are still used.
    """
    average = _divide_up(usage.used * _PRECISION, WINDOW_SLOTS)
    passed = slot - usage.slot
    if passed >= WINDOW_SLOTS:
        average = 0
    elif passed > 0:
        # Rounded half up, as Math.round does.
        average = (2 * average * (WINDOW_SLOTS - passed) + WINDOW_SLOTS) // (2 * WINDOW_SLOTS)
    average += _divide_up(more * _PRECISION, WINDOW_SLOTS)
    return average * WINDOW_SLOTS // _PRECISION


def totals(view: View) -> Record:
    """Sun staked here by all, for each resource."""
    return load(view, TOTALS_KEY) or {"net": 0, "energy": 0}


def weight_trx(view: View, resource: int) -> int:
    """TRX staked on the network behind a resource, the rest of the world included."""
    name = "energy" if resource == 1 else "net"
    staked = totals(view)[name]
    return NETWORK[f"{name}_weight_trx"] + (staked if isinstance(staked, int) else 0) // SUN_PER_TRX


def limit(view: View, account: Account, resource: int) -> int:
    """What the account's stake gives in 24 hours: bytes, or units of energy."""
    whole_trx = account.stake(resource).counted // SUN_PER_TRX
    total = CHAIN["getTotalEnergyCurrentLimit" if resource == 1 else "getTotalNetLimit"]
    return whole_trx * total // weight_trx(view, resource)


def energy_left(view: View, account: Account, slot: int) -> int:
    """Staked energy that can be used now."""
    return max(0, limit(view, account, 1) - decay(account.energy, slot))


def use_energy(account: Account, amount: int, slot: int) -> None:
    """Count `amount` of staked energy as used."""
    account.energy = Usage(decay(account.energy, slot, more=amount), slot)


def burn(account: Account, fee: int) -> None:
    """Take `fee` sun out of existence. Raises Refused when they are not there."""
    if fee > account.balance:
        raise insufficient()
    account.balance -= fee


def charge_bandwidth(
    view: View, account: Account, size_bytes: int, slot: int, receipt: Receipt, *, activates: bool
) -> None:
    """Staked bandwidth, else the free one, else burning. One who activates an account pays with
    staked bandwidth or a fixed fee, never with the free one. Raises Refused.
    """
    staked = limit(view, account, 0) - decay(account.net, slot)
    if size_bytes <= staked:
        account.net = Usage(decay(account.net, slot, more=size_bytes), slot)
        receipt.net_usage = size_bytes
        return
    if activates:
        receipt.net_fee = CHAIN["getCreateAccountFee"]
        burn(account, receipt.net_fee)
        return
    if size_bytes <= CHAIN["getFreeNetLimit"] - decay(account.free_net, slot):
        account.free_net = Usage(decay(account.free_net, slot, more=size_bytes), slot)
        receipt.net_usage = size_bytes
        return
    receipt.net_fee = CHAIN["getTransactionFee"] * size_bytes
    burn(account, receipt.net_fee)


def caller_energy(
    view: View, account: Account, *, fee_limit: int, call_value: int, slot: int
) -> int:
    """Energy the caller can pay for: stake and balance together, capped by the fee limit.

    The fee limit caps staked energy too: 10 TRX at 100 sun are 100,000 units, whoever pays.
    """
    price = CHAIN["getEnergyFee"]
    burnable = max(0, account.balance - call_value) // price
    return min(energy_left(view, account, slot) + burnable, fee_limit // price)


@dataclass(frozen=True, slots=True)
class Sharing:
    """How a contract's creator takes part: `percent` is the caller's part, 0 to 100."""

    percent: int
    origin_energy_limit: int


def origin_energy(
    view: View, origin: Account, sharing: Sharing, caller_limit: int, slot: int
) -> int:
    """Energy that the creator's stake adds to the caller's limit."""
    if sharing.percent >= 100:
        return 0
    offered = min(energy_left(view, origin, slot), sharing.origin_energy_limit)
    if sharing.percent <= 0:
        return offered
    return min(caller_limit * (100 - sharing.percent) // sharing.percent, offered)


def pay_energy(
    view: View,
    caller: Account,
    origin: Account | None,
    sharing: Sharing,
    used: int,
    slot: int,
    receipt: Receipt,
) -> None:
    """Charge `used` energy: the creator's part from the creator's stake, the rest from the
    caller's stake, then by burning. `origin` None: the caller made the contract.
    """
    receipt.energy_usage_total = used
    by_origin = 0
    if origin is not None:
        offered = min(energy_left(view, origin, slot), sharing.origin_energy_limit)
        by_origin = min(used * (100 - sharing.percent) // 100, offered)
        use_energy(origin, by_origin, slot)
    receipt.origin_energy_usage = by_origin
    by_caller = used - by_origin
    from_stake = min(by_caller, energy_left(view, caller, slot))
    use_energy(caller, from_stake, slot)
    receipt.energy_usage = from_stake
    receipt.energy_fee = (by_caller - from_stake) * CHAIN["getEnergyFee"]
    burn(caller, receipt.energy_fee)
