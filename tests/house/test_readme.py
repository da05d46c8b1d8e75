"""What the README says exists, exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_place_that_the_readme_names_is_there() -> None:
    places = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(places) > 8
    missing = [place for place in places if not (ROOT / place).exists()]
    assert missing == []


def test_every_command_that_the_readme_names_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "test", "help", "up", "down"} <= named
    assert named <= targets


def test_make_help_lists_the_promised_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
    assert {"setup", "demo", "up", "down", "test", "lint", "bench", "synth"} <= targets


def test_documents_point_only_at_files_that_exist() -> None:
    missing = [
        f"{page.name}: {place}"
        for page in sorted((ROOT / "docs").glob("*.md"))
        for place in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / place).exists()
    ]
    assert missing == []
