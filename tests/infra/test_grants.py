"""Every right across schemas stands in the contract, and nothing else does."""

import re
from pathlib import Path

from orion.arch.folder import read_sources
from orion.arch.model import read_folder, read_layout

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "infra" / "migrations"

CROSS_SCHEMA = {
    ("billing", "orion_moneyin.wallet", ("SELECT", "UPDATE")),
    ("billing", "orion_moneyin.address", ("SELECT",)),
    ("billing", "orion_ledger.account", ("SELECT",)),
    ("billing", "orion_ledger.shard_map", ("SELECT",)),
    ("billing", "orion_user.merchant", ("SELECT",)),
    ("moneyin", "orion_ledger.shard_map", ("SELECT",)),
    ("statements", "orion_ledger.account", ("SELECT",)),
    ("statements", "orion_ledger.bucket", ("SELECT",)),
    ("statements", "orion_ledger.bucket_move", ("SELECT",)),
    ("statements", "orion_ledger.shard", ("SELECT",)),
    ("statements", "orion_ledger.statement_cursor", ("SELECT",)),
    ("statements", "orion_ledger.entry", ("SELECT",)),
    ("statements", "orion_ledger.transfer", ("SELECT",)),
    ("log", "orion_ledger.transfer", ("SELECT",)),
    ("log", "orion_ledger.account", ("SELECT",)),
    ("log", "orion_ledger.shard", ("SELECT",)),
    ("log", "orion_ledger.leg", ("SELECT",)),
    ("log", "orion_ledger.bucket", ("SELECT",)),
    ("log", "orion_ledger.statement_account", ("SELECT",)),
    ("log", "orion_ledger.entry", ("SELECT",)),
    ("log", "orion_ledger.statement_cursor", ("SELECT",)),
    ("log", "orion_ledger.asset_freeze", ("SELECT", "INSERT")),
    ("log", "orion_moneyin.deposit", ("SELECT",)),
    ("log", "orion_moneyin.deposit_history", ("SELECT",)),
    ("log", "orion_moneyin.wallet", ("SELECT",)),
    ("log", "orion_moneyin.address", ("SELECT",)),
    ("log", "orion_moneyin.chain_head", ("SELECT",)),
    ("log", "orion_moneyin.chain_cursor", ("SELECT",)),
    ("log", "orion_moneyin.chain_block", ("SELECT",)),
    ("log", "orion_billing.invoice_fee", ("SELECT",)),
    ("log", "orion_billing.fee_assessment", ("SELECT",)),
    ("log", "orion_billing.fee_fact", ("SELECT",)),
    ("log", "orion_billing.fee_plan", ("SELECT",)),
    ("log", "orion_billing.fee_assignment", ("SELECT",)),
    ("log", "orion_billing.referral", ("SELECT",)),
    ("log", "orion_billing.invoice", ("SELECT",)),
    ("log", "orion_billing.payment_option", ("SELECT",)),
}


def test_the_rights_across_schemas_are_the_listed_ones() -> None:
    layout = read_layout((MIGRATIONS / "grants.toml").read_bytes())
    found = {(g.principal, f"{g.schema}.{g.table}", g.rights) for g in layout.grants}
    assert found == CROSS_SCHEMA


def test_every_right_across_schemas_is_told_in_the_contracts() -> None:
    text = (ROOT / "docs" / "contracts.md").read_text()
    section = text[text.index("## Tables that another module may touch") :]
    for principal, table, _ in CROSS_SCHEMA:
        assert re.search(rf"^\| {principal} \|.*`{re.escape(table)}`", section, re.MULTILINE)


def test_every_schema_has_one_owner_named_after_its_module() -> None:
    layout = read_layout((MIGRATIONS / "grants.toml").read_bytes())
    for schema in layout.schemas:
        assert schema.name == f"orion_{schema.module}"
        assert schema.principal == schema.module.replace("_", "-")


def test_every_folder_of_migrations_reads_and_belongs_to_a_schema() -> None:
    sources = read_sources(MIGRATIONS)
    modules = {schema.module for schema in read_layout(sources.layout).schemas}
    assert set(sources.mysql) <= modules | {"every"}
    for folder, files in sources.mysql.items():
        read_folder(folder, files)
    read_folder("postgres", sources.postgres)
