"""Compile the token of the local Ethereum chain: `python -m infra.local.contracts.compile` writes
its artifact.

The settings leave out the metadata hash, so that the same source gives the same bytes on every
machine.
"""

import json
import subprocess
from pathlib import Path

from infra.local.processes import clean_environment
from infra.setup.tools import tool

SOURCE = Path(__file__).parent / "TetherLike.sol"
ARTIFACT = SOURCE.with_suffix(".json")
_CONTRACT = "TetherLike"
_TIMEOUT_S = 120


class NotCompiled(Exception):
    """The compiler refused the source; the message is its own."""


def compile_token() -> dict[str, object]:
    """ABI and creation bytecode ("0x…") of the token. Raises NotCompiled."""
    request = {
        "language": "Solidity",
        "sources": {SOURCE.name: {"content": SOURCE.read_text()}},
        "settings": {
            "evmVersion": "paris",
            "optimizer": {"enabled": True, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    done = subprocess.run(
        [str(tool("solc")), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env=clean_environment({}),
    )
    # The JavaScript compiler may write a greeting before its answer.
    begin = done.stdout.find("{")
    if begin < 0:
        raise NotCompiled(done.stderr or done.stdout)
    answer = json.loads(done.stdout[begin:])
    errors = [
        error["formattedMessage"]
        for error in answer.get("errors", ())
        if error["severity"] == "error"
    ]
    if errors:
        raise NotCompiled(errors[0])
    contract = answer["contracts"][SOURCE.name][_CONTRACT]
    return {"abi": contract["abi"], "bytecode": "0x" + contract["evm"]["bytecode"]["object"]}


def main() -> None:
    """Write the artifact beside its source."""
    ARTIFACT.write_text(json.dumps(compile_token(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
