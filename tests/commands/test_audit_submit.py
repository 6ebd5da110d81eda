"""`audit witness submit`: our checkpoints before a witness, honest or not."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import SignerKey
from tests.audit.office import ZONE, told
from tests.audit.served import Served
from tests.conftest import Dino


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("witness"))
    yield served
    served.end()


def test_submitting_gets_our_checkpoints_cosigned(
    audit: Dino, site: Workspace, served: Served
) -> None:
    """At once, again, and after more was written, whatever the witness saw last."""
    Workspace(served.root).witness.trust(site.origin(), Auditing(site).verifier())
    refused = audit("witness", "submit", served.url, "--json", code=1)
    assert refused.error["code"] == "not_signed"  # nobody relies on that witness here yet
    site.checkpoints.trust_witness(served.key.as_witness())
    for lines in (5, 6):
        assert audit("witness", "submit", served.url, "zones", "--json").json == {
            "cosigned": ["zones"]
        }
        found = audit("verify", "zones", "--json").json["journals"][0]
        assert (found["ok"], found["anchored_lines"]) == (True, lines)
        site.zones.record_event(ZONE, kind="enter")
        Auditing(site).checkpoint(["zones"])


def test_a_witness_that_does_not_know_us_refuses(
    audit: Dino, site: Workspace, served: Served
) -> None:
    outcome = audit("witness", "submit", served.url, code=1)
    assert "no key is trusted for" in told(outcome)
    assert "(404)" in outcome.err


def test_a_witness_that_is_not_there_is_exit_4(audit: Dino, site: Workspace) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        error = audit("witness", "submit", url, "--json", code=4).error
    assert error["code"] == "witness_unavailable"


@pytest.fixture
def fake() -> Iterator[Callable[..., str]]:
    """A witness that answers what it is told to, in turn and then from the beginning."""
    servers = []

    def start(*answers: tuple[int, str, bytes]) -> str:
        turns = itertools.cycle(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, body = next(turns)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


SIZE = "text/x.tlog.size"
ODD: dict[str, tuple[list[tuple[int, str, bytes]], set[int]]] = {
    "garbage": ([(200, "text/plain", b"hello")], {1, 2}),
    "nothing": ([(200, "text/plain", b"")], {1, 2}),
    "binary": ([(200, "text/plain", bytes(range(256)))], {1, 2, 4}),
    "an-error": ([(500, "text/plain", b"\x1b[31mbroken\n")], {1}),
    "the-same-size": ([(409, SIZE, b"0\n")], {1}),
    "a-larger-size": ([(409, SIZE, b"999\n")], {1, 2}),
    "a-size-that-is-none": ([(409, SIZE, b"many\n")], {1}),
    "a-size-in-superscript": ([(409, SIZE, "²\n".encode())], {1}),
    "a-size-without-end": ([(409, SIZE, b"1" * 5000)], {1, 2}),
    "a-signature-of-somebody": (
        [(200, "text/plain", SignerKey.new("w.example").cosign("x", 1).line().encode())],
        {1},
    ),
}


@pytest.mark.parametrize(("answers", "codes"), ODD.values(), ids=ODD)
def test_whatever_a_witness_answers_is_told_and_not_believed(
    inside: Dino,
    site: Workspace,
    fake: Callable[..., str],
    *,
    answers: list[tuple[int, str, bytes]],
    codes: set[int],
) -> None:
    """With a sentence, and nothing is added to the note."""
    before = Auditing(site).note_file("zones").read_text()
    outcome = inside("witness", "submit", fake(*answers), code=None)
    assert outcome.code in codes
    told(outcome)
    assert "\x1b" not in outcome.err
    assert Auditing(site).note_file("zones").read_text() == before


def test_a_witness_that_answers_in_circles_is_given_up(
    audit: Dino, site: Workspace, fake: Callable[..., str]
) -> None:
    """Each time with another size as the last one it saw."""
    url = fake((409, SIZE, b"1\n"), (409, SIZE, b"2\n"))
    told(audit("witness", "submit", url, code=1, timeout_s=30))
