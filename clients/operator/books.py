"""`orion books`: check the three books, show a statement, prove a transfer, verify a proof."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from clients.operator import printing
from clients.operator.failure import Exit, OperatorFailure, refused
from orion.ledger.proof import MAX_PROOF_BYTES, MalformedProof, ProofRefused, read_proof, verify
from orion.records import canonical_json

if TYPE_CHECKING:  # Verifying needs no AWS client, so it loads none.
    from clients.operator.cloud import Cloud, Ended, Execution

# The machine's own time, and a little for its last step to be seen.
WAIT_MAX_S = 6 * 3_600 + 60

POLL_S = 2.0

Say = Callable[[str], None]


def progress(text: str) -> None:
    """A line for who watches; answers go to stdout alone."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def check(cloud: "Cloud", *, everything: bool, say: Say = progress) -> tuple[str, Exit]:
    """Compare the three books now, and wait. Raises OperatorFailure."""
    execution = cloud.start_check("all" if everything else "recent")
    say(f"started {execution.arn}")
    ended = _waited(cloud, execution, say)
    report = cloud.report(execution, ended)
    text = "" if report is None else printing.report_head(report[1])
    if report is not None:
        text += f"\nreport: {report[0]} (and .html beside it)\n"
    if ended.status == "SUCCEEDED":
        return text + "The three books are equal.\n", Exit.DONE
    if ended.error == "BooksDiffer":
        mend = "see docs/operations/books.md, what to do on each kind of difference"
        return text + f"The books differ. {ended.cause}\nNext: {mend}\n", Exit.FOUND
    why = f"{ended.status.lower()} {ended.error} {ended.cause}".strip()
    return text + f"Not everything was checked: {why}\n", Exit.FAILED


def _waited(cloud: "Cloud", execution: "Execution", say: Say) -> "Ended":
    began, told = time.monotonic(), ""
    while time.monotonic() - began < WAIT_MAX_S:
        ended = cloud.ended(execution)
        if ended is not None:
            return ended
        step = cloud.step(execution)
        if step and step != told:
            say(f"{time.monotonic() - began:6.0f} s  {step}")
            told = step
        time.sleep(POLL_S)
    raise OperatorFailure(
        "the check did not end in its time", f"look at the execution {execution.arn}"
    )


def statement(
    cloud: "Cloud", account: str, *, at: str | None, limit: int, cursor: str | None
) -> tuple[str, Exit]:
    """A page of an account's statement. Raises OperatorFailure."""
    question: dict[str, object] = {"account": account, "limit": limit}
    question |= {"at": at} if at is not None else {}
    question |= {"cursor": cursor} if cursor is not None else {}
    answer = cloud.invoke("billing-statement", question)
    if answer.get("outcome") == "refused":
        raise refused(answer)
    return printing.statement(answer), Exit.DONE


def prove(
    cloud: "Cloud", transfer_id: str, out: Path | None, say: Say = progress
) -> tuple[str, Exit]:
    """The proof of a transfer, verified here before it is given. Raises OperatorFailure."""
    answer = cloud.invoke("log-prove", {"transfer_id": transfer_id})
    if answer.get("outcome") != "proven":
        raise refused(answer)
    text = canonical_json(cast(Mapping[str, object], answer["proof"]))
    try:
        found = verify(read_proof(text))
    except (MalformedProof, ProofRefused) as exc:
        raise OperatorFailure(
            f"the stage gave a proof that proves nothing: {exc}",
            "do not use it; run: orion books check",
            Exit.FOUND,
        ) from exc
    if found.entry.id.hex() != transfer_id:
        raise OperatorFailure(
            f"the stage proved another transfer, {found.entry.id.hex()}",
            "do not use it; run: orion books check",
            Exit.FOUND,
        )
    if out is None:
        return text.decode() + "\n", Exit.DONE
    try:
        with out.open("xb") as file:
            file.write(text + b"\n")
    except FileExistsError as exc:
        raise OperatorFailure(f"{out} exists already", "name a new file") from exc
    except OSError as exc:
        raise OperatorFailure(f"{out} cannot be written: {exc.strerror}", "name another") from exc
    say(f"signed by {found.key}")
    return f"{out}\n", Exit.DONE


def verify_file(file: Path, key: Path | None) -> tuple[str, Exit]:
    """What the proof in `file` proves; no network is used. Raises OperatorFailure."""
    public_key = None if key is None else _public_key(_read(key, 65_536))
    try:
        return printing.proven(verify(read_proof(_read(file, MAX_PROOF_BYTES + 1)), public_key)), (
            Exit.DONE
        )
    except MalformedProof as exc:
        raise OperatorFailure(
            f"not a proof: {exc.detail}", "ask for it again: orion books prove", Exit.FOUND
        ) from exc
    except ProofRefused as exc:
        raise OperatorFailure(
            f"the proof proves nothing: {exc.fields['reason']}: {exc.detail}",
            "do not rely on it; ask for it again: orion books prove",
            Exit.FOUND,
        ) from exc


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as exc:
        raise OperatorFailure(f"{file} cannot be read: {exc.strerror}", "check its name") from exc


def _public_key(pem: bytes) -> bytes:
    try:
        key = load_pem_public_key(pem)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise OperatorFailure(
            "the key is no public key in PEM", "see docs/operations/books.md, the published key"
        ) from exc
