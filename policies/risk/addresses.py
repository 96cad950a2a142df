"""Where a host name leads, from its letters alone: inside, to a bare address, to a drop, or to a name like any other.

Clients read `0x7f.1`, `2130706433`, `127.0.0.1.nip.io`, `[::ffff:a00:1]` and full-width digits as addresses; so does this. What a name
resolves to is not known here: the tool that connects asks `is_inside` again with the address it got.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import cache

from .tables import table

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_EMBEDDED = re.compile(r"(?:^|[.-])((?:\d{1,3}[.-]){3}\d{1,3}|[0-9a-f]{8})(?:[.-]|$)")
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(host: str) -> Address | None:
    """Return the address that a client makes of a host, in any spelling, or `None` when it is a name."""
    text = plain(host)
    if text.startswith("[") or ":" in text:
        try:
            return ipaddress.ip_address(text.strip("[]").partition("%")[0])
        except ValueError:
            return None
    return _four(text)


def is_inside(address: Address) -> bool:
    """Answer whether an address is private, link-local, loopback, reserved or of a metadata service, also when wrapped in another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in _NAT64):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0:  # the old "IPv4-compatible" form
            inner = ipaddress.IPv4Address(int(address))
        if inner is not None and is_inside(inner):
            return True
    return not address.is_global or address.is_multicast


def leads_inside(host: str) -> bool:
    """Answer whether a host is an inside address, or a name that is known to stand for one."""
    text = plain(host)
    address = address_of(text)
    if address is not None:
        return is_inside(address)
    name = text.rstrip(".")
    if (
        "." not in name
        or name in _names("inside")
        or any(name.endswith("." + tail) for tail in _names("inside_below") | _names("inside"))
    ):
        return True
    found = _EMBEDDED.search(name)
    embedded = _four(found[1].replace("-", ".")) if found and not re.fullmatch(r"[0-9a-f]{8}", found[1]) else None
    return embedded is not None and is_inside(embedded)


def is_drop(host: str) -> bool:
    """Answer whether a host is known as a place where data is left for others, or where addresses are hidden."""
    name = plain(host).rstrip(".")
    return any(name == drop or name.endswith("." + drop) for drop in _names("drops"))


def plain(host: str) -> str:
    """Return a host as a lenient client would read it: compatible letters folded, lower case, other full stops as dots."""
    folded = unicodedata.normalize("NFKC", host[:1_024]).lower()
    return re.sub(
        "[\u3002\uff0e\uff61]", ".", "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")
    ).strip()


def _four(text: str) -> Address | None:
    """Read one to four parts, each decimal, octal or hexadecimal, the last filling what is left, as `inet_aton` does."""
    parts = text.rstrip(".").split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) and len(part) <= 40 for part in parts):
        return None
    values = [_value(part) for part in parts]
    if any(value is None for value in values):
        return None
    numbers = [value for value in values if value is not None]
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return ipaddress.IPv4Address(0)  # some clients wrap it around; nobody can say where to
    total = numbers[-1]
    for place, number in enumerate(numbers[:-1]):
        total += number << (8 * (3 - place))
    return ipaddress.IPv4Address(total)


def _value(part: str) -> int | None:
    try:
        if part[:2].lower() == "0x":
            return int(part[2:] or "0", 16)
        return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)
    except ValueError:
        return 1 << 40  # an octal with an 8 in it: an address to some clients and a name to others


@cache
def _names(key: str) -> frozenset[str]:
    return frozenset(table("http")[key])
