"""What each function and layer is made of on disk: one handler file a function, one folder or archive a layer."""

import shutil
from pathlib import Path

from aws_cdk import IgnoreMode
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.cloud.function_table import FUNCTIONS, FunctionRow, Layer
from infra.cloud.names import ROOT, logical
from layers.build import layer_path

STAGING = ROOT / "var" / "assets"
MIGRATIONS = ROOT / "infra" / "migrations"


class HandlerMissing(Exception):
    """A row of the function table without its file: AWS would deploy it and fail at the first call."""


def handler_file(row: FunctionRow) -> Path:
    """The one file of a function's code. Raises HandlerMissing when it is not there."""
    path = ROOT / "functions" / row.module / f"{row.file}.py"
    if not path.is_file():
        raise HandlerMissing(
            f"{path.relative_to(ROOT)} does not exist; the function table names it"
        )
    return path


def missing_handlers() -> list[str]:
    """Files that the function table names and that do not exist, relative to the clone."""
    found = []
    for row in FUNCTIONS:
        try:
            handler_file(row)
        except HandlerMissing:
            found.append(f"functions/{row.module}/{row.file}.py")
    return found


def code_asset(scope: Construct, row: FunctionRow) -> assets.Asset:
    """The function's code as an asset that holds its file only (and the migrations, where the row says so)."""
    path = handler_file(row)
    if row.carries_migrations:
        folder = _with_migrations(path)
        return assets.Asset(scope, logical(row.module, row.file, "code"), path=str(folder))
    return assets.Asset(
        scope,
        logical(row.module, row.file, "code"),
        path=str(path.parent),
        exclude=["*", f"!/{path.name}"],
        ignore_mode=IgnoreMode.GIT,
    )


def layer_asset(scope: Construct, layer: Layer) -> assets.Asset:
    return assets.Asset(scope, logical(layer, "layer", "content"), path=str(layer_path(layer)))


def _with_migrations(handler: Path) -> Path:
    folder = STAGING / f"{handler.parent.name}-{handler.stem}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(handler, folder / handler.name)
    shutil.copytree(
        MIGRATIONS,
        folder / "migrations",
        ignore=shutil.ignore_patterns("__pycache__", "*.py"),
    )
    return folder
