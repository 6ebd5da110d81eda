"""
A workspace as a witness, and before one: the messages, by hand or over HTTP.

    old <size>                           POST …/add-checkpoint
    <consistency proof, base64 lines>
                                         200  signature lines
    <checkpoint>                         409  the size that was seen last (text/x.tlog.size)

Source: C2SP tlog-witness (c2sp.org/tlog-witness).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from dino_os.auditing import AskPassphrase, Auditing
from dino_os.errors import DinoError, InvalidInput
from dino_os.workspace import Workspace
from engines.audit import (
    ForkFound,
    Note,
    NoteInvalid,
    NotSigned,
    SignerKey,
    StaleSize,
    UnknownLog,
    VerifierKey,
    parse_hashes,
    parse_note,
    read_verifier,
)
from engines.merkle import ProofInvalid

_LARGEST_REQUEST = 1 << 20
_PATIENCE_S = 30
_size_type = "text/x.tlog.size"
_size = re.compile(r"[0-9]{1,19}").fullmatch
_old_line = re.compile(r"old (0|[1-9][0-9]{0,18})").fullmatch


class WitnessUnavailable(DinoError):
    """The witness cannot be reached, or does not speak the protocol."""

    exit_code = 4


class WitnessRefused(DinoError):
    """The witness did not sign; the text says why."""


class Witnessing:
    """This workspace's part as a witness."""

    def __init__(self, workspace: Workspace, ask: AskPassphrase | None = None) -> None:
        self._workspace = workspace
        self._ask = ask
        self._signer: SignerKey | None = None

    def verifier(self) -> VerifierKey:
        """The key that checks our cosignatures."""
        return read_verifier(self._workspace.signing_key).as_witness()

    def cosign(self, message: str) -> str:
        """
        Return signature lines for a request as above, or for a bare note.

        Raises:
            DinoError: As `Witness.cosign`; NoteInvalid: The message is neither.
        """
        old_size, proof, note = parse_request(message)
        signature = self._workspace.witness.cosign(
            note, self.unlock(), old_size=old_size or 0, proof=proof
        )
        return signature.line()

    def unlock(self) -> SignerKey:
        """
        Open the signing key, once.

        Raises:
            NotFound: There is none.
            WrongPassphrase: It does not open.
        """
        if self._signer is None:
            self._signer = Auditing(self._workspace, self._ask).signer()
        return self._signer


def parse_request(message: str) -> tuple[int | None, Sequence[bytes], Note]:
    """
    Old size (None for a bare note), proof and checkpoint of a message to a witness.

    Raises:
        NoteInvalid: It is not one.
        ProofInvalid: A line of the proof is not a hash.
    """
    head, gap, rest = message.partition("\n\n")
    first, *hashes = head.split("\n")
    match = _old_line(first)
    if not match:
        return None, (), parse_note(message)
    if not gap:
        raise NoteInvalid("not a request to a witness: no checkpoint after an empty line")
    return int(match[1]), parse_hashes(hashes), parse_note(rest)


# --- having our own checkpoints signed ---------------------------------------------------------


def submit_all(workspace: Workspace, url: str, journals: Sequence[str]) -> list[str]:
    """
    Have the last checkpoints of *journals* (all that have one) signed by the witness at *url*.

    Return the journals that it signed.

    Raises:
        WitnessUnavailable: It cannot be reached.
        WitnessRefused: It did not sign; nothing after that journal was submitted.
        NotSigned: It signed with a key that is not relied on here.
    """
    auditing = Auditing(workspace)
    names = list(journals) or list(auditing.log)
    for name in names:
        auditing.log.latest_or_raise(name)
        lines, held = _post(url, auditing.prove_consistency(name, 0, None))
        if lines is None and held:  # what it saw last; now it is known
            lines, _ = _post(url, auditing.prove_consistency(name, held, None))
        if lines is None:
            raise WitnessRefused(f"{url}: {name}: the witness holds another history")
        auditing.accept(name, lines)
    return names


def _post(url: str, body: str) -> tuple[str | None, int | None]:
    """Signature lines, or the size that the witness saw last."""
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"not a witness's address: {url!r}", hint="for example http://site:7080")
    request = Request(f"{url.rstrip('/')}/add-checkpoint", data=body.encode())  # noqa: S310  checked
    try:
        with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            return answer.read(_LARGEST_REQUEST).decode(), None
    except HTTPError as refusal:
        with refusal:
            text = refusal.read(_LARGEST_REQUEST).decode("utf-8", "replace").strip()
            conflict = refusal.code == HTTPStatus.CONFLICT
            if conflict and refusal.headers.get("Content-Type") == _size_type and _size(text):
                return None, int(text)
        raise WitnessRefused(f"{url}: {text or refusal.reason} ({refusal.code})") from None
    except (URLError, OSError, HTTPException, UnicodeDecodeError) as error:
        reason = getattr(error, "reason", None) or error
        raise WitnessUnavailable(f"{url}: cannot be reached: {reason}") from None


# --- serving -----------------------------------------------------------------------------------

_STATUS: dict[type[DinoError], HTTPStatus] = {
    UnknownLog: HTTPStatus.NOT_FOUND,
    NotSigned: HTTPStatus.FORBIDDEN,
    StaleSize: HTTPStatus.CONFLICT,
    ForkFound: HTTPStatus.CONFLICT,
    ProofInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidInput: HTTPStatus.BAD_REQUEST,
}


def serve(
    workspace: Workspace,
    host: str,
    port: int,
    ask: AskPassphrase,
    on_start: Callable[[str, str], None],
) -> None:
    """
    Answer `add-checkpoint` requests until interrupted.

    Args:
        port: 0 for any that is free.
        on_start: Told the address and our verifier key once requests are taken.

    Raises:
        InvalidInput: The address cannot be listened on.
        NotFound: There is no key to sign with.
    """
    witnessing = Witnessing(workspace, ask)
    witnessing.unlock()
    try:
        server = ThreadingHTTPServer((host, port), _handler(witnessing))
    except OSError as error:
        raise InvalidInput(f"{host}:{port}: cannot listen: {error.strerror}") from None
    with server:
        on_start(f"http://{host}:{server.server_port}", str(witnessing.verifier()))
        server.serve_forever()


def _handler(witnessing: Witnessing) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _PATIENCE_S

        def do_POST(self) -> None:
            status, kind, text = HTTPStatus.NOT_FOUND, "text/plain", "no such call\n"
            if self.path.rstrip("/").endswith("/add-checkpoint"):
                status, kind, text = self._answer()
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self) -> tuple[HTTPStatus, str, str]:
            size = self.headers.get("Content-Length", "")
            if not _size(size) or int(size) > _LARGEST_REQUEST:
                self.close_connection = True
                return HTTPStatus.BAD_REQUEST, "text/plain", "a request of unknown or absurd size\n"
            try:
                message = self.rfile.read(int(size)).decode()
                if parse_request(message)[0] is None:
                    return HTTPStatus.BAD_REQUEST, "text/plain", "no `old` line\n"
                with one_at_a_time:
                    return HTTPStatus.OK, "text/plain", witnessing.cosign(message)
            except UnicodeDecodeError:
                return HTTPStatus.BAD_REQUEST, "text/plain", "not UTF-8\n"
            except StaleSize as stale:
                return HTTPStatus.CONFLICT, _size_type, f"{stale.size}\n"
            except DinoError as error:
                known = (status for kind, status in _STATUS.items() if isinstance(error, kind))
                status = next(known, HTTPStatus.INTERNAL_SERVER_ERROR)
                return status, "text/plain", f"{error.message}\n"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as above
            """The journal says what was signed; standard error stays quiet."""

    return Handler
