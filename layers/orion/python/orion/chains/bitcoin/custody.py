"""The 3-of-5 account on Bitcoin: `orion.chains.spend.Custody`.

One address for each custody set and network: P2WSH of `sortedmulti(3, five keys)`. What is unsigned
is a PSBT of version 0 with full previous transactions; what is signed are the digests of BIP-143,
one an input. A transaction of segwit inputs has its final id before anybody signs: that is the
version's name.
"""

from collections.abc import Mapping

from orion.chains.bitcoin import multisig
from orion.chains.bitcoin.encode import with_witnesses
from orion.chains.bitcoin.network import network_of
from orion.chains.bitcoin.psbt import Psbt, parse_psbt
from orion.chains.bitcoin.psbt_review import Lock, review
from orion.chains.bitcoin.script_signature import script_signature
from orion.chains.errors import MalformedAddress
from orion.chains.secp256k1 import MalformedSignature
from orion.chains.spend import (
    CUSTODIANS,
    THRESHOLD,
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    SignatureRefused,
    Spend,
    SpendRefused,
)

# Each input is a claim and a message, and a custodian records an effect in one DynamoDB transaction
# of at most 100 items: these and a single instruction fit, more instructions leave fewer inputs.
INPUTS_MAX = 96


def account(place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
    """The account of a custody set. The group is not in it: all groups of a set share the address.

    Raises UnknownNetwork, MalformedAddress (of an anchor that is not empty), MalformedCustodyKeys.
    """
    if anchor:
        raise MalformedAddress("an account on Bitcoin has no anchor", reason="anchor")
    script = multisig.witness_script(keys.secp256k1)
    return CustodyAccount(place, keys, anchor, multisig.script_address(script, place.network))


def decode(
    unsigned: bytes,
    account: CustodyAccount,
    contracts: Mapping[str, str],  # noqa: ARG001 - Bitcoin has no tokens.
) -> Spend:
    """Read a PSBT of `account`. Raises SpendRefused (docs/chains/bitcoin-custody.md lists the
    reasons), UnknownNetwork, MalformedCustodyKeys.
    """
    return _decode(unsigned, account)[1]


def assemble(
    unsigned: bytes, account: CustodyAccount, signatures: Mapping[int, tuple[bytes, ...]]
) -> bytes:
    """The signed transaction in BIP-144's serialization, ready for broadcast.

    Witness of an input: an empty item, which OP_CHECKMULTISIG takes without looking and BIP-147
    wants empty; three signatures in the order of their keys in the script; the script.
    Raises as `decode`, and SignatureRefused.
    """
    psbt, spend = _decode(unsigned, account)
    keys = account.keys.secp256k1
    verified = {
        custodian: _script_signatures(custodian, signatures[custodian], keys, spend.messages)
        for custodian in sorted(signatures)
    }
    if len(verified) < THRESHOLD:
        raise SignatureRefused("signatures of three custodians are needed", given=len(verified))
    signers = sorted(list(verified)[:THRESHOLD], key=lambda custodian: keys[custodian - 1])
    script = multisig.witness_script(keys)
    stacks = [
        (b"", *(verified[custodian][index] for custodian in signers), script)
        for index in range(len(spend.messages))
    ]
    return with_witnesses(psbt.transaction, stacks)


def owner_addresses(keys: CustodyKeys) -> tuple[str, ...]:
    """The keys themselves in hexadecimal, ascending: a member of a multisig has no address here,
    and no transaction replaces one in place.
    """
    return tuple(key.hex() for key in multisig.sorted_keys(keys.secp256k1))


def describe(account: CustodyAccount) -> Mapping[str, object]:
    """What an auditor needs: any wallet that reads descriptors finds the same address."""
    keys = account.keys.secp256k1
    script = multisig.witness_script(keys)
    return {
        "chain": account.place.chain,
        "network": account.place.network,
        "set": account.place.set_no,
        "wallet": account.place.kind.value,
        "threshold": THRESHOLD,
        "keys": [key.hex() for key in keys],
        "address": account.address,
        "descriptor": multisig.account_descriptor(keys),
        "witness_script": script.hex(),
    }


def _decode(unsigned: bytes, account: CustodyAccount) -> tuple[Psbt, Spend]:
    script = multisig.witness_script(account.keys.secp256k1)
    network = network_of(account.place.network)
    if account.address != multisig.script_address(script, network.name):
        raise SpendRefused("the address is not that of the keys", reason="account")
    psbt = parse_psbt(unsigned)
    own = Lock(multisig.output_script(script), script, script)
    locks = [own] * len(psbt.inputs)
    return psbt, review(psbt, locks, network, change=own, inputs_max=INPUTS_MAX)


def _script_signatures(
    custodian: int,
    given: tuple[bytes, ...],
    keys: tuple[bytes, ...],
    messages: tuple[bytes, ...],
) -> tuple[bytes, ...]:
    """A custodian's signatures as witnesses carry them, each verified."""
    if not 1 <= custodian <= CUSTODIANS:
        raise SignatureRefused("custodians are 1 to 5", custodian=custodian)
    if len(given) != len(messages):
        raise SignatureRefused("one signature for each input", custodian=custodian)
    key = keys[custodian - 1]
    try:
        return tuple(
            script_signature(key, digest, signature)
            for digest, signature in zip(messages, given, strict=True)
        )
    except MalformedSignature as exc:
        raise SignatureRefused(exc.detail, custodian=custodian) from exc
