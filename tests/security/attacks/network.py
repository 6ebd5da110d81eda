"""The network, by every kind of socket, and round the proxy."""

from __future__ import annotations

import os
import socket

from tests.security.attack import attack
from tests.security.kit import World, checked, libc, system_call
from tests.security.machine import no_ipv6, no_sockets

# A ring is locked memory, of which there is none but root's.
WITHOUT_LOCKED_MEMORY = ("namespaces", "own-user", "bare")[: 3 if os.geteuid() else 2]
REACHING = {"reaches": ["192.0.2.1:80"]}


@attack("namespaces", "seccomp", "landlock")
def talks_to_a_server_on_this_machine(w: World):
    with socket.create_connection(("127.0.0.1", w.tcp), timeout=5) as server:
        return server.recv(500).decode()


@attack("namespaces", "seccomp", "landlock", needs=no_ipv6)
def talks_to_one_by_ipv6(w: World):
    with socket.create_connection(("::1", w.tcp6), timeout=5) as server:
        return server.recv(500).decode()


@attack("namespaces", "seccomp", "landlock", needs=no_ipv6)
def talks_to_one_by_a_mapped_address(w: World):
    with socket.socket(socket.AF_INET6) as server:
        server.settimeout(5)
        server.connect(("::ffff:127.0.0.1", w.tcp))
        return server.recv(500).decode()


@attack("namespaces", "seccomp")
def sends_a_datagram(w: World):
    """Landlock hears of TCP alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.connect(("127.0.0.1", w.udp))  # to be told that nobody is there
        datagrams.sendto(b"secret", ("127.0.0.1", w.udp))
        return datagrams.recv(500).decode()


@attack("namespaces", "seccomp")
def asks_a_name_server(w: World):
    """A question can carry a secret."""
    question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6secret\7example\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.connect(("127.0.0.1", w.udp))
        datagrams.send(question)
        return datagrams.recv(500).decode()


@attack("namespaces", "seccomp")
def connects_by_its_first_bytes(w: World):
    """TCP fast open: no call of it is called connect."""
    with socket.socket() as server:
        server.sendto(b"GET / HTTP/1.0\r\n\r\n", 0x20000000, ("127.0.0.1", w.tcp))
        return server.recv(500).decode()


@attack("namespaces", "seccomp", "own-user", control="root")
def makes_raw_packets(w: World):
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).fileno()


@attack("namespaces", "seccomp", "own-user", control="root")
def listens_to_every_packet(w: World):
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).fileno()


@attack("seccomp")
def asks_the_kernel_for_its_network(w: World):
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno()


@attack("seccomp", needs=no_sockets(40, socket.SOCK_STREAM))
def talks_to_the_machine_below(w: World):
    """vsock: no namespace has one of its own."""
    return socket.socket(40, socket.SOCK_STREAM).fileno()


@attack("seccomp", needs=no_sockets(38, socket.SOCK_SEQPACKET))
def has_the_kernel_encrypt(w: World):
    return socket.socket(38, socket.SOCK_SEQPACKET).fileno()


@attack("namespaces", "seccomp", "landlock")
def talks_to_an_abstract_socket(w: World):
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(f"\0{w.abstract}")
        return server.recv(500).decode()


@attack("namespaces", "own-user", "seccomp")
def talks_to_a_named_socket(w: World):
    """An ssh agent, a bus, Docker: Landlock does not hear of it."""
    os.chdir(w.outside)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("socket")
        return server.recv(500).decode()


@attack("seccomp")
def talks_to_a_socket_in_its_folder(w: World):
    os.chdir(f"{w.workspace}/out")
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("socket")
        return server.recv(500).decode()


@attack("seccomp")
def sends_from_a_pair_to_a_named_socket(w: World):
    """A pair of sockets talks to itself, but for one of datagrams."""
    os.chdir(f"{w.workspace}/out")
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return ours.sendto(b"secret", "socket.d")


@attack("seccomp", "landlock", alone=("bare", "own-user", "landlock", "seccomp", "limits"))
def serves_others(w: World):
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@attack("seccomp", *WITHOUT_LOCKED_MEMORY, needs=lambda: None if os.path.exists("/proc/sys/kernel/io_uring_disabled") else "this kernel has no io_uring")  # fmt: skip
def has_a_ring_make_its_calls(w: World):
    """What io_uring does, no filter of system calls sees."""
    return system_call(425, 425, 1, bytes(120))


@attack("namespaces", "seccomp", alone=("namespaces", "seccomp"), policy=REACHING)
def connects_by_its_first_bytes_beside_the_proxy(w: World):
    with socket.socket() as server:
        server.sendto(b"GET / HTTP/1.0\r\n\r\n", 0x20000000, ("127.0.0.1", w.tcp))
        return server.recv(500).decode()


@attack("namespaces", "landlock", alone=("namespaces", "landlock"), policy=REACHING)
def goes_beside_the_proxy(w: World):
    with socket.create_connection(("127.0.0.1", w.tcp), timeout=5) as server:
        return server.recv(500).decode()


@attack("namespaces", "seccomp", alone=("namespaces", "seccomp"), policy=REACHING)
def sends_datagrams_beside_the_proxy(w: World):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.connect(("127.0.0.1", w.udp))  # to be told that nobody is there
        datagrams.sendto(b"secret", ("127.0.0.1", w.udp))
        return datagrams.recv(500).decode()


@attack("namespaces", "seccomp", needs=lambda: None if os.path.exists("/proc/net/mptcp_net") or os.path.exists("/proc/sys/net/mptcp") else "this kernel has no MPTCP", alone=("namespaces", "seccomp"), policy=REACHING)  # fmt: skip
def goes_by_another_kind_of_tcp(w: World):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as server:
        server.settimeout(5)
        server.connect(("127.0.0.1", w.tcp))
        return server.recv(500).decode()


@attack("bare", policy=REACHING)
def asks_the_proxy_for_another_host(w: World):
    """What everybody would: the environment names the proxy, which knows what was granted."""
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{w.tcp}/", timeout=5) as answer:
        return answer.read().decode()


@attack("bare", policy=REACHING)
def asks_the_proxy_for_a_tunnel(w: World):
    proxy = os.environ.get("http_proxy", f"http://127.0.0.1:{w.tcp}").rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(proxy)), timeout=5) as server:
        server.sendall(f"CONNECT 127.1:{w.tcp} HTTP/1.1\r\nHost: 127.1:{w.tcp}\r\n\r\n".encode())
        return b" 200 " in server.recv(500)


@attack("namespaces", alone=("bare", "namespaces"), without_namespaces=False)
def learns_the_machines_name(w: World):
    return os.uname().nodename == w.host_name


@attack("namespaces", "seccomp", "own-user", control="root")
def renames_the_machine(w: World):
    """To what it is called already."""
    name = w.host_name.encode()
    return checked(libc.sethostname(name, len(name))) == 0
