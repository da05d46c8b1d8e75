"""The product's route table as the API stacks see it."""

from dataclasses import dataclass

from orion.runtime import routes as product


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One method of one path; `function` is `module/file`."""

    method: str
    path: str
    function: str
    public: bool


def api_routes() -> tuple[ApiRoute, ...]:
    """All routes, ordered by path and method."""
    rows = (
        ApiRoute(row.method, row.path, row.function, row.scope is None) for row in product.ROUTES
    )
    return tuple(sorted(rows, key=lambda row: (row.path, row.method)))
