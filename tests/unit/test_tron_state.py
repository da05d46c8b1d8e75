"""The Tron engine's store keeps blocks whole, takes them back, and knows the solidified state."""

from pathlib import Path

import pytest

from infra.local.tron.state import Session, Solidified, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def test_a_block_taken_back_leaves_no_trace(store: Store) -> None:
    store.apply(1, {"a": "1", "b": "1"}, [], 0)
    store.apply(2, {"a": "2", "c": "2", "b": None}, [], 0)
    store.apply(3, {"a": "3", "c": None}, [], 0)
    changes = store.revert(2, 3, ["waiting"])
    assert [store.get(key) for key in "abc"] == ["1", "1", None]
    assert changes == {"a": "1", "b": "1", "c": None}
    assert store.pool() == ["waiting"]
    store.apply(2, {"a": "other"}, [], 0)
    assert store.get("a") == "other"


def test_the_solidified_state_is_that_after_its_block(store: Store) -> None:
    store.apply(1, {"a": "1"}, [], 0)
    store.apply(2, {"a": "2", "b": "2"}, [], 1)
    store.apply(3, {"a": "3"}, [], 1)
    solid = Solidified(store, 1)
    assert (solid.get("a"), solid.get("b")) == ("1", None)
    assert Solidified(store, 2).get("a") == "2"
    assert sorted(store.changed_since(1)) == ["a", "b"]


def test_how_to_undo_a_solidified_block_is_forgotten(store: Store) -> None:
    store.apply(1, {"a": "1"}, [], 0)
    store.apply(2, {"a": "2"}, [], 1)
    store.revert(1, 2, [])
    assert store.get("a") == "1"


def test_what_was_written_is_there_after_opening_again(store: Store, tmp_path: Path) -> None:
    store.apply(1, {"a": "1"}, ["x"], 0)
    store.add_to_pool("y")
    store.set_setting("s", 7)
    store.close()
    again = Store(tmp_path / "state.db")
    assert (again.get("a"), again.pool(), again.setting("s", 0)) == ("1", ["x", "y"], 7)
    assert list(again.scan("a")) == [("a", "1")]


def test_a_session_thrown_away_changes_nothing_and_one_merged_does(store: Store) -> None:
    store.apply(1, {"a": "1"}, [], 0)
    below = Session(store)
    lost, kept = Session(below), Session(below)
    lost.put("a", "lost")
    kept.put("b", "kept")
    below.merge(kept)
    assert (below.get("a"), below.get("b"), store.get("b")) == ("1", "kept", None)
    above = Session(below)
    above.put("a", None)
    assert above.get("a") is None
    assert above.unwritten() == {"a": None, "b": "kept"}
