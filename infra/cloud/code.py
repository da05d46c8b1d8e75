"""What each function and layer is made of on disk: one handler file a function, one folder a
layer.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import IgnoreMode
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.cloud.function_row import FunctionRow, Layer
from infra.cloud.handler_files import handler_file
from infra.cloud.names import ROOT, logical
from layers.build import layer_path


def code_asset(scope: Construct, row: FunctionRow) -> assets.Asset:
    """The function's code as an asset that holds its file only (and the folders that its row
    names).
    """
    path = handler_file(row)
    if row.carries:
        # The asset is copied into the assembly when it is made, so its source may go at once; a
        # folder of its own lets two synthesize side by side.
        with TemporaryDirectory() as scratch:
            folder = _with_folders(path, row.carries, Path(scratch) / "asset")
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


def _with_folders(handler: Path, carried: Sequence[str], folder: Path) -> Path:
    """Each of `carried`, a path in the repository, lies under its own last name beside the
    handler.
    """
    folder.mkdir()
    shutil.copyfile(handler, folder / handler.name)
    for path in carried:
        shutil.copytree(
            ROOT / path,
            folder / Path(path).name,
            ignore=shutil.ignore_patterns("__pycache__", "*.py"),
        )
    return folder
