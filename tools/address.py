"""Which addresses a request may reach, and a network that connects to no other.

Rules:
- A name is resolved once for each connection, every address that it has must be public, and the connection goes to one of those very
  addresses; there is no second look-up in which the answer could have changed.
- Public means: global unicast, after unwrapping addresses that carry another one; the metadata services of clouds are never public.
- A host that the configuration names may have any address.
- Every read and write ends at the call's deadline, however slowly the other side drips.

Source: OWASP's SSRF notes; threat T32. Deliberately no proxies: what stands in the environment must not decide where a request goes.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "3fff::/20", "5f00::/16", "fec0::/10",
    )
)  # fmt: skip
_CARRIES_IPV4 = ipaddress.ip_network("64:ff9b::/96")
CONNECT_S = 10.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotPublic(Exception):
    """A name has an address that requests may not reach; nothing was sent."""


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet would reach the same machine at this address."""
    if isinstance(address, ipaddress.IPv6Address):
        for carried in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if carried is not None and not is_public(carried):
                return False
        if address.ipv4_mapped is not None:
            return True
        if address in _CARRIES_IPV4:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if int(address) < 1 << 32:  # the old form that carries an IPv4 address in the last 32 bits
            return False
    if address in _METADATA or any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    )


def resolve(host: str, port: int, *, allowed: frozenset[str]) -> list[str]:
    """Look up a host and return its addresses, if a request may go there.

    Raises:
        NotPublic: one of its addresses is private, loopback, link-local, multicast, reserved or a metadata service.
        OSError: the name has no address.

    Side effects: a DNS look-up.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is not a host name") from error
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    name = host.lower().rstrip(".")
    if name in allowed or f"{name}:{port}" in allowed:
        return addresses
    for text in addresses:
        if "%" in text or not is_public(ipaddress.ip_address(text)):
            raise NotPublic(f"{host!r} is at {text}, which is not a public address")
    return addresses


class Network(httpcore.NetworkBackend):
    """Connections to checked addresses, until a deadline. `sent` tells whether any byte of a request has left."""

    def __init__(self, allowed: frozenset[str], deadline: float) -> None:
        self._allowed = allowed
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()
        self.sent = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the checked addresses that answers. Raises: NotPublic, httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            addresses = resolve(host, port, allowed=self._allowed)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(address, port, self.left(CONNECT_S), None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Stream(stream, self)
        raise problem

    def left(self, most_s: float) -> float:
        """Return the seconds until the deadline, at most `most_s`. Raises: httpcore.ReadTimeout: there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time of the call is up")
        return min(left, most_s)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(3600.0))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._network.sent = True
            self._stream.write(buffer, self._network.left(3600.0))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._network.left(CONNECT_S)), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
