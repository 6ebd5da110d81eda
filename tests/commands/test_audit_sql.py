"""`audit sql`: questions to the journals, which can neither write nor reach anything else."""

from __future__ import annotations

import http.server
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from engines.journal import Journal
from tests.audit.office import ZONE, told, with_zones
from tests.conftest import Dino
from tests.desk import contents

pytest.importorskip("duckdb")


@pytest.fixture
def site(workspace: Path) -> Workspace:
    """Zones over two files, the first packed, and states."""
    site = with_zones(workspace)
    journal = site.journal("zones")
    with journal.locked():
        journal.rotate()
    journal.compress_sealed()
    with_zones(workspace)
    site.states.capture({"state": "morale", "intensity": 0.5})
    return site


def test_journals_are_tables_through_all_their_files(audit: Dino, site: Workspace) -> None:
    query = "SELECT event_type, count(*) AS n FROM zones GROUP BY 1 ORDER BY 2 DESC, 1"
    assert audit("sql", "--json", query).json == {
        "columns": ["event_type", "n"],
        "rows": [
            ["zone_event", 6],
            ["journal_created", 1],
            ["segment_started", 1],
            ["zone_registered", 1],
        ],
    }
    assert audit("sql", query).out.splitlines()[:2] == [
        "event_type       n",
        "zone_event       6",
    ]


def test_a_whole_journal_can_be_asked_for(inside: Dino, site: Workspace) -> None:
    """The simplest question there is."""
    found = inside("sql", "--json", "SELECT * FROM zones ORDER BY seq").json
    assert {"seq", "event_type", "timestamp", "recorded_at", "zone", "by"} <= set(found["columns"])
    assert [row[found["columns"].index("seq")] for row in found["rows"]] == [*range(9)]


@pytest.mark.parametrize("journal", ["zones", "states"])
def test_a_column_has_the_time_of_every_event(inside: Dino, site: Workspace, journal: str) -> None:
    """In UTC, whatever other times a payload has."""
    site.zones.record_event(ZONE, kind="exit", timestamp=datetime(2020, 1, 1, tzinfo=UTC))
    query = f"SELECT count(*) FROM {journal} WHERE abs(epoch(recorded_at) - timestamp) < 1e-5"
    ((there,),) = inside("sql", "--json", f"SELECT count(*) FROM {journal}").json["rows"]
    assert inside("sql", "--json", query).json["rows"] == [[there]]


def test_times_compare_and_are_told_by_rfc_3339(inside: Dino, site: Workspace) -> None:
    query = "SELECT recorded_at FROM zones WHERE recorded_at < now() ORDER BY recorded_at"
    rows = inside("sql", "--json", query).json["rows"]
    assert len(rows) == 9
    assert all(text.endswith("Z") and datetime.fromisoformat(text).tzinfo for (text,) in rows)


def test_several_journals_are_asked_together(inside: Dino, site: Workspace) -> None:
    query = "SELECT (SELECT count(*) FROM zones), (SELECT count(*) FROM states) AS s, NULL AS e"
    assert inside("sql", "--json", query).json["rows"] == [[9, 3, None]]


def test_a_member_that_comes_late_is_a_column_all_the_same(audit: Dino, workspace: Path) -> None:
    """However many lines lie before it."""
    (workspace / "memory").mkdir()
    journal = Journal(workspace / "memory" / "runs.jsonl")
    journal.append_many([("ran", {"n": number}) for number in range(21_000)])
    journal.append("failed", {"reason": "pump is gone"})
    rows = audit("sql", "--json", "SELECT reason FROM runs WHERE reason IS NOT NULL").json["rows"]
    assert rows == [["pump is gone"]]


VALUES = {
    "nan": ("SELECT 'nan'::DOUBLE", [["nan"], [None], ["NaN"]]),
    "infinity": ("SELECT 'inf'::DOUBLE", [["inf"], [None], ["Infinity"]]),
    "a-date": ("SELECT DATE '2027-01-15'", [["2027-01-15"]]),
    "bytes": ("SELECT 'ab'::BLOB", [["b'ab'"], ["ab"]]),
    "a-list": ("SELECT [1, 2]", [[[1, 2]]]),
    "a-struct": ("SELECT {'a': 1}", [[{"a": 1}]]),
    "a-huge-number": ("SELECT 170141183460469231731687303715884105727", [[2**127 - 1]]),
}


@pytest.mark.parametrize(("query", "allowed"), VALUES.values(), ids=VALUES)
def test_every_value_has_a_form_in_json(
    inside: Dino, workspace: Path, query: str, allowed: list[object]
) -> None:
    """One that a strict reader takes."""
    assert inside("sql", "--json", query).json["rows"][0] in allowed


@pytest.fixture
def secret(workspace: Path) -> Path:
    file = workspace / "secret.csv"
    file.write_text("canary\n4711\n")
    return file


REFUSED = [
    "INSERT INTO zones VALUES (1)",
    "DELETE FROM zones",
    "DROP VIEW zones",
    "CREATE TABLE t AS SELECT 1",
    "COPY (SELECT 1) TO 'out.csv'",
    "COPY zones TO 'secret.csv'",
    "EXPORT DATABASE 'out'",
    "ATTACH 'out.db'",
    "ATTACH '{secret}' AS s",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access=true",
    "PRAGMA enable_external_access=true",
    "RESET enable_external_access",
    "SELECT 1; DROP VIEW zones",
    "SELECT 1; COPY (SELECT 1) TO 'out.csv'",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('secret.csv')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_text('memory/../secret.csv')",
    "SELECT * FROM read_text('memory/workspace-id')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_csv('{url}/secret.csv')",
    "SELECT * FROM '{url}/secret.parquet'",
    "SELECT * FROM query('COPY (SELECT 1) TO ''out.csv''')",
    "SELECT * FROM nothing",
    "SELECT",
    "not SQL",
]


class _Called(http.server.BaseHTTPRequestHandler):
    calls: list[str] = []  # noqa: RUF012  one server, one list

    def do_GET(self) -> None:
        self.calls.append(self.path)
        self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def url() -> str:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Called)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("query", REFUSED)
def test_nothing_is_written_read_or_reached_but_the_journals(
    inside: Dino, site: Workspace, secret: Path, url: str, query: str
) -> None:
    before = contents(site.root)
    outcome = inside("sql", query.format(secret=secret, url=url), code=2)
    told(outcome)
    assert "4711" not in outcome.err
    assert contents(site.root) == before
    assert _Called.calls == []


@pytest.mark.parametrize("query", ["", "  ", ";", "/* nothing */"])
def test_no_question_is_told(inside: Dino, site: Workspace, query: str) -> None:
    told(inside("sql", query, code=2))


def test_without_journals_there_is_arithmetic(audit: Dino) -> None:
    assert audit("sql", "--json", "SELECT 6 * 7 AS n").json == {"columns": ["n"], "rows": [[42]]}


def test_a_journal_whose_file_is_gone_does_not_keep_from_the_others(
    audit: Dino, site: Workspace
) -> None:
    """`audit verify` says that it is gone; here it is a table nobody finds."""
    (site.memory / "states.jsonl").unlink()
    assert audit("sql", "--json", "SELECT count(*) FROM zones").json["rows"] == [[9]]
    told(audit("sql", "SELECT count(*) FROM states", code=2))


@pytest.mark.parametrize("folder", ["it's", "site [1]", "a*b", "ü b"])
def test_a_workspace_may_have_any_name(inside: Dino, workspace: Path, folder: str) -> None:
    root = workspace / folder
    root.mkdir()
    with_zones(root)
    assert inside("--home", root, "sql", "--json", "SELECT count(*) FROM zones").json["rows"] == [
        [5]
    ]


def test_without_duckdb_it_is_said_what_is_missing(audit: Dino, workspace: Path) -> None:
    (workspace / "without").mkdir()
    (workspace / "without" / "duckdb.py").write_text("raise ImportError('not here')\n")
    from tests.conftest import REPOSITORY

    path = f"{workspace / 'without'}:{REPOSITORY}"
    error = audit("sql", "SELECT 1", "--json", code=4, env={"PYTHONPATH": path}).error
    assert (error["code"], "dino-os[sql]" in error["hint"]) == ("not_installed", True)
