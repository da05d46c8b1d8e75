"""Lambda layers, built from locks/lambda.txt and from the product's source.

`layer_path(name)` is a folder that holds `python/`, ready to be an asset. Third-party layers are
wheels for Lambda's platform, whatever machine builds them; the product comes in two variants, so
that the code holding private keys is only where `orion_kms` is attached.
AWS Lambda quotas: a function with all its layers has at most 250 MB unzipped.
"""

import argparse
import compileall
import os
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

from infra.setup.cache import ROOT, SetupFailed, cache_root, digest, published
from infra.setup.console import run

LOCK = ROOT / "locks" / "lambda.txt"
PRODUCT = ROOT / "layers" / "orion" / "python" / "orion"
THIRD_PARTY = ("base", "kafka", "postgres", "ethereum", "keys")
VARIANTS = ("orion", "orion_kms")
LAYERS = THIRD_PARTY + VARIANTS
SIZE_LIMIT_BYTES = 250 * 1024 * 1024
PYTHON_VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["orion"][
    "python"
]

# Raise it when a layer is built in another way from the same inputs.
_RECIPE = "3"
_KEYS_PACKAGE = Path("kms") / "keys"
_KEPT_VARIANT_DAYS = 7
# Lambda's python3.11 has glibc 2.26, so nothing newer than manylinux2014 (glibc 2.17) may come in.
_PLATFORMS = (
    "manylinux2014_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux1_x86_64",
    "manylinux_2_5_x86_64",
)


class UnknownLayer(Exception):
    """A name that is not in LAYERS."""


class LayerTooLarge(Exception):
    """A layer that Lambda would refuse."""


class NotLocked(Exception):
    """A packages.txt names a distribution that locks/lambda.txt does not have."""


def layer_path(name: str) -> Path:
    """The finished layer `name`, built when its inputs are new. Raises UnknownLayer, NotLocked,
    LayerTooLarge, or SetupFailed when a wheel cannot be had."""
    if name in THIRD_PARTY:
        return _third_party(name)
    if name in VARIANTS:
        return _variant(name)
    raise UnknownLayer(f"{name} is not one of {', '.join(LAYERS)}")


def distributions(name: str) -> tuple[str, ...]:
    """What a third-party layer holds, from its packages.txt."""
    return _lines(ROOT / "layers" / name / "packages.txt")


def _lines(path: Path) -> tuple[str, ...]:
    lines = path.read_text().splitlines() if path.exists() else []
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def locked_requirements() -> dict[str, str]:
    """Each distribution of the Lambda lock with its requirement line and hashes."""
    entries = re.split(r"^(?=[a-z0-9])", LOCK.read_text(), flags=re.MULTILINE)
    return {re.split(r"[=\[ ]", entry, maxsplit=1)[0]: entry for entry in entries if entry.strip()}


def size_bytes(folder: Path) -> int:
    """Unzipped size of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _third_party(name: str) -> Path:
    locked = locked_requirements()
    wanted = distributions(name)
    missing = [item for item in wanted if item not in locked]
    if missing:
        raise NotLocked(f"layers/{name}/packages.txt: {', '.join(missing)} not in {LOCK.name}")
    requirements = "".join(locked[item] for item in wanted)
    services = _lines(ROOT / "layers" / name / "services.txt")

    def build(folder: Path) -> None:
        _install(name, requirements, folder / "python")
        _prune(folder)
        _prune_services(folder / "python", services)
        _compile(folder)
        _refuse_large(name, folder)

    key = digest(requirements, PYTHON_VERSION, " ".join(services), _RECIPE)
    return published(f"layer-{name}-{key}", build)


def _install(name: str, requirements: str, target: Path) -> None:
    with TemporaryDirectory() as scratch:
        lock = Path(scratch) / "requirements.txt"
        lock.write_text(requirements)
        command: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet"]
        command += ["--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile"]
        command += ["--implementation", "cp", "--python-version", PYTHON_VERSION]
        command += [word for platform in _PLATFORMS for word in ("--platform", platform)]
        run(
            f"layer-{name}",
            [*command, "--target", target, "-r", lock],
            mend="check that the package registry can be reached, then run: make setup",
        )


def _prune(folder: Path) -> None:
    """Drop what a function never reads: scripts, manuals, tests, bytecode of this machine."""
    for name in ("bin", "share"):
        shutil.rmtree(folder / "python" / name, ignore_errors=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and path.name in {"__pycache__", "tests", "test"}:
            shutil.rmtree(path)
        elif path.suffix in {".pyc", ".pyi"} and path.is_file():
            path.unlink()


def _prune_services(python: Path, services: Sequence[str]) -> None:
    """Keep the SDK's descriptions of `services` only: all of them are most of the layer."""
    for data in (python / "botocore" / "data", python / "boto3" / "data"):
        for folder in data.glob("*/"):
            if folder.name not in services:
                shutil.rmtree(folder)


def _compile(folder: Path) -> None:
    """Put bytecode beside the source: a cold start must not compile, and /opt is read-only.

    Unchecked by hash (PEP 552): valid whatever time the files get on their way. Only Lambda's own
    Python version may make it; with another the layer stays as it is, and works.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" != PYTHON_VERSION:
        return
    compileall.compile_dir(
        folder,
        quiet=1,
        stripdir=str(folder),
        prependdir="/opt",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def _refuse_large(name: str, folder: Path) -> None:
    size = size_bytes(folder)
    if size > SIZE_LIMIT_BYTES:
        raise LayerTooLarge(f"layer {name} has {size} bytes, the limit is {SIZE_LIMIT_BYTES}")


def _variant(name: str) -> Path:
    # Read once, so that an edit in the middle cannot put other bytes under this digest.
    files = {
        path.relative_to(PRODUCT).as_posix(): path.read_bytes()
        for path in _product_files(with_keys=name == "orion_kms")
    }
    contents = [part for item in files.items() for part in item]

    def build(folder: Path) -> None:
        for inside, content in files.items():
            target = folder / "python" / "orion" / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        _compile(folder)
        _refuse_large(name, folder)

    entry = published(f"layer-{name}-{digest(*contents, PYTHON_VERSION, _RECIPE)}", build)
    os.utime(entry)
    _forget_old_variants(name)
    return entry


def _product_files(*, with_keys: bool) -> Iterator[Path]:
    for path in sorted(PRODUCT.rglob("*")):
        inside = path.relative_to(PRODUCT)
        hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
        if not path.is_file() or hidden or path.suffix == ".pyc":
            continue
        if with_keys or not inside.is_relative_to(_KEYS_PACKAGE):
            yield path


def _forget_old_variants(name: str) -> None:
    """The product changes often, so its layers that nobody asked for in a week leave the cache."""
    oldest = time.time() - _KEPT_VARIANT_DAYS * 86_400
    for entry in cache_root().glob(f"layer-{name}-{'[0-9a-f]' * 16}"):
        if entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the named layers (all without a name) and print their sizes and folders."""
    parser = argparse.ArgumentParser(prog="python -m layers.build", description="build layers")
    parser.add_argument("name", nargs="*", choices=[*LAYERS, []])
    names = parser.parse_args(arguments).name or LAYERS
    try:
        for name in names:
            path = layer_path(name)
            print(f"{name:10} {size_bytes(path) / 1_000_000:7.1f} MB  {path}")
    except (SetupFailed, NotLocked, LayerTooLarge) as problem:
        print(f"layers failed: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
