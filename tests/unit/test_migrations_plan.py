"""Which migrations are due, and which folders and records are refused by name."""

import pytest

from orion.arch.model import (
    Applied,
    Layout,
    MalformedMigration,
    Migration,
    MigrationChanged,
    MigrationGap,
    MigrationHalfDone,
    MigrationMissing,
    due,
    read_folder,
    read_layout,
    read_migration,
)

FILES = {"0001_one.sql": b"CREATE TABLE a (x INT);\n", "0002_two.sql": b"DROP TABLE a;\n"}


def applied(migration: Migration, *, finished: bool = True) -> Applied:
    return Applied(migration.name, migration.sha256, len(migration.statements), finished)


def test_what_is_not_recorded_is_due_in_order() -> None:
    one, two = read_folder("user", FILES)
    assert due((one, two), []) == (one, two)
    assert due((one, two), [applied(one)]) == (two,)
    assert due((one, two), [applied(two), applied(one)]) == ()


def test_a_new_file_for_every_schema_may_follow_files_of_the_module() -> None:
    one, two = read_folder("every", FILES)
    own = read_folder("user", FILES)
    done = [applied(one), *(applied(migration) for migration in own)]
    assert due((one, two, *own), done) == (two,)


def test_an_applied_file_with_other_bytes_is_refused_by_name() -> None:
    one, _ = read_folder("user", FILES)
    changed = read_folder("user", FILES | {"0001_one.sql": b"CREATE TABLE b (x INT);\n"})
    with pytest.raises(MigrationChanged, match=r"user/0001_one.sql"):
        due(changed, [applied(one)])


def test_an_applied_file_that_was_renamed_is_refused_by_name() -> None:
    one, _ = read_folder("user", FILES)
    renamed = read_folder("user", {"0001_other.sql": FILES["0001_one.sql"]})
    with pytest.raises(MigrationMissing, match=r"user/0001_one.sql"):
        due(renamed, [applied(one)])


def test_a_file_that_was_passed_over_is_refused_by_name() -> None:
    one, two = read_folder("user", FILES)
    with pytest.raises(MigrationGap, match=r"user/0001_one.sql"):
        due((one, two), [applied(two)])


def test_a_half_done_file_is_named_with_what_to_do() -> None:
    one, two = read_folder("user", FILES)
    with pytest.raises(MigrationHalfDone, match=r"user/0001_one.sql.*1 of its statements.*by hand"):
        due((one, two), [applied(one, finished=False)])


@pytest.mark.parametrize(
    "names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]]
)
def test_numbers_with_a_gap_or_a_repetition_are_refused(names: list[str]) -> None:
    with pytest.raises(MigrationGap):
        read_folder("user", dict.fromkeys(names, b"SELECT 1;"))


@pytest.mark.parametrize(
    "file, content",
    [
        ("1_a.sql", b"SELECT 1;"),
        ("0001_A.sql", b"SELECT 1;"),
        ("0001_a.sql.orig", b"SELECT 1;"),
        ("0001_a.sql", b"SELECT 1"),
        ("0001_a.sql", b"-- nothing\n"),
        ("0001_a.sql", b"\xff;"),
        ("0001_a.sql", b"CREATE TABLE a (x INT); -- done;\n"),
        ("0001_a.sql", b";" + b" " * 1_000_001),
    ],
)
def test_a_file_that_cannot_be_read_surely_is_refused(file: str, content: bytes) -> None:
    with pytest.raises(MalformedMigration, match=r"0001_|1_a"):
        read_migration("user", file, content)


def test_statements_end_at_the_end_of_a_line_and_comments_go() -> None:
    content = (
        b"-- why;\nCREATE TABLE a (\n  x INT, -- the number\n  y CHAR(1) DEFAULT ';' NULL);\n"
        b"SELECT 1;\n"
    )
    assert read_migration("user", "0001_a.sql", content).statements == (
        "CREATE TABLE a (\n  x INT, -- the number\n  y CHAR(1) DEFAULT ';' NULL)",
        "SELECT 1",
    )


SCHEMA = b'[[schema]]\nname = "orion_user"\nmodule = "user"\nprincipal = "user"\n'


@pytest.mark.parametrize(
    "content",
    [
        b"[[schema",
        b"schema = 1",
        b'[[schema]]\nname = "x`; DROP"\nmodule = "user"\nprincipal = "user"\n',
        SCHEMA + SCHEMA,
        SCHEMA + b'[[grant]]\nprincipal="user"\ntable="mysql.user"\nrights=["SELECT"]\nwhy="x"\n',
        SCHEMA + b'[[grant]]\nprincipal="user"\ntable="orion_user.a"\nrights=["DROP"]\nwhy="x"\n',
        SCHEMA + b'[[grant]]\nprincipal="user"\ntable="orion_user.a"\nrights=[]\nwhy="x"\n',
        SCHEMA + b'[[grant]]\nprincipal="user"\ntable="orion_user.a"\nrights=["SELECT"]\nwhy=" "\n',
    ],
)
def test_a_layout_that_says_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedMigration, match=r"grants.toml"):
        read_layout(content)


def test_a_reader_is_a_principal_that_may_only_select() -> None:
    def layout(rights: bytes) -> Layout:
        return read_layout(
            b"""[[schema]]
name = "orion_a"
module = "a"
principal = "owner"
[[reader]]
principal = "looks"
[[grant]]
principal = "looks"
table = "orion_a.t"
why = "it shows it"
rights = """
            + rights
        )

    assert layout(b'["SELECT"]').mysql_principals == ("looks", "owner")
    for rights in (b'["SELECT", "INSERT"]', b'["UPDATE"]'):
        with pytest.raises(MalformedMigration):
            layout(rights)
