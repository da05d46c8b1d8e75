"""Synthesis with a memory: the app runs again only when something that it reads has changed.

python -m infra.cloud.synth [--stage dev] [--output var/cdk.out] [--unsigned-custodians]
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.cloud.custody import UNSIGNED_CONTEXT
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.names import ROOT
from infra.setup.tools import tool
from layers.build import LAYERS, layer_path

DIGEST_FILE = "inputs.sha256"
_TREES = ("infra/cloud", "functions", "statemachines", "layers")
_FILES = (
    "cdk.json",
    "infra/app.py",
    "infra/__init__.py",
    "infra/custody.toml",
    "locks/host.txt",
    "pyproject.toml",
)
_TIMEOUT_S = 300


class SynthFailed(Exception):
    """The app did not synthesize; the message is what it said last."""


def inputs_digest(stage: str, *, unsigned_custodians: bool = False) -> str:
    """Hash over everything that an assembly of `stage` is made from."""
    digest = hashlib.sha256("\n".join((stage, *_flags(unsigned_custodians))).encode())
    for path in _inputs():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    for layer in LAYERS:
        # A layer's folder is named by its content.
        digest.update(f"\0{layer_path(layer).name}".encode())
    return digest.hexdigest()


def _flags(unsigned_custodians: bool) -> tuple[str, ...]:
    return ("--context", f"{UNSIGNED_CONTEXT}=yes") if unsigned_custodians else ()


def synthesize(stage: str, output: Path, *, unsigned_custodians: bool = False) -> Path:
    """The assembly of `stage` in `output`, new when its inputs changed. Raises SynthFailed.

    Only with `unsigned_custodians` do the custodians' templates deploy without code signing.
    """
    wanted = inputs_digest(stage, unsigned_custodians=unsigned_custodians)
    mark = output / DIGEST_FILE
    if mark.is_file() and mark.read_text().strip() == wanted:
        return output
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    arguments = [str(tool("cdk")), "synth", "--all", "--quiet", "--output", str(output)]
    context = ["--context", f"stage={stage}", *_flags(unsigned_custodians)]
    run = subprocess.run(
        [*arguments, *context, "--app", f"{sys.executable} -m infra.app"],
        cwd=ROOT,
        env=cdk_environment(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if run.returncode != 0:
        raise SynthFailed("\n".join((run.stdout + run.stderr).strip().splitlines()[-25:]))
    mark.write_text(wanted + "\n")
    return output


def assembly_digest(assembly: Path) -> str:
    """What `synthesize` wrote beside the templates; empty for an assembly made otherwise."""
    mark = assembly / DIGEST_FILE
    return mark.read_text().strip() if mark.is_file() else ""


def template_path(assembly: Path, room: str) -> Path:
    """The template of stack `room` (`keys`, `serverless`)."""
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    name: str = manifest["artifacts"][room]["properties"]["templateFile"]
    return assembly / name


def cdk_environment() -> dict[str, str]:
    """This process's environment with the installed Node first, telemetry and notices off."""
    return {
        **os.environ,
        "PATH": f"{tool('node').parent}:{os.environ.get('PATH', '')}",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "CI": "true",
    }


def _inputs() -> Iterator[Path]:
    for name in _FILES:
        if (ROOT / name).is_file():
            yield ROOT / name
    carried = {path for row in FUNCTIONS for path in row.carries}
    for tree in (*_TREES, *sorted(carried)):
        for path in sorted((ROOT / tree).rglob("*")):
            # The product itself is in its layer's name.
            inside = path.relative_to(ROOT / tree).parts
            if path.is_file() and "__pycache__" not in inside and inside[0] != "orion":
                yield path


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesize and say where."""
    parser = argparse.ArgumentParser(prog="python -m infra.cloud.synth")
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "cdk.out")
    parser.add_argument("--unsigned-custodians", action="store_true")
    chosen = parser.parse_args(arguments)
    output = chosen.output.absolute()
    try:
        assembly = synthesize(chosen.stage, output, unsigned_custodians=chosen.unsigned_custodians)
    except SynthFailed as problem:
        print(f"synth failed: {problem}", file=sys.stderr)
        return 1
    for template in sorted(assembly.glob("*.template.json")):
        print(template)
    return 0


if __name__ == "__main__":
    sys.exit(main())
