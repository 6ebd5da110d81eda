"""`audit sql`: questions to the journals, answered by DuckDB (the extra `dino-os[sql]`)."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import DinoError, InvalidInput
from dino_os.workspace import Workspace


class NotInstalled(DinoError):
    """Something optional is needed and not there."""

    exit_code = 4


@click.command(
    epilog=options.example(
        'audit sql "SELECT event_type, count(*) FROM zones GROUP BY 1 ORDER BY 2 DESC"',
        'audit sql --json "SELECT zone, max(value) FROM zones GROUP BY zone"',
    )
)
@click.argument("query")
@options.as_json
@pass_workspace
def sql(workspace: Workspace, query: str, as_json: bool) -> None:
    """
    Ask all journals at once: each is a table of its own name.

    Columns are the members of its events; `recorded_at` is the time as a timestamp (UTC).  Only
    reading is allowed.
    """
    try:
        import duckdb  # noqa: PLC0415  heavy, and optional
    except ImportError:
        raise NotInstalled(
            "DuckDB is not installed", hint="pip install 'dino-os[sql]', then again"
        ) from None

    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as database:
        try:
            _attach(database, workspace)
            columns, rows = _ask(database, query)
        except duckdb.Error as error:
            raise InvalidInput(f"SQL: {str(error).splitlines()[0]}") from None
    if as_json:
        plain = [[_as_json(value) for value in row] for row in rows]
        output.emit_json({"columns": columns, "rows": plain})
    else:
        output.table(columns, [["" if v is None else v for v in row] for row in rows])


def _ask(database: Any, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    import duckdb  # noqa: PLC0415

    statements = database.extract_statements(query)
    if not statements or any(s.type != duckdb.StatementType.SELECT for s in statements):
        raise InvalidInput("only SELECT is allowed: journals are not written this way")
    result = database.execute(query)
    return [column[0] for column in result.description or ()], result.fetchall()


def _as_json(value: Any) -> Any:
    """*value* in JSON's types: times by RFC 3339, what is no number as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


def _attach(database: Any, workspace: Workspace) -> None:
    from engines.journal import files_of  # noqa: PLC0415

    allowed = []
    for path in workspace.journals():
        files = [str(file) for file in files_of(path)]
        allowed += files
        listed = ", ".join(_quoted(file) for file in files)
        if not files:  # its head alone is there
            continue
        database.execute(
            f"CREATE VIEW {_name(path)} AS SELECT *, "  # noqa: S608
            "make_timestamp(CAST(timestamp * 1000000 AS BIGINT)) AS recorded_at "
            f"FROM read_json([{listed}], format='newline_delimited', union_by_name=true, "
            "sample_size=-1, ignore_errors=true, maximum_object_size=268435456)"
        )
    database.execute(f"SET allowed_paths=[{', '.join(map(_quoted, allowed))}]")
    database.execute("SET enable_external_access=false")
    database.execute("SET lock_configuration=true")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(path: Path) -> str:
    return '"' + path.stem.replace('"', '""') + '"'
