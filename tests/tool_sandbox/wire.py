"""Hosts and clients on the loopback, and a proxy between them."""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from dino_os.tool_sandbox.egress.carrying import Carrier
from dino_os.tool_sandbox.egress.hosts import Allowed, Rule
from dino_os.tool_sandbox.egress.proxy import Proxy, ProxyLimits

PATIENCE_S = 30  # how long a test waits for what must come
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Events:
    """What a proxy reported."""

    def __init__(self) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()

    def __call__(self, event: dict[str, Any]) -> None:
        self._queue.put(event)

    def next(self) -> dict[str, Any]:
        return self._queue.get(timeout=PATIENCE_S)

    def rest(self) -> list[dict[str, Any]]:
        """Those that are there; after `close` all that there will be."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._queue.get_nowait())
        return found


def listening(address: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(512)
    return listener


class Proxied:
    """A proxy that serves, and where."""

    def __init__(
        self,
        *declared: str,
        names: dict[str, list[str]] | None = None,
        private_hosts: tuple[str, ...] = (),
        resolve: Callable[..., list[Any]] | None = None,
        carrier: Carrier | None = None,
        **limits: Any,
    ) -> None:
        self.events = Events()
        self.asked: list[str] = []
        self.names = names or {}
        listener = listening()
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.proxy = Proxy(
            listener,
            Allowed(map(Rule.parse, declared), private_hosts),
            self.events,
            resolve=resolve or self.resolve,
            limits=ProxyLimits(**limits),
            carrier=carrier,
        )

    def resolve(self, host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name in this test")
        return [found(address, port) for address in self.names[host]]

    def get(self, url: str, **headers: str) -> tuple[int, str]:
        """Status and body, as urllib sees them."""
        opener = build_opener(ProxyHandler({"http": self.url, "https": self.url}))
        try:
            with opener.open(Request(url, headers=headers), timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def raw(self, request: bytes) -> bytes:
        """All that comes back for those bytes, sent as they are."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(request)
            return everything(client)

    def status(self, request: bytes) -> int:
        answer = self.raw(request)
        return int(answer.split(maxsplit=2)[1]) if answer else 0

    def tunnel(self, target: str) -> socket.socket:
        """A tunnel that stands."""
        client = self.connect()
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        answer = head_of(client)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return client


@contextlib.contextmanager
def proxied(*declared: str, **more: Any) -> Iterator[Proxied]:
    made = Proxied(*declared, **more)
    with made.proxy:
        yield made


def found(address: str, port: int) -> tuple[Any, ...]:
    """One entry as `getaddrinfo` answers."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


def everything(client: socket.socket) -> bytes:
    """What comes until the other side ends, however it does."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def head_of(client: socket.socket) -> bytes:
    """What comes up to an empty line, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := client.recv(1)):
        head += byte
    return head


class Pages(BaseHTTPRequestHandler):
    """Says what it was asked; `/to/URL` redirects there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.say(f"{self.command} {self.path} of {self.headers['Host']}".encode())

    def do_POST(self) -> None:
        self.say(self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class PageHost(ThreadingHTTPServer):
    daemon_threads = False  # closing it waits for them
    block_on_close = True

    @property
    def port(self) -> int:
        return self.server_address[1]


@contextlib.contextmanager
def pages(address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[PageHost]:
    """A web server."""
    server = PageHost((address, 0), Pages)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class RawHost:
    """Hands each of its connections to a function, and keeps what that returns."""

    def __init__(self, serve: Callable[[socket.socket], Any], address: str = "127.0.0.1") -> None:
        self._serve = serve
        self._listener = listening(address, socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self._listener.getsockname()[1]
        self.served: queue.Queue[Any] = queue.Queue()
        self._threads = [threading.Thread(target=self._run)]
        self._threads[0].start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE_S)
                thread = threading.Thread(target=self._one, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.served.put(self._serve(connection))

    def next(self) -> Any:
        return self.served.get(timeout=PATIENCE_S)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def raw_host(
    serve: Callable[[socket.socket], Any], address: str = "127.0.0.1"
) -> Iterator[RawHost]:
    host = RawHost(serve, address)
    try:
        yield host
    finally:
        host.close()


def answering(answer: bytes = OK) -> Callable[[socket.socket], bytes]:
    """Answers once a head has come, and returns all that came, up to the end."""

    def serve(connection: socket.socket) -> bytes:
        came = head_of(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        return came + everything(connection)

    return serve


def echo(connection: socket.socket) -> int:
    """Sends back what comes, and returns how much that was."""
    size = 0
    while piece := connection.recv(65536):
        connection.sendall(piece)
        size += len(piece)
    return size


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server that is called *name* shows, and what a client trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cadata=pem.decode())
