"""Derivation paths: BIP-32's notation, and the accounts that a wallet's addresses come from.

A wallet is one index under a group seed. Its path on a chain is the chain's account path, the
external branch 0 and that index: BIP-84 for Bitcoin, BIP-44 for Ethereum and Tron. On Solana, whose
curve has no public derivation (SLIP-10), it is an account of its own, m/44'/501'/index'/0', as
Solana's wallets count them. Coin types are from SLIP-44.
"""

from dataclasses import dataclass

from orion.chains.errors import UnknownNetwork
from orion.wallet.errors import IndexOutOfRange, MalformedPath

HARDENED = 1 << 31
MAX_DEPTH = 255
_COIN_BY_BITCOIN_NETWORK = {"mainnet": 0, "testnet": 1, "signet": 1, "regtest": 1}
_COIN_ETHEREUM = 60
_COIN_TRON = 195
_COIN_SOLANA = 501


@dataclass(frozen=True, slots=True)
class Path:
    """Child numbers from the root; a hardened one has the bit HARDENED set."""

    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.numbers) > MAX_DEPTH:
            raise MalformedPath(f"a path has at most {MAX_DEPTH} steps")
        for number in self.numbers:
            child_number_bytes(number)

    @classmethod
    def parse(cls, text: str) -> "Path":
        """Read `m/84'/0'/0'/0/7`; `h` and `H` mark a hardened step as well (BIP-32, BIP-380).
        Raises MalformedPath.
        """
        head, *steps = text.split("/")
        if head != "m" or len(steps) > MAX_DEPTH:
            raise MalformedPath("a path starts with m and has at most 255 steps")
        return cls(tuple(_step(step) for step in steps))

    def text(self) -> str:
        """The notation with an apostrophe for hardened steps."""
        return "/".join(["m", *(_step_text(number) for number in self.numbers)])

    def child(self, number: int) -> "Path":
        """The path one step further. Raises IndexOutOfRange."""
        return Path((*self.numbers, number))


def hardened(index: int) -> int:
    """The child number of the hardened `index`, 0 to 2^31 - 1. Raises IndexOutOfRange."""
    if not 0 <= index < HARDENED:
        raise IndexOutOfRange("a hardened index is 0 to 2147483647", index=index)
    return index | HARDENED


def child_number_bytes(number: int) -> bytes:
    """ser32 of BIP-32. Raises IndexOutOfRange outside 0 to 2^32 - 1."""
    if not 0 <= number < 2 * HARDENED:
        raise IndexOutOfRange("a child number is 0 to 4294967295", index=number)
    return number.to_bytes(4, "big")


def bitcoin_branch(network: str) -> Path:
    """m/84'/coin'/0'/0 (BIP-84): the receiving branch that a group's Bitcoin addresses are
    children of.
    """
    coin = _COIN_BY_BITCOIN_NETWORK.get(network)
    if coin is None:
        raise UnknownNetwork("not a Bitcoin network", network=network)
    return Path((hardened(84), hardened(coin), hardened(0), 0))


def ethereum_branch() -> Path:
    """m/44'/60'/0'/0 (BIP-44, SLIP-44 coin 60): the same for every EVM network."""
    return Path((hardened(44), hardened(_COIN_ETHEREUM), hardened(0), 0))


def tron_branch() -> Path:
    """m/44'/195'/0'/0 (BIP-44, SLIP-44 coin 195): the same for every network of Tron."""
    return Path((hardened(44), hardened(_COIN_TRON), hardened(0), 0))


def tron_custody_account() -> Path:
    """m/44'/195'/1': the account whose keys 0/0 and 0/1 name a group's hot and warm wallet on Tron.

    Beside the account of the customers' addresses, so that who may sweep those holds no key here.
    """
    return Path((hardened(44), hardened(_COIN_TRON), hardened(1)))


def solana_root() -> Path:
    """m/44'/501' (SLIP-44 coin 501): the node that a group's Solana accounts are below."""
    return Path((hardened(44), hardened(_COIN_SOLANA)))


def solana_account(index: int) -> Path:
    """index'/0' below `solana_root`, hardened throughout. Raises IndexOutOfRange."""
    return Path((hardened(index), hardened(0)))


def _step(step: str) -> int:
    is_hardened = step[-1:] in ("'", "h", "H")
    digits = step[:-1] if is_hardened else step
    # isascii: other scripts' digits pass isdigit, and "007" is not how an index is written.
    if (
        not (digits.isascii() and digits.isdigit())
        or len(digits) > 10
        or str(int(digits)) != digits
    ):
        raise MalformedPath("a step is a whole number, hardened with an apostrophe")
    index = int(digits)
    if index >= HARDENED:
        raise MalformedPath("a step is below 2147483648; hardening is marked, not added")
    return hardened(index) if is_hardened else index


def _step_text(number: int) -> str:
    return f"{number - HARDENED}'" if number >= HARDENED else str(number)
