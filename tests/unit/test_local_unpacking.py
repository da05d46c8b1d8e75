"""How the local AWS engine unpacks layers: one folder for one content, whole or not there."""

import tempfile
import zipfile
from pathlib import Path

import pytest

from infra.local.ministack_start import unpacking

LARGE = b"x = 1\n" * 300_000


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()


def packed(at: Path, content: bytes = LARGE) -> zipfile.ZipFile:
    """An archive as the engine writes it for one worker."""
    at.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(at, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("python/module.py"), content)
    return zipfile.ZipFile(at)


def unpacked(worker: Path, content: bytes = LARGE) -> Path:
    place = worker / "layer_0"
    place.mkdir(parents=True)
    with packed(worker / "layer_0.zip", content) as archive:
        unpacking.extract_all(archive, str(place))
    return place


def test_workers_of_one_layer_share_its_folder_and_keep_no_archive(tmp_path: Path) -> None:
    first, second = unpacked(tmp_path / "a"), unpacked(tmp_path / "b")
    assert first.resolve() == second.resolve()
    assert (second / "python" / "module.py").read_bytes() == LARGE
    assert not (tmp_path / "b" / "layer_0.zip").exists()


def test_another_version_of_a_layer_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = unpacked(tmp_path / "a"), unpacked(tmp_path / "b", LARGE + b"y = 2\n")
    assert first.resolve() != second.resolve()
    assert (first / "python" / "module.py").read_bytes() == LARGE


def test_a_functions_own_code_is_its_own(tmp_path: Path) -> None:
    place = unpacked(tmp_path / "a", b"x = 1\n")
    assert not place.is_symlink()
    assert (place / "python" / "module.py").read_bytes() == b"x = 1\n"


def test_a_damaged_archive_leaves_nothing_that_a_later_worker_would_find(tmp_path: Path) -> None:
    place = tmp_path / "a" / "layer_0"
    place.mkdir(parents=True)
    packed(tmp_path / "a" / "layer_0.zip").close()
    damaged = bytearray((tmp_path / "a" / "layer_0.zip").read_bytes())
    damaged[1_000] ^= 1
    (tmp_path / "a" / "layer_0.zip").write_bytes(damaged)
    with (
        zipfile.ZipFile(tmp_path / "a" / "layer_0.zip") as archive,
        pytest.raises(zipfile.BadZipFile),
    ):
        unpacking.extract_all(archive, str(place))
    assert list((tmp_path / "tmp" / unpacking.FOLDER).iterdir()) == []


def test_a_folder_that_holds_something_is_added_to_and_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "a" / "layer_0"
    place.mkdir(parents=True)
    (place / "kept").write_text("kept")
    with packed(tmp_path / "a" / "layer_0.zip") as archive:
        unpacking.extract_all(archive, str(place))
    assert not place.is_symlink()
    assert sorted(path.name for path in place.iterdir()) == ["kept", "python"]
