"""Amounts: whole numbers of an asset's smallest unit, never apart from their asset."""

from orion.money.amount import (
    MAX_UNITS,
    Amount,
    AmountNotPositive,
    AmountTooLarge,
    AssetMismatch,
    InexactAmount,
    MalformedAmount,
)
from orion.money.asset import ASSETS, Asset, UnknownAsset, asset

__all__ = [
    "ASSETS",
    "MAX_UNITS",
    "Amount",
    "AmountNotPositive",
    "AmountTooLarge",
    "Asset",
    "AssetMismatch",
    "InexactAmount",
    "MalformedAmount",
    "UnknownAsset",
    "asset",
]
