"""`audit witness serve`: the protocol of C2SP tlog-witness, over real HTTP."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from dino_os.workspace import Workspace
from engines.audit import SignerKey, VerifierKey, parse_signatures
from engines.journal import verify
from tests.audit.served import Served
from tests.audit.test_witness import FALSE, LOG, TRUE

_numbers = itertools.count()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests: each asks about a log of its own."""
    served = Served(tmp_path_factory.mktemp("witness"))
    yield served
    code, said = served.end()
    assert code == 130
    assert said.startswith('{"code": "interrupted"')  # and nothing before it
    assert verify(served.root / "memory" / "witness.jsonl").ok


@pytest.fixture
def origin() -> str:
    return f"dino.local/a/log-{next(_numbers)}"


def request(old: object, proof: list[bytes], note: object) -> bytes:
    from engines.audit.note import encoded

    hashes = "".join(f"{encoded(step)}\n" for step in proof)
    return f"old {old}\n{hashes}\n{note}".encode()


def test_it_says_where_and_with_which_key(served: Served) -> None:
    assert list(served.said) == ["url", "verifier_key"]
    assert VerifierKey.parse(served.said["verifier_key"]) == served.key.as_witness()
    assert served.url.startswith("http://127.0.0.1:")


def test_200_with_signature_lines_for_what_extends(served: Served, origin: str) -> None:
    """Durable before the answer; the same again is signed again."""
    for old, new in ((0, 5), (5, 5), (5, 9)):
        note = TRUE.note(new, origin)
        status, _, body = served.ask(request(old, TRUE.proof(old, new), note))
        assert status == 200
        (made,) = parse_signatures(body)
        assert served.key.as_witness().made(made, note.text)
        assert Workspace(served.root).witness.size_of(origin) == new


def test_409_with_the_size_that_was_seen(served: Served, origin: str) -> None:
    served.ask(request(0, [], TRUE.note(5, origin)))
    found = served.ask(request(0, [], TRUE.note(9, origin)))
    assert found == (409, "text/x.tlog.size", "5\n")


def test_409_for_another_tree_of_that_size(served: Served, origin: str) -> None:
    """Which is kept as evidence."""
    served.ask(request(0, [], TRUE.note(5, origin)))
    status, kind, _ = served.ask(request(5, [], FALSE.note(5, origin)))
    assert (status, kind) == (409, "text/plain")
    assert [f.submitted for f in Workspace(served.root).witness.forks if f.origin == origin] == [
        str(FALSE.note(5, origin))
    ]


def test_422_where_the_proof_does_not_hold(served: Served, origin: str) -> None:
    served.ask(request(0, [], TRUE.note(5, origin)))
    for proof in ([], FALSE.proof(5, 9), TRUE.proof(5, 9)[1:]):
        assert served.ask(request(5, proof, TRUE.note(9, origin)))[0] == 422
    assert served.ask(request(5, TRUE.proof(5, 9), TRUE.note(9, origin)))[0] == 200


def test_403_where_the_log_did_not_sign(served: Served, origin: str) -> None:
    for signer in (SignerKey.new("dino.local/x"), SignerKey.new(LOG.name)):
        assert served.ask(request(0, [], TRUE.note(5, origin, signer)))[0] == 403


def test_404_for_a_log_it_was_not_told_of_and_for_any_other_call(
    served: Served, origin: str
) -> None:
    assert served.ask(request(0, [], TRUE.note(5, "dino.local/b/zones")))[0] == 404
    assert served.ask(request(0, [], TRUE.note(5, origin)), path="/")[0] == 404
    assert served.ask(request(0, [], TRUE.note(5, origin)), path="/site/add-checkpoint")[0] == 200


BAD = {
    "empty": b"",
    "not-utf-8": b"old 0\n\n\xff\xfe",
    "a-bare-note": str(TRUE.note(5)).encode(),
    "no-note": b"old 0\n\n",
    "no-empty-line": b"old 0\n",
    "old-below-zero": request(-1, [], TRUE.note(5)),
    "old-with-zeros": request("05", [], TRUE.note(5)),
    "old-in-other-digits": request("\u0663", [], TRUE.note(5)),
    "old-larger-than-new": request(6, [], TRUE.note(5)),
    "old-absurd": request("9" * 5000, [], TRUE.note(5)),
    "garbage": bytes(range(256)),
    "not-a-checkpoint": request(0, [], "hello\n\n— a AAAAAAAA\n"),
    "line-ends-of-windows": request(0, [], TRUE.note(5)).replace(b"\n", b"\r\n"),
    "a-signature-cut": request(0, [], TRUE.note(5))[:-9],
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_400_for_anything_else(served: Served, body: bytes) -> None:
    status, kind, text = served.ask(body)
    assert (status, kind) == (400, "text/plain")
    assert text.endswith("\n")


SIZES = [b"", b"-1", b"x", b"1e3", b"\xb2", b"999999999999", b"9" * 5000, b"1048577"]


@pytest.mark.parametrize("size", SIZES, ids=range(len(SIZES)))
def test_400_where_the_size_of_the_request_is_absurd(served: Served, size: bytes) -> None:
    """Whatever bytes stand there, there is an answer."""
    host, _, port = urlsplit(served.url).netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: " + size + b"\r\n\r\n"
        )
        answer = connection.makefile("rb").readline()
    assert answer.split()[1:2] == [b"400"]


def test_many_clients_at_once_are_answered_one_by_one(served: Served, origin: str) -> None:
    """Of two histories that are sent at the same time one is signed."""
    answers: list[int] = []
    bodies = [request(0, [], h.note(5, origin)) for h in (TRUE, FALSE) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda b=body: answers.append(served.ask(b)[0])) for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first is signed; all others speak of size 0, which is no longer the last.
    assert sorted(answers) == [200, *[409] * 7]
    assert Workspace(served.root).witness.size_of(origin) == 5
