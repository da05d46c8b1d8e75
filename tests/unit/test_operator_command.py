"""The operators' command: its words, what it prints, and proofs verified without any network."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.operator.__main__ import main, parser
from clients.operator.failure import Exit, failed, refused
from clients.operator.printing import decimal, report_head, statement
from orion.ledger.proof import Proof, make_proof
from orion.ledger.segment_header import FIRST_PREVIOUS
from orion.ledger.signature import fingerprint
from orion.log.ledger_book.model import drafted, opened, read_trailer, sealed
from tests.unit.ledger_book_records import STAGE, Key, new_key, posted, transfer_id

ROOT = Path(__file__).parents[2]
KEY = new_key()
ACCOUNT = "merchant:" + "0f" * 16 + "/available/BTC.bitcoin"


def proof() -> Proof:
    draft = drafted(STAGE, FIRST_PREVIOUS, [posted(17, entries=3)])
    kept = opened(sealed(draft, KEY.public, KEY.sign(draft.digest)))
    signature = read_trailer(kept.trailer_line).signature
    return make_proof(
        kept.header_line, kept.lines[1], kept.leaves, 1, signature=signature, public_key=KEY.public
    )


def pem(key: Key) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "proof.json").write_bytes(proof().text() + b"\n")
    (tmp_path / "own.pem").write_bytes(pem(KEY))
    (tmp_path / "other.pem").write_bytes(pem(new_key(8)))
    (tmp_path / "forged.json").write_bytes(proof().text().replace(b"41235", b"91235"))
    (tmp_path / "torn.json").write_bytes(proof().text()[:-1])
    return tmp_path


def test_a_proof_is_told_with_the_key_that_is_still_to_be_compared(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["books", "verify", str(files / "proof.json")]) == Exit.DONE
    out = capsys.readouterr().out

    assert transfer_id(0, 17, 1).hex() in out
    assert "shard 0, number 17, position 1" in out
    assert "0.00041235 BTC (41235 units), direct" in out
    assert "debits      system:bitcoin/custody/BTC.bitcoin" in out
    assert fingerprint(KEY.public) in out
    assert "compare its fingerprint" in out


def test_with_the_published_key_nothing_is_left_to_compare(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["books", "verify", str(files / "proof.json"), "--key", str(files / "own.pem")]

    assert main(arguments) == Exit.DONE
    assert "compare its fingerprint" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "proof_file, key_file, code, said",
    [
        ("forged.json", None, Exit.FOUND, "root_differs"),
        ("torn.json", None, Exit.FOUND, "not a proof"),
        ("own.pem", None, Exit.FOUND, "not a proof"),
        ("proof.json", "other.pem", Exit.FOUND, "other_key"),
        ("proof.json", "proof.json", Exit.FAILED, "no public key in PEM"),
        ("absent.json", None, Exit.FAILED, "cannot be read"),
        ("proof.json", "absent.pem", Exit.FAILED, "cannot be read"),
    ],
)
def test_what_proves_nothing_ends_with_a_failure_that_says_what_to_do(
    files: Path,
    capsys: pytest.CaptureFixture[str],
    proof_file: str,
    key_file: str | None,
    code: Exit,
    said: str,
) -> None:
    key = [] if key_file is None else ["--key", str(files / key_file)]

    assert main(["books", "verify", str(files / proof_file), *key]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "\nto do: " in captured.err


def test_verifying_loads_nothing_that_reaches_a_network() -> None:
    program = (
        "import sys; from clients.operator import books;"
        "assert not {'boto3', 'botocore', 'urllib3', 'pymysql'} & set(sys.modules)"
    )
    path = f"{ROOT}:{ROOT / 'layers/orion/python'}"
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, check=True)


def test_without_a_stage_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ORION_STAGE", raising=False)

    assert main(["books", "check"]) == Exit.USAGE
    assert "--stage or set ORION_STAGE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["books"],
        ["books", "prove", "0F" * 16],
        ["books", "prove", "0f" * 15],
        ["books", "statement", ACCOUNT, "--limit", "0"],
        ["books", "statement", ACCOUNT, "--limit", "501"],
        ["books", "statement", ACCOUNT, "--limit", "ten"],
        ["books", "check", "--stage", "Dev"],
        ["books", "verify", "file", "--stage", "dev"],
    ],
)
def test_a_mistyped_command_is_refused_before_anything_is_done(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == Exit.USAGE


def counters(booked: int, pending: int = 0) -> dict[str, str]:
    return {
        "debits_posted": "30000",
        "debits_pending": str(pending),
        "credits_posted": str(30_000 + booked),
        "credits_pending": "0",
    }


def page(**changes: object) -> dict[str, object]:
    line = {
        "posted_at": "2026-11-23T10:00:00.000000Z",
        "transfer_id": "0e" * 16,
        "side": "credit",
        "kind": "direct",
        "code": "deposit_final",
        "units": "41234",
        "balance": counters(41_234),
    }
    payout = line | {"side": "debit", "kind": "pending", "code": "payout", "units": "30500"}
    owner, purpose, asset = ACCOUNT.split("/")
    return {
        "account": {"id": "0d" * 16, "owner": owner, "purpose": purpose},
        "asset": asset,
        "complete_through": "2026-11-23T10:00:05.000000Z",
        "lines": [payout | {"balance": counters(41_234, 30_500)}, line],
        "next_cursor": "AbC-9",
        "balance": {"at": "2026-11-23T10:00:05.000000Z"} | counters(41_234, 30_500),
    } | changes


def test_a_statement_shows_amounts_as_decimals_with_the_balance_beside_each() -> None:
    told = statement(page()).splitlines()

    assert told[0] == f"{ACCOUNT}  (account {'0d' * 16})"
    assert told[1] == "complete through 2026-11-23T10:00:05.000000Z"
    assert told[3].split() == ["posted", "at", "code", "debit", "credit", "balance", "pending",
                               "transfer"]  # fmt: skip
    assert told[4].split()[1:6] == ["payout", "pending", "0.00030500", "0.00041234", "0.00030500"]
    assert told[5].split()[1:4] == ["deposit_final", "0.00041234", "0.00041234"]
    assert told[7] == (
        "balance at 2026-11-23T10:00:05.000000Z: 0.00041234 BTC, of which 0.00030500 BTC are held"
        " back"
    )
    assert told[8] == "more: add --cursor AbC-9"


def test_an_unknown_balance_is_not_shown_as_zero() -> None:
    told = statement(page(lines=[], balance=None, complete_through=None, next_cursor=None))

    assert "balance: unknown" in told
    assert "nothing of this account has been entered yet" in told
    assert "0.0" not in told


def test_an_amount_of_an_asset_that_is_not_known_stays_in_units() -> None:
    assert decimal("41234", "BTC.bitcoin") == "0.00041234 BTC"
    assert decimal("41234", "NEW.chain") == "41234 units"


def test_a_reports_head_has_its_facts_and_its_first_differences() -> None:
    rows = [
        "run,operator-1",
        "outcome,different,The books differ.",
        "started at (UTC),2026-11-23 10:00:00",
        "differences,25,listed,25",
        "kind,shard,number",
        *(f"entry_differs,0,{number}" for number in range(25)),
    ]
    told = report_head("\r\n".join(rows).encode(), most=3).splitlines()

    assert told[1].split() == ["outcome", "different", "The", "books", "differ."]
    assert told[5].split() == ["kind", "shard", "number"]
    assert [row.split()[2] for row in told[6:9]] == ["0", "1", "2"]
    assert told[9] == "and 22 more in the report"


def test_a_refusal_names_its_code_and_what_to_do_about_it() -> None:
    answer = {"code": "not_in_log_book", "detail": "not there yet", "fields": {"shard": 3}}

    assert refused(answer).what == "not_in_log_book: not there yet, shard 3"
    assert "wait some seconds" in refused(answer).mend
    assert "owner/purpose/asset" in failed("f", "HandlerError", "unknown_account: none").mend
    assert "log of f" in failed("f", "Timeout", None).mend
