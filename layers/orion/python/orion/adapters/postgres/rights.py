"""What a role of PostgreSQL may do in one database: read from the catalog, given and taken.

A role starts with nothing but what PUBLIC has, which the first migrations take away. Beside the
rights that are asked for it gets CONNECT on the database and USAGE on their schemas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from orion.arch.model import Grant

Ask = Callable[..., list[Any]]

# Rights of a role by name, those on single columns included; memberships give it others' rights.
_HELD = """
WITH me AS (SELECT oid FROM pg_roles WHERE rolname = %s)
SELECT 'DATABASE', '', datname, '', a.privilege_type
  FROM pg_database, aclexplode(datacl) a, me
  WHERE datname = current_database() AND a.grantee = me.oid
UNION SELECT 'SCHEMA', '', nspname, '', a.privilege_type
  FROM pg_namespace, aclexplode(nspacl) a, me WHERE a.grantee = me.oid
UNION SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, relname, '',
  a.privilege_type
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(relacl) a, me
  WHERE a.grantee = me.oid
UNION SELECT 'TABLE', n.nspname, relname, attname, a.privilege_type
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(attacl) a, me
  WHERE a.grantee = me.oid
UNION SELECT 'ROLE', '', r.rolname, '', 'MEMBER'
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid, me WHERE m.member = me.oid
"""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """`object` is DATABASE, SCHEMA, TABLE, SEQUENCE or ROLE."""

    object: str
    schema: str
    name: str
    column: str
    privilege: str

    def __str__(self) -> str:
        column = f" ({self.column})" if self.column else ""
        place = ".".join(part for part in (self.schema, self.name) if part)
        return f"{self.privilege}{column} on {self.object.lower()} {place}".rstrip()


def wanted(database: str, grants: Sequence[Grant]) -> set[Right]:
    """The rights that `grants` ask for, with the ways to them."""
    found = {
        Right("TABLE", grant.schema, grant.table, "", right)
        for grant in grants
        for right in grant.rights
    }
    found |= {Right("SCHEMA", "", grant.schema, "", "USAGE") for grant in grants}
    if grants:
        found.add(Right("DATABASE", "", database, "", "CONNECT"))
    return found


def held(ask: Ask, username: str) -> set[Right]:
    """What the role has now, by name, in the current database."""
    return {Right(*row) for row in ask(_HELD, (username,))}


def grant(right: Right, username: str) -> sql.Composable:
    """The statement that gives it."""
    return sql.SQL("GRANT {} TO {}").format(_what(right), sql.Identifier(username))


def revoke(right: Right, username: str) -> sql.Composable:
    """The statement that takes it, and what the role gave on by it."""
    return sql.SQL("REVOKE {} FROM {} CASCADE").format(_what(right), sql.Identifier(username))


def _what(right: Right) -> sql.Composable:
    if right.object == "ROLE":
        return sql.Identifier(right.name)
    column = sql.SQL(" ({})").format(sql.Identifier(right.column)) if right.column else sql.SQL("")
    parts = (right.schema, right.name) if right.schema else (right.name,)
    return sql.SQL("{}{} ON {} {}").format(
        sql.SQL(right.privilege), column, sql.SQL(right.object), sql.Identifier(*parts)
    )
