"""The one clear line with which a start ends when an engine is missing or broken."""

from pathlib import Path

_TELLING = (
    "error",
    "fatal",
    "exception",
    "panic",
    "refused",
    "denied",
    "in use",
    "failed",
    "cannot",
)
_TAIL_BYTES = 32_768
_LINE_CHARACTERS = 240


class StackFailure(Exception):
    """The stack cannot do what was asked; the message is one line that says how to mend it."""


class EngineFailure(StackFailure):
    """Engine or program `name` is missing, broken or not ready in time."""

    def __init__(self, name: str, what: str, *, mend: str, log: Path | None = None) -> None:
        self.name = name
        self.what = what
        self.mend = mend
        self.log = log
        line = telling_line(log) if log is not None else ""
        parts = [f"{name}: {what}"]
        if line:
            parts.append(f'it said "{line}"')
        if log is not None:
            parts.append(f"log: {log}")
        parts.append(f"to mend: {mend}")
        super().__init__("; ".join(parts))


def telling_line(log: Path) -> str:
    """The last line of `log` that names an error, else the last line, shortened; empty without a
    log.
    """
    try:
        size_bytes = log.stat().st_size
        with log.open("rb") as file:
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # A stack trace's frames say less than the line above them.
    lines = [line for line in lines if not line.startswith(("at ", "--- "))]
    telling = [line for line in lines if any(word in line.lower() for word in _TELLING)]
    chosen = telling[-1] if telling else (lines[-1] if lines else "")
    return chosen[:_LINE_CHARACTERS]
