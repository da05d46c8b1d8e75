"""What a run came to, and how people and programs are told."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from html import escape

import pytest

from orion.ledger.freezes import MalformedLifting, lifting
from orion.log.reconciliation.errors import MalformedCall
from orion.log.reconciliation.incidents import closing
from orion.log.reconciliation.model import (
    Book,
    Difference,
    DifferenceKind,
    Run,
    Step,
    Wrong,
    run_id,
)
from orion.log.reconciliation.planning import Range, ShardPlan, Span
from orion.log.reconciliation.report import (
    BOOK_WORDS,
    COINS,
    KIND_WORDS,
    Counted,
    Findings,
    awaited,
    csv_report,
    incidents,
    not_checked,
    outcome,
    report_key,
)
from orion.log.reconciliation.report_page import html_report
from orion.log.reconciliation.sums import Sums
from orion.money import UnknownAsset

BEGUN = datetime(2026, 11, 23, 1, tzinfo=UTC)
RUN = Run(run_id("daily"), "daily", "recent", bytes(16), BEGUN, BEGUN, None)
EMPTY = Findings(
    (ShardPlan(0, 1_200, ()),), (Range(0, 0, Span(1, 1_000), strays=False),),
    dict.fromkeys([(0, book) for book in Book], 5_000), 3, frozenset(), (), (), {},
)  # fmt: skip
WHOLE = replace(EMPTY, checked=frozenset(awaited(EMPTY)))
CHANGED = Difference(
    DifferenceKind.ENTRY_DIFFERS, Wrong.EXTERNAL, shard=0, number=17, position=3,
    transfer_id=bytes.fromhex("ab" * 16), account="merchant:1/settling/BTC.bitcoin",
    asset="BTC.bitcoin", found="=units <b>5</b>", expected="units 6",
)  # fmt: skip
DIFFERENT = replace(
    WHOLE, differences=(CHANGED,),
    counted=(Counted(DifferenceKind.ENTRY_DIFFERS, "BTC.bitcoin", 7),),
)  # fmt: skip


def page(findings: Findings, run: Run = RUN) -> str:
    return html_report(run, findings).decode()


def test_a_run_is_equal_only_when_all_was_checked_and_nothing_found() -> None:
    assert outcome(RUN, WHOLE) == "equal"
    assert outcome(RUN, DIFFERENT) == "different"
    assert outcome(RUN, replace(DIFFERENT, checked=frozenset())) == "different"
    # What is beyond the stored ones is a difference all the same.
    assert outcome(RUN, replace(DIFFERENT, differences=())) == "different"
    for left_out in awaited(WHOLE):
        part = replace(WHOLE, checked=WHOLE.checked - {left_out})
        assert outcome(RUN, part) == "not_checked"
        [told] = not_checked(RUN, part)
        assert escape(told) in page(part)
    assert len(list(awaited(WHOLE))) == 8
    unplanned = replace(RUN, planned_at=None)
    assert outcome(unplanned, WHOLE) == "not_checked"


def test_what_was_not_checked_is_told_with_its_numbers() -> None:
    part = replace(WHOLE, checked=WHOLE.checked - {(Step.ROOTS, "0.external")})
    assert not_checked(RUN, part) == (
        "The book external book (PostgreSQL) of shard 0, records 1 to 1000 was not read.",
    )


def test_an_asset_with_a_difference_has_one_incident_and_one_without_asset_concerns_all() -> None:
    [found] = incidents(RUN, DIFFERENT)
    assert (found.asset, found.freezes, found.differences) == ("BTC.bitcoin", True, 7)
    assert incidents(RUN, DIFFERENT) == (found,)
    assert incidents(replace(RUN, id=run_id("next")), DIFFERENT)[0].id != found.id
    lost = Counted(DifferenceKind.SEGMENT_DELETED, "", 1)
    everywhere = incidents(RUN, replace(WHOLE, counted=(lost,)))
    assert tuple(each.asset for each in everywhere) == COINS
    assert "BTC.bitcoin" in COINS
    assert "EUR" not in COINS
    assert all(each.freezes for each in everywhere)


def test_a_chain_that_was_not_heard_freezes_nothing_by_itself() -> None:
    unheard = Counted(DifferenceKind.BALANCE_UNKNOWN, "BTC.bitcoin", 1)
    [found] = incidents(RUN, replace(WHOLE, counted=(unheard,)))
    assert not found.freezes
    both = replace(WHOLE, counted=(unheard, *DIFFERENT.counted))
    assert [each.freezes for each in incidents(RUN, both)] == [True]
    gentle = {"balance_unknown", "balance_surplus", "book_behind"}
    assert {str(kind) for kind in DifferenceKind if not kind.freezes} == gentle


def test_every_kind_and_every_book_has_words() -> None:
    assert set(KIND_WORDS) == set(DifferenceKind)
    assert set(BOOK_WORDS) == {str(wrong) for wrong in Wrong}


def test_the_page_escapes_what_came_from_the_books() -> None:
    told = page(replace(DIFFERENT, differences=(CHANGED,)))
    assert "=units &lt;b&gt;5&lt;/b&gt;" in told
    assert "<b>" not in told
    assert "<script>" not in page(DIFFERENT, replace(RUN, name="<script>"))


def test_the_page_tells_an_accountant_what_where_and_how_much() -> None:
    told = page(
        replace(
            DIFFERENT, totals={("BTC.bitcoin", "custody"): (2, Sums(41_234, 0, 141_234_000, 0))}
        )
    )
    for words in (
        "Reconciliation of 23 November 2026", "An entry was changed", "external book (PostgreSQL)",
        "merchant:1/settling/BTC.bitcoin", "Differences: 7", "The first 1 are listed.",
        "refused until lifted", "0.00041234", "1.41234000", "1.41192766", "ab" * 16,
    ):  # fmt: skip
        assert words in told
    assert "The three books agree" in page(WHOLE)
    assert "Not everything could be checked" in page(EMPTY)


def test_a_negative_balance_and_an_unknown_asset_are_written_exactly() -> None:
    told = page(
        replace(
            WHOLE,
            totals={("BTC.bitcoin", "custody"): (1, Sums(10**20, 0, 1, 0)),
                    ("XYZ.none", "custody"): (1, Sums(5, 0, 0, 0))},
        )
    )  # fmt: skip
    assert "-999999999999.99999999" in told
    assert "-5 units" in told


def test_the_table_for_programs_has_one_row_a_difference_and_no_formulas() -> None:
    rows = list(csv.reader(io.StringIO(csv_report(RUN, DIFFERENT).decode(), newline="")))
    assert rows[0] == ["run", "daily"]
    assert rows[1][:2] == ["outcome", "different"]
    assert rows[-1][2:9] == [
        "external book (PostgreSQL)", "BTC.bitcoin", "merchant:1/settling/BTC.bitcoin", "0", "17",
        "3", "ab" * 16,
    ]  # fmt: skip
    assert rows[-1][9:] == ["'=units <b>5</b>", "units 6"]
    part = csv_report(RUN, replace(WHOLE, checked=WHOLE.checked - {(Step.SUMS, "")})).decode()
    assert part.count("not checked,Counters and sums were not checked.") == 1


def test_the_reports_name_follows_from_the_run() -> None:
    assert report_key(RUN, "csv") == f"reports/2026-11-23/{RUN.id.hex()}.csv"


def test_a_value_has_bounds() -> None:
    with pytest.raises(ValueError, match="512"):
        Difference(DifferenceKind.ENTRY_ADDED, Wrong.MYSQL, found="x" * 513)


def test_lifting_and_closing_need_a_person_and_a_reason() -> None:
    body: dict[str, object] = {
        "asset": "BTC.bitcoin", "incident_id": "ab" * 16, "by": "ann", "reason": "restored",
    }  # fmt: skip
    assert lifting(body).written == "ann: restored"
    assert closing(body).reason == "restored"
    for field, value in (
        ("incident_id", "ab"), ("incident_id", None), ("by", ""), ("reason", " "),
        ("reason", "x" * 513), ("by", 7),
    ):  # fmt: skip
        for read, refusal in ((lifting, MalformedLifting), (closing, MalformedCall)):
            with pytest.raises(refusal) as refused:
                read(body | {field: value})
            assert refused.value.fields["field"] == field
    with pytest.raises(UnknownAsset):
        lifting(body | {"asset": "NONE.nowhere"})
