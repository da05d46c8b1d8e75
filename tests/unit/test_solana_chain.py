"""The chain of the Solana stand-in against a naive model: whole snapshots, one a block."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction, VersionedTransaction

from infra.local.solana.chain import Chain
from infra.local.solana.journal import Journal, JournalDamaged, JournalTaken
from infra.local.solana.model import Block, Change, Executed, Level
from infra.local.solana.refusals import Refused, in_words
from infra.local.solana.state import Depths, ForkRefused

SOL = 10**9
DEPTHS = Depths(confirmed=2, finalized=5)
KEYS = [Keypair.from_seed(bytes([n] * 32)).pubkey() for n in range(3)]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    opened = Chain(tmp_path, DEPTHS)
    yield opened
    opened.close()


def _balance(chain: Chain, key: Pubkey, level: Level) -> int:
    account = chain.state.account(key, level)
    return 0 if account is None else account.lamports


@dataclass
class Naive:
    """Balances of KEYS after each block of the fork; index is the height."""

    blocks: list[dict[Pubkey, int]] = field(default_factory=lambda: [dict.fromkeys(KEYS, 0)])
    slots: list[int] = field(default_factory=lambda: [0])
    now: dict[Pubkey, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    used: bool = False
    open_slot: int = 1
    root: int = 0

    def advance(self) -> None:
        self.blocks.append(dict(self.now))
        self.slots.append(self.open_slot)
        self.open_slot += 1
        self.used = False
        self.root = max(self.root, len(self.blocks) - DEPTHS.finalized)

    def skip(self, slots: int) -> None:
        if self.used:
            self.advance()
        self.open_slot += slots

    def fork(self, blocks: int) -> None:
        keep = len(self.blocks) - blocks
        del self.blocks[keep:], self.slots[keep:]
        self.now, self.used = dict(self.blocks[-1]), False
        self.open_slot += 1

    def height(self, level: Level) -> int:
        if level is Level.FINALIZED:
            return self.root
        return max(self.root, len(self.blocks) - DEPTHS.confirmed)

    def expected(self) -> list[dict[Pubkey, int]]:
        return [self.now, *(self.blocks[self.height(lv)] for lv in list(Level)[1:])]


STEPS = st.one_of(
    st.tuples(st.just("pay"), st.integers(0, 2), st.integers(1, 9)),
    st.tuples(st.just("advance"), st.integers(1, 4)),
    st.tuples(st.just("skip"), st.integers(1, 3)),
    st.tuples(st.just("fork"), st.integers(0, 6)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("compact")),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_every_level_holds_what_whole_snapshots_hold(
    steps: list[tuple[str, *tuple[int, ...]]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        chain, naive = Chain(Path(name), DEPTHS), Naive()
        for step in steps:
            chain = _take(Path(name), chain, naive, step)
            _agree(chain, naive)
        chain.close()


def _take(folder: Path, chain: Chain, naive: Naive, step: tuple[str, *tuple[int, ...]]) -> Chain:
    match step:
        case "pay", which, sol:
            chain.airdrop(KEYS[which], sol * SOL)
            naive.now[KEYS[which]] += sol * SOL
            naive.used = True
        case "advance", slots:
            chain.advance(slots)
            for _ in range(slots):
                naive.advance()
        case "skip", slots:
            chain.skip(slots)
            naive.skip(slots)
        case "fork", blocks if blocks > len(naive.blocks) - 1 - naive.root:
            with pytest.raises(ForkRefused):
                chain.fork(blocks)
        case "fork", blocks:
            chain.fork(blocks)
            naive.fork(blocks)
        case ("restart",):
            chain.close()
            return Chain(folder, DEPTHS)
        case ("compact",):
            chain.compact()
    return chain


def _agree(chain: Chain, naive: Naive) -> None:
    seen = [{key: _balance(chain, key, level) for key in KEYS} for level in Level]
    assert seen == naive.expected()
    assert chain.state.open.slot == naive.open_slot
    assert [block.slot for block in chain.state.history.blocks()] == naive.slots
    assert chain.state.height_at(Level.FINALIZED) == naive.root
    named = {done.signature for key in KEYS for done in chain.state.history.of_address(str(key))}
    blocks = [done for block in chain.state.history.blocks() for done in block.transactions]
    assert named == {done.signature for done in [*blocks, *chain.state.open.transactions]}


class _Heard:
    """What a listener heard, in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []
        self.values: dict[tuple[Level, int], list[Change]] = {}

    def executed(self, done: Executed, changes: Sequence[Change]) -> None:
        self.rows.append(("executed", done.slot))

    def closed(self, block: Block) -> None:
        self.rows.append(("closed", block.slot))

    def settled(self, level: Level, block: Block, changes: Sequence[Change]) -> None:
        self.rows.append((level.value, block.slot))
        self.values[level, block.slot] = list(changes)


def test_every_block_is_told_once_at_each_level_in_order(chain: Chain) -> None:
    heard = _Heard()
    chain.listen(heard)
    chain.airdrop(KEYS[0], SOL)
    chain.advance(7)
    for level, last in (("closed", 7), ("confirmed", 6), ("finalized", 3)):
        assert [slot for kind, slot in heard.rows if kind == level] == list(range(1, last + 1))
    for level in (Level.CONFIRMED, Level.FINALIZED):
        told = {key: account for key, account in heard.values[level, 1] if account is not None}
        assert told[KEYS[0]].lamports == SOL


def test_a_level_that_a_fork_took_back_is_told_again(chain: Chain) -> None:
    heard = _Heard()
    chain.listen(heard)
    chain.advance(4)
    chain.fork(3)
    chain.advance(4)
    confirmed = [slot for kind, slot in heard.rows if kind == "confirmed"]
    # Slot 1 stayed, but lost the block above it that had confirmed it.
    assert confirmed == [1, 2, 3, 1, 6, 7, 8]


def test_the_oldest_blocks_are_forgotten_with_their_transactions(tmp_path: Path) -> None:
    chain = Chain(tmp_path, DEPTHS, blocks_max=20)
    first = chain.airdrop(KEYS[0], SOL).signature
    chain.advance(60)
    kept = list(chain.state.history.blocks())
    assert 18 <= len(kept) <= 20
    assert chain.state.history.transaction(first) is None
    assert not list(chain.state.history.of_address(str(KEYS[0])))
    assert _balance(chain, KEYS[0], Level.FINALIZED) == SOL
    chain.close()


def test_a_compacted_journal_is_smaller_and_holds_the_same_chain(tmp_path: Path) -> None:
    chain = Chain(tmp_path, DEPTHS, blocks_max=20)
    for _ in range(60):
        chain.airdrop(KEYS[0], SOL)
        chain.advance()
    before = (tmp_path / "journal").stat().st_size
    blocks = list(chain.state.history.blocks())
    chain.compact()
    chain.close()
    assert (tmp_path / "journal").stat().st_size < before / 2
    again = Chain(tmp_path, DEPTHS, blocks_max=20)
    assert list(again.state.history.blocks()) == blocks
    assert _balance(again, KEYS[0], Level.PROCESSED) == 60 * SOL
    again.close()


def test_the_clock_s_interval_is_kept_over_restarts_and_compaction(tmp_path: Path) -> None:
    chain = Chain(tmp_path, DEPTHS, interval_ms=400)
    assert chain.interval_ms == 400
    chain.change_interval(7)
    for _ in range(2):
        chain.close()
        chain = Chain(tmp_path, DEPTHS, interval_ms=400)
        assert chain.interval_ms == 7
        chain.compact()
    chain.close()


def test_a_folder_has_one_server(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(JournalTaken):
        Chain(tmp_path, DEPTHS)


def test_a_record_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append({"n": number})
    journal.close()
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":7'))
    damaged = Journal(tmp_path)
    with pytest.raises(JournalDamaged):
        list(damaged.read())
    damaged.close()


@pytest.mark.parametrize("size", [1, 5, 16])
def test_a_torn_end_loses_the_last_record_only(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append({"n": number})
    journal.close()
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes()[:-size])
    torn = Journal(tmp_path)
    assert [row["n"] for row in torn.read()] == [0, 1]
    torn.append({"n": 9})
    assert [row["n"] for row in torn.read()] == [0, 1, 9]
    torn.close()


def test_a_refused_transaction_changes_nothing(chain: Chain) -> None:
    poor = Keypair()
    move = transfer(TransferParams(from_pubkey=poor.pubkey(), to_pubkey=KEYS[0], lamports=SOL))
    recent = Hash.from_string(chain.state.tip.blockhash)
    signed = Transaction.new_signed_with_payer([move], poor.pubkey(), [poor], recent)
    with pytest.raises(Refused) as caught:
        chain.send(VersionedTransaction.from_legacy(signed))
    assert caught.value.error == "AccountNotFound"
    assert chain.state.open.transactions == []
    assert chain.state.open.before == {}


@pytest.mark.parametrize("depths", [(0, 31), (31, 31), (5, 2), (1, 151)])
def test_depths_out_of_order_are_refused(depths: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="confirmed < finalized"):
        Depths(*depths)


@pytest.mark.parametrize(
    "error, words",
    [
        ("BlockhashNotFound", "Blockhash not found"),
        (
            {"InstructionError": [2, {"Custom": 6001}]},
            "Error processing Instruction 2: custom program error: 0x1771",
        ),
        (
            {"InstructionError": [0, "MissingRequiredSignature"]},
            "Error processing Instruction 0: missing required signature for instruction",
        ),
        (
            {"InsufficientFundsForRent": {"account_index": 1}},
            "Transaction results in an account (1) with insufficient funds for rent",
        ),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_an_error_is_told_in_the_cluster_s_words(error: object, words: str) -> None:
    assert in_words(error) == words
