"""Each layer works in an interpreter that sees nothing but the layer and the base."""

import re
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from layers import build

IMPORTS = {
    "base": "aws_lambda_powertools, boto3, botocore.session, pymemcache, pymysql, segno, urllib3",
    "kafka": "kafka, kafka.errors",
    "postgres": "psycopg, psycopg_binary",
    "ethereum": "sha3",
    "keys": "aws_encryption_sdk, aws_cryptographic_material_providers.mpl, coincurve, "
    "cryptography.hazmat.primitives.asymmetric.ec",
}
MARKERS = {
    "python_version": build.PYTHON_VERSION,
    "python_full_version": f"{build.PYTHON_VERSION}.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}


def run_isolated(layers: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the layers and the standard library as the whole module path."""
    paths = [str(build.layer_path(name) / "python") for name in layers]
    start = f"import sys; sys.path[:0] = {paths!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", start + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", build.THIRD_PARTY)
def test_a_layer_imports_with_nothing_beside_it_but_the_base(name: str) -> None:
    done = run_isolated(list(dict.fromkeys(["base", name])), f"import {IMPORTS[name]}")
    assert done.returncode == 0, done.stderr


def test_the_isolated_interpreter_does_not_see_the_host_packages() -> None:
    done = run_isolated([], "import boto3")
    assert "No module named 'boto3'" in done.stderr


@pytest.mark.parametrize("name", build.THIRD_PARTY)
def test_a_layer_holds_exactly_the_locked_versions_of_its_list(name: str) -> None:
    lock = build.locked_requirements()
    for item, version in _installed(name).items():
        assert lock[item].startswith(f"{item}=={version} ")
    assert sorted(_installed(name)) == sorted(build.distributions(name))


@pytest.mark.parametrize("name", build.THIRD_PARTY)
def test_a_layer_and_the_base_hold_all_that_their_packages_require(name: str) -> None:
    present = {**_installed("base"), **_installed(name)}
    for info in (build.layer_path(name) / "python").glob("*.dist-info"):
        for text in PathDistribution(info).requires or ():
            wish = Requirement(text)
            if wish.marker is None or wish.marker.evaluate(MARKERS):
                assert wish.specifier.contains(present[canonicalize_name(wish.name)])


@pytest.mark.parametrize("name", build.LAYERS)
def test_a_layer_carries_bytecode_that_needs_no_check_and_fits_lambda(name: str) -> None:
    folder = build.layer_path(name)
    tag = f"cpython-{build.PYTHON_VERSION.replace('.', '')}"
    compiled = list(folder.rglob("*.pyc"))
    assert compiled
    for path in compiled:
        assert path.name.endswith(f".{tag}.pyc")
        # PEP 552: flags 1 mean bytecode checked by nothing, whatever the file times are.
        assert path.read_bytes()[4:8] == b"\x01\x00\x00\x00", path
    assert build.size_bytes(folder) <= build.SIZE_LIMIT_BYTES


def test_the_base_describes_exactly_the_services_that_the_product_calls() -> None:
    source = "".join(path.read_text() for path in build.PRODUCT.rglob("*.py"))
    called = set(re.findall(r"""\bclient\(\s*"([a-z0-9-]+)\"""", source))
    data = build.layer_path("base") / "python" / "botocore" / "data"
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == called


@pytest.mark.parametrize("name", build.THIRD_PARTY)
def test_a_layer_holds_binaries_of_lambda_only(name: str) -> None:
    tag = f"cpython-{build.PYTHON_VERSION.replace('.', '')}-x86_64-linux-gnu"
    for library in (build.layer_path(name) / "python").rglob("*.cpython-*.so"):
        assert tag in library.name


def test_private_keys_travel_only_in_the_kms_variant() -> None:
    plain, complete = _product_files("orion"), _product_files("orion_kms")
    difference = complete - plain
    assert difference
    assert plain <= complete
    assert all(path.startswith("orion/kms/keys/") for path in difference)
    assert "orion/kms/keys/__init__.py" in difference


def test_a_function_without_the_kms_variant_cannot_load_private_keys() -> None:
    wanted = "import orion.kms.keys"
    assert "No module named 'orion.kms.keys'" in run_isolated(["base", "orion"], wanted).stderr
    done = run_isolated(["base", "ethereum", "keys", "orion_kms"], wanted)
    assert done.returncode == 0, done.stderr


def test_a_layer_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORION_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "SIZE_LIMIT_BYTES", 1000)
    with pytest.raises(build.LayerTooLarge):
        build.layer_path("orion")
    assert not list(tmp_path.glob("layer-*"))


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(build.UnknownLayer):
        build.layer_path("orion-kms")


def _installed(name: str) -> dict[str, str]:
    infos = (build.layer_path(name) / "python").glob("*.dist-info")
    found = [PathDistribution(info) for info in infos]
    return {canonicalize_name(item.metadata["Name"]): item.version for item in found}


def _product_files(name: str) -> set[str]:
    folder = build.layer_path(name) / "python"
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
