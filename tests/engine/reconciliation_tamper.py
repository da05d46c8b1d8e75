"""Changes of the three books behind their writers' backs, put back afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orion.log.gzip_lines import packed, unpacked
from tests.engine.reconciliation_scene import Scene

# The second record of shard 0 is the waiting merchant's credit, its only entry.
NUMBER = 2


@contextmanager
def mysql(
    scene: Scene, table: str, where: str, *statements: str, schema: str = "orion_ledger"
) -> Iterator[None]:
    """Rows of the ledger changed by its administrator, and put back."""
    cursor = scene.cursor
    cursor.execute(f"CREATE TEMPORARY TABLE orion_ledger.kept AS SELECT * FROM {schema}.{table}")
    try:
        for statement in statements:
            cursor.execute(statement.format(table=f"{schema}.{table}", where=where))
        yield
    finally:
        cursor.execute(f"DELETE FROM {schema}.{table}")
        cursor.execute(f"INSERT INTO {schema}.{table} SELECT * FROM orion_ledger.kept")
        cursor.execute("DROP TABLE orion_ledger.kept")


@contextmanager
def external(scene: Scene, table: str, where: str, *statements: str) -> Iterator[None]:
    """Rows of the external book changed by a superuser, who can switch its triggers off."""
    name = f"external_book.{table}"
    ask = scene.external.ask
    ask(f"ALTER TABLE {name} DISABLE TRIGGER USER")
    ask(f"CREATE TABLE external_book.kept AS SELECT * FROM {name}")
    try:
        for statement in statements:
            ask(statement.format(table=name, where=where))
        yield
    finally:
        ask(f"DELETE FROM {name}")
        ask(f"INSERT INTO {name} SELECT * FROM external_book.kept")
        ask("DROP TABLE external_book.kept")
        ask(f"ALTER TABLE {name} ENABLE TRIGGER USER")


def segment_keys(scene: Scene, shard: int = 0) -> list[str]:
    rows = scene.s3.list_objects_v2(Bucket=scene.bucket, Prefix=f"segments/{shard:05d}/")
    return [row["Key"] for row in rows["Contents"]]


@contextmanager
def segments(scene: Scene, change: Callable[[dict[str, bytes]], None]) -> Iterator[None]:
    """Objects of shard 0 changed by somebody who can also remove what stood there before."""
    kept = {}
    for key in segment_keys(scene):
        answer = scene.s3.get_object(Bucket=scene.bucket, Key=key)
        kept[key] = (answer["Body"].read(), answer["Metadata"])
    changed = {key: body for key, (body, _) in kept.items()}
    change(changed)
    metadata = {key: told for key, (_, told) in kept.items()}
    replace(scene, changed, metadata)
    try:
        yield
    finally:
        replace(scene, {key: body for key, (body, _) in kept.items()}, metadata)


def replace(scene: Scene, bodies: dict[str, bytes], metadata: dict[str, dict[str, str]]) -> None:
    listed = scene.s3.list_object_versions(Bucket=scene.bucket, Prefix="segments/00000/")
    for row in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        scene.s3.delete_object(Bucket=scene.bucket, Key=row["Key"], VersionId=row["VersionId"])
    for key, body in bodies.items():
        scene.s3.put_object(Bucket=scene.bucket, Key=key, Body=body, Metadata=metadata.get(key, {}))


def line_at(lines: list[bytes], number: int = NUMBER) -> int:
    return next(at for at, line in enumerate(lines) if b'"number":%d,' % number in line)


def edited(edit: Callable[[list[bytes]], None]) -> Callable[[dict[str, bytes]], None]:
    """A change of the lines of the segment that holds the entry."""

    def change(bodies: dict[str, bytes]) -> None:
        for key, body in bodies.items():
            lines = unpacked(body, limit_bytes=10_000_000)
            if any(b'"number":%d,' % NUMBER in line for line in lines[1:-1]):
                edit(lines)
                bodies[key] = packed(lines)
                return

    return change
