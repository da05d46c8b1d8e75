"""Tells an auditor the public descriptions of custody accounts, page by page."""

from collections.abc import Mapping

from orion.runtime.kms_custody_sets import export_custody


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return export_custody(event)
