"""Writes infra/openapi.json from the route table: `python -m infra.openapi`."""

import json
import sys
from pathlib import Path

from orion.runtime.api_schema.openapi import document
from orion.runtime.routes import ROUTES

WRITTEN = Path(__file__).with_name("openapi.json")


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(ROUTES), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    WRITTEN.write_text(text(), encoding="utf-8")
    print(WRITTEN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
