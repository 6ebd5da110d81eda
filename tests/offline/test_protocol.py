"""The protocol server over real HTTP: what PouchDB, CouchDB and our replicator ask of a database."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any
from urllib.parse import quote

import pytest

from engines.latent_cache import DocumentStore
from tests.offline.conftest import Client

FIRST = "1-731bef401491606a3b246ed178e697c1"  # of {"n": 1}, as CouchDB computes it


def test_the_server_says_who_it_is(client: Client, store: DocumentStore) -> None:
    status, headers, body = client.raw("GET", "/")
    welcome = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (welcome["couchdb"], welcome["uuid"]) == ("Welcome", store.uuid)
    assert "server" not in headers
    assert json.loads(client.raw("GET", "/_session")[2])["userCtx"]["name"] == "dino"
    assert json.loads(client.raw("GET", "/_all_dbs")[2]) == ["cache"]


def test_the_database_is_there_and_there_is_no_other(client: Client) -> None:
    info = client.ok("GET", "")
    assert (info["db_name"], info["doc_count"], info["update_seq"]) == ("cache", 0, 0)
    assert client.raw("HEAD", "/cache")[::2] == (200, b"")
    status, refused = client.ask("PUT", "")
    assert (status, refused["error"]) == (412, "file_exists")
    assert client.ok("POST", "/_ensure_full_commit")["ok"]
    for method, path, expected in (
        ("GET", "/other", 404),
        ("PUT", "/other", 403),
        ("DELETE", "/cache", 405),
        ("GET", "/_users", 404),
        ("GET", "/cache/_design/x/_view/y", 404),
        ("POST", "/cache/_find", 404),
        ("GET", "/_utils", 404),
    ):
        assert client.raw(method, path)[0] == expected, path


# --- documents ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "doc_id", ["a", "a/b", "läuft?&=#", "%2F", "_design/x", "a b+c", "船", "..", "a:b@c"]
)
def test_a_document_of_any_id_is_made_read_changed_and_deleted(client: Client, doc_id: str) -> None:
    """Slashes and all, and with the revisions that CouchDB would give it."""
    path = f"/{'_design/x' if doc_id == '_design/x' else quote(doc_id, safe='')}"
    made = client.ok("PUT", path, {"n": 1})
    assert made == {"ok": True, "id": doc_id, "rev": FIRST}
    assert client.ok("GET", path) == {"_id": doc_id, "_rev": FIRST, "n": 1}
    changed = client.ok("PUT", path, {"_rev": FIRST, "n": 2})["rev"]
    assert client.store.get(doc_id)["n"] == 2
    gone = client.ok("DELETE", f"{path}?rev={changed}")["rev"]
    assert gone.startswith("3-")
    assert client.ask("GET", path) == (404, {"error": "not_found", "reason": "deleted"})


def test_numbers_and_texts_come_back_as_they_were(client: Client) -> None:
    body = b'{"i":123456789012345678901234567890,"f":1.0,"z":-0.0,"e":1e300,"t":"\\u0000\\u2028"}'
    assert client.raw("PUT", "/cache/a", body)[0] == 201
    found = json.loads(client.raw("GET", "/cache/a")[2])
    assert found["i"] == 123456789012345678901234567890
    assert [str(found[name]) for name in "fze"] == ["1.0", "-0.0", "1e+300"]
    assert found["t"] == "\0\u2028"


def test_an_edit_of_what_is_no_leaf_is_a_conflict(client: Client) -> None:
    client.ok("PUT", "/a", {"n": 1})
    conflict = (409, {"error": "conflict", "reason": "Document update conflict."})
    assert client.ask("PUT", "/a", {"n": 2}) == conflict
    assert client.ask("PUT", "/a", {"_rev": FIRST.replace("7", "8"), "n": 2}) == conflict
    assert client.ask("DELETE", "/a") == conflict
    assert client.ask("DELETE", "/none") == (404, {"error": "not_found", "reason": "missing"})
    assert client.raw("PUT", "/cache/a", b'{"n":2}', If_Match=f'"{FIRST}"')[0] == 201


def test_a_read_tells_what_it_is_asked_to(client: Client, store: DocumentStore) -> None:
    client.ok("PUT", "/a", {"n": 1})
    graft(client, "a", "2-bb", ["bb", FIRST[2:]], n=2)
    graft(client, "a", "2-aa", ["aa", FIRST[2:]], n=3)
    found = client.ok("GET", "/a?conflicts=true&revs=true")
    assert (found["n"], found["_conflicts"]) == (2, ["2-aa"])
    assert found["_revisions"] == {"start": 2, "ids": ["bb", FIRST[2:]]}
    assert client.ok("GET", "/a?rev=2-aa")["n"] == 3
    both = client.ok("GET", "/a?open_revs=all&revs=true")
    assert [one["ok"]["_rev"] for one in both] == ["2-bb", "2-aa"]
    some = client.ok("GET", f"/a?open_revs={quote(json.dumps(['2-aa', '9-zz']))}")
    assert some == [{"ok": {"_id": "a", "_rev": "2-aa", "n": 3}}, {"missing": "9-zz"}]
    led_to = client.ok("GET", f"/a?open_revs={quote(json.dumps([FIRST]))}&latest=true")
    assert [one["ok"]["_rev"] for one in led_to] == ["2-bb", "2-aa"]
    headers = client.raw("HEAD", "/cache/a")[1]
    assert headers["etag"] == '"2-bb"'


def graft(client: Client, doc_id: str, rev: str, ids: list[str], **body: Any) -> None:
    start = int(rev.partition("-")[0])
    doc = {"_id": doc_id, "_rev": rev, "_revisions": {"start": start, "ids": ids}, **body}
    assert client.ok("POST", "/_bulk_docs", {"docs": [doc], "new_edits": False}) == []


def test_many_at_once_each_by_itself(client: Client) -> None:
    """What cannot be written says why; the others are."""
    docs = [{"_id": "a", "n": 1}, {"n": 2}, {"_id": "_x"}, {"_id": "b", "_rev": "1-aa"}, {"_id": 5}]
    told = client.ok("POST", "/_bulk_docs", {"docs": docs})
    assert [one.get("ok") or one["error"] for one in told] == [
        True,
        True,
        "bad_request",
        "conflict",
        "bad_request",
    ]
    assert client.ok("POST", "", {"n": 3})["ok"]
    assert client.ok("GET", "")["doc_count"] == 3


def test_a_peer_learns_what_is_missing_and_gets_it(client: Client) -> None:
    client.ok("PUT", "/a", {"n": 1})
    asked = {"a": [FIRST, "2-cc"], "b": ["1-dd"]}
    diff = client.ok("POST", "/_revs_diff", asked)
    assert diff["a"] == {"missing": ["2-cc"], "possible_ancestors": [FIRST]}
    assert diff["b"]["missing"] == ["1-dd"]
    assert client.ok("POST", "/_missing_revs", asked)["missing_revs"]["b"] == ["1-dd"]
    wanted = {"docs": [{"id": "a", "rev": FIRST}, {"id": "a", "rev": "9-x"}, {"id": "b"}]}
    got = client.ok("POST", "/_bulk_get?revs=true", wanted)["results"]
    assert got[0]["docs"][0]["ok"]["_revisions"] == {"start": 1, "ids": [FIRST[2:]]}
    assert got[1]["docs"][0]["error"]["rev"] == "9-x"
    assert got[2]["docs"][0]["error"]["reason"] == "missing"
    plain = client.ok("POST", "/_bulk_get", {"docs": [{"id": "a"}]})["results"][0]["docs"][0]["ok"]
    assert plain == {"_id": "a", "_rev": FIRST, "n": 1}


def test_documents_by_id_in_ranges_and_by_name(client: Client) -> None:
    for name in "abcd":
        client.ok("PUT", f"/{name}", {"n": 1})
    client.ok("DELETE", f"/d?rev={FIRST}")

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.ok("GET", f"/_all_docs?{query}")["rows"]]

    assert ids("") == ["a", "b", "c"]
    assert ids("descending=true&limit=2") == ["c", "b"]
    assert ids("skip=1&limit=1") == ["b"]
    assert ids('startkey="b"') == ["b", "c"]
    assert ids('endkey="b"&inclusive_end=false') == ["a"]
    assert ids('startkey="a"&endkey="c"&inclusive_end=false&limit=2') == ["a", "b"]
    assert ids('key="b"') == ["b"]
    assert ids('key="d"') == []
    rows = client.ok("POST", "/_all_docs?include_docs=true", {"keys": ["a", "d", "x"]})["rows"]
    assert rows[0]["doc"]["n"] == 1
    assert (rows[1]["value"]["deleted"], rows[1]["doc"]) == (True, None)
    assert rows[2] == {"key": "x", "error": "not_found"}
    assert (
        client.ok("GET", "/_all_docs?include_docs=true&conflicts=true")["rows"][0]["doc"]["n"] == 1
    )


# --- attachments --------------------------------------------------------------------------------


def test_attachments_go_in_and_out_as_they_are(client: Client) -> None:
    data = bytes(range(256)) * 40
    status, _, body = client.raw("PUT", "/cache/a/p%2Fq.bin", data, Content_Type="image/x")
    rev = json.loads(body)["rev"]
    assert status == 201
    status, headers, found = client.raw("GET", "/cache/a/p/q.bin")
    assert (status, headers["content-type"], found) == (200, "image/x", data)
    assert headers["x-content-type-options"] == "nosniff"  # it is somebody else's
    assert headers["content-security-policy"] == "sandbox"
    stub = client.ok("GET", "/a")["_attachments"]["p/q.bin"]
    assert (stub["stub"], stub["length"]) == (True, len(data))
    whole = client.ok("GET", "/a?attachments=true")["_attachments"]["p/q.bin"]
    assert base64.b64decode(whole["data"]) == data
    again = json.loads(
        client.raw("PUT", f"/cache/a/r?rev={rev}", b"", Content_Type="text/plain")[2]
    )
    assert sorted(client.ok("GET", "/a")["_attachments"]) == ["p/q.bin", "r"]
    client.ok("DELETE", f"/a/p/q.bin?rev={again['rev']}")
    assert sorted(client.ok("GET", "/a")["_attachments"]) == ["r"]
    assert client.ask("GET", "/a/p/q.bin")[0] == 404


def test_many_documents_come_piece_by_piece(client: Client) -> None:
    """One that cannot be is its own matter; a design document may be named either way."""
    asked = [
        {"id": f"d{n}", "rev": client.ok("PUT", f"/d{n}", {"n": n})["rev"]} for n in range(120)
    ]
    asked.insert(60, {"id": "d1", "rev": "no revision"})
    rows = client.ok("POST", "/_bulk_get?revs=true&attachments=true", {"docs": asked})["results"]
    assert [row["id"] for row in rows] == [one["id"] for one in asked]
    assert rows[60]["docs"][0]["error"]["error"] == "bad_request"
    assert sum("ok" in row["docs"][0] for row in rows) == 120
    assert client.ok("POST", "/_bulk_get", {"docs": []}) == {"results": []}
    client.ok("PUT", "/_design%2Ffoo", {"n": 1})
    assert client.ok("GET", "/_design/foo")["n"] == 1


def test_a_stub_without_its_bytes_is_refused(client: Client) -> None:
    stub = {"x": {"stub": True, "digest": "md5-AAAAAAAAAAAAAAAAAAAAAA==", "revpos": 1}}
    status, told = client.ask("PUT", "/a", {"_attachments": stub})
    assert (status, told["error"]) == (412, "missing_stub")


# --- local documents ----------------------------------------------------------------------------


def test_local_documents_keep_a_peers_place(client: Client) -> None:
    assert client.ask("GET", "/_local/x")[0] == 404
    assert client.ok("PUT", "/_local/x", {"last_seq": 5})["rev"] == "0-1"
    found = client.ok("GET", "/_local/x")
    assert found == {"_id": "_local/x", "_rev": "0-1", "last_seq": 5}
    assert client.ok("PUT", "/_local/x", {**found, "last_seq": 6})["rev"] == "0-2"
    assert client.ask("PUT", "/_local/x", found)[0] == 409
    assert client.ok("PUT", "/_local/_x%3D%3D", {})["id"] == "_local/_x=="  # as some of PouchDB's
    client.ok("DELETE", "/_local/x?rev=0-2")
    assert client.ask("GET", "/_local/x")[0] == 404
    assert client.ok("GET", "/_changes")["results"] == []


# --- changes ------------------------------------------------------------------------------------


def test_changes_since_a_place_and_of_some_documents(client: Client) -> None:
    for name in "abc":
        client.ok("PUT", f"/{name}", {"n": 1})
    graft(client, "a", "1-zz", ["zz"], n=9)
    all_of_them = client.ok("GET", "/_changes?style=all_docs")
    assert [row["id"] for row in all_of_them["results"]] == ["b", "c", "a"]
    assert {one["rev"] for one in all_of_them["results"][2]["changes"]} == {FIRST, "1-zz"}
    first = client.ok("GET", "/_changes?limit=1&include_docs=true")
    assert first["results"][0]["doc"]["_id"] == "b"
    assert (first["last_seq"], first["pending"] > 0) == (first["results"][0]["seq"], True)
    told = client.ok("GET", "/_changes?include_docs=true&conflicts=true&attachments=true")
    assert told["results"][2]["doc"]["_conflicts"] == [FIRST]
    rest = client.ok("GET", f"/_changes?since={first['last_seq']}")
    assert [row["id"] for row in rest["results"]] == ["c", "a"]
    assert client.ok("GET", "/_changes?since=now")["results"] == []
    some = client.ok("POST", "/_changes?filter=_doc_ids", {"doc_ids": ["c"]})
    assert [row["id"] for row in some["results"]] == ["c"]
    newest = client.ok("GET", "/_changes?descending=true&limit=1")
    assert [row["id"] for row in newest["results"]] == ["a"]


def test_changes_that_a_selector_takes(client: Client) -> None:
    """Also a page of them: it ends where the last of so many that fit is, or at the end."""
    for n in range(9):
        client.ok("PUT", f"/d{n}", {"n": n % 3})
    wanted = {"selector": {"n": 1}}
    path = "/_changes?filter=_selector&style=all_docs"
    found = client.ok("POST", path, wanted)
    assert [row["id"] for row in found["results"]] == ["d1", "d4", "d7"]
    assert found["last_seq"] == 9
    page = client.ok("POST", f"{path}&limit=2", wanted)
    assert ([row["id"] for row in page["results"]], page["last_seq"]) == (["d1", "d4"], 5)
    rest = client.ok("POST", f"{path}&limit=2&since=5&feed=longpoll", wanted)
    assert [row["id"] for row in rest["results"]] == ["d7"]
    assert client.ask("POST", path, {"selector": 1})[0] == 400


def test_a_live_feed_goes_on_with_what_is_written_anywhere(
    client: Client, store: DocumentStore
) -> None:
    """By heartbeats it shows that it lives; its end is its reader's, or the server's."""
    connection = client.connect()
    path = "/cache/_changes?feed=continuous&heartbeat=50&style=all_docs"
    connection.request("GET", path, headers=client.headers)
    answer = connection.getresponse()
    assert answer.readline() == b"\n"
    client.ok("PUT", "/a", {"n": 1})
    assert next_row(answer)["id"] == "a"
    with DocumentStore(store.path) as other:  # as another process would
        other.put({"_id": "b"})
    assert next_row(answer)["id"] == "b"
    client.server.end()
    rest = answer.read().split()
    assert json.loads(rest[-1])["last_seq"] == 2
    connection.close()


def next_row(answer: Any) -> Any:
    return next(json.loads(line) for line in iter(answer.readline, b"") if line != b"\n")


def test_a_long_poll_waits_for_the_first_change_or_its_time(client: Client) -> None:
    waited = client.ok("GET", "/_changes?feed=longpoll&timeout=20")
    assert waited == {"results": [], "last_seq": 0, "pending": 0}
    found: list[Any] = []
    query = "/_changes?feed=longpoll&heartbeat=100&filter=_doc_ids"
    reader = threading.Thread(
        target=lambda: found.append(client.ok("POST", query, {"doc_ids": ["b"]}))
    )
    reader.start()
    client.ok("PUT", "/a", {"n": 1})  # which is not waited for
    client.ok("PUT", "/b", {"n": 1})
    reader.join(30)
    assert [row["id"] for row in found[0]["results"]] == ["b"]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/a", b"{", 400),
        ("PUT", "/a", b"[1]", 400),
        ("PUT", "/a", b'{"n":NaN}', 400),
        ("PUT", "/a", b'{"n":1e400}', 400),
        ("PUT", "/_local/a", b'{"n":-1E+999}', 400),
        ("PUT", "/a", b'{"n":"\xff"}', 400),
        ("PUT", "/a", b'{"n":"\\ud800"}', 400),
        ("PUT", "/a", b'{"n":' + b"[" * 100_000, 400),
        ("PUT", "/a", b'{"_id":"b"}', 400),
        ("PUT", "/a", b'{"_reserved":1}', 400),
        ("PUT", "/a", b'{"_rev":5}', 400),
        ("PUT", "/a", b'{"_rev":"x"}', 400),
        ("PUT", "/%FF", b"{}", 400),
        ("PUT", "/_bulk_docs", b"{}", 405),
        ("POST", "/_bulk_docs", b"{}", 400),
        ("POST", "/_bulk_docs", b'{"docs":[1]}', 400),
        ("POST", "/_bulk_docs", b'{"docs":[{"_id":"a"}],"new_edits":false}', 400),
        ("POST", "/_bulk_get", b'{"docs":[{"id":1}]}', 400),
        ("POST", "/_revs_diff", b'{"a":"1-x"}', 400),
        ("POST", "/_revs_diff", b'{"a":["x"]}', 400),
        ("GET", "/_changes?since=abc", None, 400),
        ("GET", "/_changes?limit=-1", None, 400),
        ("GET", "/_changes?limit=%C2%B2", None, 400),
        ("GET", "/_changes?feed=longpoll&since=x", None, 400),
        ("GET", "/_changes?filter=my/filter", None, 404),
        ("GET", "/_all_docs?startkey=b", None, 400),
        ("GET", "/_all_docs?include_docs=maybe", None, 400),
        ("GET", "/a?open_revs=[1]", None, 400),
        ("GET", "/a?rev=1", None, 400),
    ],
)  # fmt: skip
def test_what_is_no_request_is_told_so_in_couchdbs_form(
    client: Client, method: str, path: str, body: bytes | None, status: int
) -> None:
    got, _, content = client.raw(method, f"/cache{path}", body)
    assert (got, sorted(json.loads(content))) == (status, ["error", "reason"])
    assert client.ok("GET", "")["update_seq"] == 0


def test_a_read_only_server_is_read_and_nothing_else(
    read_only: Client, store: DocumentStore
) -> None:
    rev = store.put({"_id": "a", "n": 1})
    assert read_only.ok("GET", "/a")["n"] == 1
    assert read_only.ok("POST", "/_revs_diff", {"a": [rev]}) == {}
    assert read_only.ok("POST", "/_bulk_get", {"docs": [{"id": "a"}]})["results"]
    for method, path, body in (
        ("PUT", "/b", {}),
        ("POST", "", {}),
        ("POST", "/_bulk_docs", {"docs": []}),
        ("DELETE", f"/a?rev={rev}", None),
        ("PUT", f"/a/x?rev={rev}", {}),
        ("PUT", "/_local/x", {}),
    ):
        status, told = read_only.ask(method, path, body)
        assert (status, told["error"]) == (403, "forbidden")
    assert store.info()["update_seq"] == 1


def test_a_page_may_ask_where_its_origin_was_named(read_only: Client) -> None:
    """The browser asks first, without a password; another page is told nothing."""
    ask = {
        "Access_Control_Request_Method": "PUT",
        "Access_Control_Request_Headers": "authorization",
    }
    local = {**ask, "Access_Control_Request_Private_Network": "true"}
    status, headers, _ = read_only.raw("OPTIONS", "/cache", Origin="https://app.site", **local)
    assert headers["access-control-allow-private-network"] == "true"
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.site")
    status, headers, _ = read_only.raw("GET", "/cache", Origin="https://app.site")
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.site")
    for method in ("OPTIONS", "GET"):
        status, headers, _ = read_only.raw(method, "/cache", Origin="https://evil.site", **ask)
        assert status in {400, 403}
        assert "access-control-allow-origin" not in headers


def test_the_password_and_the_name_are_asked_for_over_the_wire(client: Client) -> None:
    connection = client.connect()
    for headers, status in (({}, 401), ({**client.headers, "Host": "evil.site"}, 421)):
        connection.request("GET", "/cache", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()
