"""moneyin beside the rooms it meets on Kafka: each side's bytes through the other side's reader."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from node_stacks.agent import events as agent
from node_stacks.agent.commands.answer_key import answer_key
from node_stacks.agent.node import Point
from orion.billing.fact_records import read_deposit
from orion.billing.model import DepositState
from orion.chains.blocks import Block, Transfer
from orion.kms.keys.branches import wallet_keys
from orion.kms.model import Networks, PoolRequest, address_messages, extend_pool_request
from orion.ledger.model import Code as LedgerCode
from orion.ledger.model import bucket
from orion.ledger.transfer_record import read_transfers
from orion.money import MAX_UNITS, asset
from orion.moneyin.events import (
    BlockRef,
    Connected,
    Disconnected,
    read_addresses,
    read_block_event,
    read_node_answer,
)
from orion.moneyin.messages import Message, change_messages, resume_answer, resume_unasked
from orion.moneyin.model import (
    Change,
    Deposit,
    Inclusion,
    Payment,
    Watched,
    include,
    restate,
    reverse,
)
from orion.moneyin.policy import ChainPolicy
from orion.moneyin.pool import LOW_MARK, next_request, request_message
from orion.records import Record, canonical_json, parse_json
from orion.wallet.addresses import WalletAddresses, WalletRange, addresses

TRACE = "cd" * 16
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SOURCE = agent.Source("ethereum", "31337", "ethereum-1")
TRANSFERS = (
    Transfer("0xt", "log:0", "0xusdt", "0xfrom", "0xto", 2**256 - 1),
    Transfer("0xt", "call:0.2", None, None, "0xto", 0),
)
POLICY = ChainPolicy("ethereum", "31337", 2, 3, 1, {None: asset("ETH.ethereum")})


def test_a_block_of_an_agent_is_read_as_it_was_meant() -> None:
    block = Block(hash="0xb", parent="0xa", height=7, time=99, transfers=TRANSFERS)
    (value,) = agent.connected(SOURCE, block, TRACE)
    assert read_block_event(parse_json(value)) == Connected(
        TRACE, "ethereum", "31337", "ethereum-1", BlockRef(7, "0xb", "0xa"), 99, 0, 1, TRANSFERS
    )


def test_a_block_in_parts_is_read_whole() -> None:
    many = tuple(Transfer(f"0x{n}", "log:0", None, "0xf", "0xto", n) for n in range(8_000))
    block = Block(hash="0xb", parent="0xa", height=7, time=99, transfers=many)
    parts = [read_block_event(parse_json(v)) for v in agent.connected(SOURCE, block, TRACE)]
    connected = [part for part in parts if isinstance(part, Connected)]
    assert len(connected) == len(parts) > 1
    assert [part.last for part in connected] == [False] * (len(parts) - 1) + [True]
    assert tuple(t for part in connected for t in part.transfers) == many


def test_a_disconnected_block_is_read_with_and_without_its_parent() -> None:
    for parent in ("0xa", None):
        value = agent.disconnected(SOURCE, Point(7, "0xb"), parent, TRACE)
        event = read_block_event(parse_json(value))
        assert isinstance(event, Disconnected)
        assert event.block == BlockRef(7, "0xb", parent or "")


def test_an_agent_reads_the_answer_to_its_question_and_an_unasked_resume() -> None:
    request = read_node_answer(parse_json(agent.resume_request(SOURCE, "r1", TRACE)))
    assert request is not None
    recent = (BlockRef(8, "0xc", "0xb"), BlockRef(7, "0xb", ""))
    points = (Point(8, "0xc"), Point(7, "0xb"))
    asked = canonical_json(resume_answer(request, recent).body)
    assert agent.parse_resume(asked, SOURCE) == agent.Resume("r1", points)
    unasked = resume_unasked(TRACE, "ethereum", "ethereum-1", recent, b"e" * 16)
    assert agent.parse_resume(canonical_json(unasked.body), SOURCE) == agent.Resume(None, points)


def test_an_agents_answer_to_a_command_is_nothing_to_moneyin(tmp_path: Path) -> None:
    value = answer_key(tmp_path / "state").signed({"v": 1, "trace_id": TRACE, "kind": "answer"})
    assert read_node_answer(parse_json(value)) is None


def whole_life(merchant: bytes = b"m" * 16) -> Sequence[Change]:
    """Included, final, reversed after final, included again, reversed."""
    watched = Watched(0, 1, merchant, b"i" * 16)
    transfer = Transfer(f"0x{merchant.hex()}", "call:0.2", None, "0xf", "0xto", MAX_UNITS)
    payment = Payment(transfer, asset("ETH.ethereum"), watched)
    block = Inclusion(100, "0xb", 1_700_000_000)
    changes: list[Change] = []

    def then(change: Change | None) -> Deposit:
        assert change is not None
        changes.append(change)
        return change.deposit

    deposit = then(include(None, payment, block, POLICY, 100))
    deposit = then(reverse(then(restate(deposit, 102)), 99))
    then(reverse(then(include(deposit, payment, block, POLICY, 100)), 99))
    return changes


def told(topic: str) -> Sequence[Message]:
    messages = change_messages(whole_life(), trace_id=TRACE, now=NOW)
    return [message for message in messages if message.topic == topic]


def test_the_ledger_reads_every_transfer_of_a_deposit() -> None:
    (record,) = told("ledger.transfers")
    transfers = read_transfers(canonical_json(record.body))
    assert [t.code for t in transfers] == [
        LedgerCode("deposit_credit"),
        LedgerCode("deposit_final"),
        LedgerCode("deposit_reversal_final"),
        LedgerCode("deposit_credit"),
        LedgerCode("deposit_reversal"),
    ]
    assert len({t.id for t in transfers}) == len(transfers)
    assert {t.units for t in transfers} == {MAX_UNITS}


def test_transfers_are_told_by_their_merchants_bucket_each_deposits_in_its_order() -> None:
    lives = {merchant: whole_life(merchant) for merchant in (b"m" * 16, b"n" * 16, b"o" * 16)}
    mixed = [change for changes in zip(*lives.values(), strict=True) for change in changes]
    messages = [
        message
        for message in change_messages(mixed, trace_id=TRACE, now=NOW)
        if message.topic == "ledger.transfers"
    ]
    assert len(messages) == len(lives)
    told: dict[str, list[str]] = {}
    for message in messages:
        for transfer in read_transfers(canonical_json(message.body)):
            merchant = next(
                key.owner for key in (transfer.debit, transfer.credit) if key.is_merchant
            )
            assert message.key == f"bucket:{bucket(merchant)}"
            told.setdefault(merchant, []).append(transfer.id.hex())
    assert told == {
        f"merchant:{merchant.hex()}": [p.id.hex() for change in life for p in change.postings]
        for merchant, life in lives.items()
    }


def test_billing_reads_every_state_of_a_deposit() -> None:
    events = [
        read_deposit(Record("moneyin.deposits", 0, n, b"", canonical_json(message.body)), NOW)
        for n, message in enumerate(told("moneyin.deposits"))
    ]
    assert [event.deposit.state for event in events] == [
        DepositState("included"),
        DepositState("final"),
        DepositState("reversed"),
        DepositState("included"),
        DepositState("reversed"),
    ]
    assert [event.deposit.version for event in events] == [1, 2, 3, 4, 5]
    assert [event.deposit.credit_epoch for event in events] == [0, 0, 1, 1, 2]


def test_kms_reads_what_the_pool_asks_and_the_pool_reads_what_kms_answers() -> None:
    request = next_request(None, LOW_MARK - 1, NOW)
    assert request is not None
    read = extend_pool_request(request_message(request, TRACE).body)
    assert (read.group_no, read.wallets.first_index, read.wallets.count) == (0, 0, 500)
    wallets = [WalletAddresses(n, {"ethereum": f"0x{n:040x}"}) for n in range(500)]
    (answer,) = address_messages(read, wallets, Networks("regtest", "31337"))
    extension = read_addresses(parse_json(canonical_json(answer.body)))
    assert [w.index for w in extension.wallets] == list(range(500))
    assert extension.wallets[1].addresses == {"ethereum": f"0x{1:040x}"}


def test_the_pool_reads_an_address_on_each_of_four_chains() -> None:
    networks = Networks("regtest", "31337", tron="private", solana="localnet")
    asked = PoolRequest(0, WalletRange(0, 2), TRACE)
    wallets = list(addresses(wallet_keys(bytes(32), networks.by_chain(), asked.wallets)))
    (answer,) = address_messages(asked, wallets, networks)
    extension = read_addresses(parse_json(canonical_json(answer.body)))
    assert [dict(w.addresses) for w in extension.wallets] == [dict(w.addresses) for w in wallets]
    assert len(extension.wallets[0].addresses) == 4
