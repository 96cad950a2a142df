"""HTTP: is this a plain look at a page of a listed public host?

Rules
- LOW is GET or HEAD over https, without a body, with harmless headers, to a host on the list (shipped, from the settings or of the user), at
  an address that is spelled so that every client reads the same, asks only for pages, and carries nothing long or opaque. An address is a
  message to its host: what a query can say is bounded, because it can carry a secret out.
- Inside addresses (private, link-local, loopback, metadata), in whatever spelling, are CRITICAL; so are drops, credentials in an address or a
  header, and schemes that read files or speak other protocols.
- Every other method changes something: HIGH; DELETE and what moves money CRITICAL.

What it does not do: resolve names or follow redirects. The tool that connects asks `addresses.is_inside` about what it got, and follows none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import unquote

from ...schemas.risk import Level, Reason, Risk
from .addresses import address_of, is_drop, is_inside, leads_inside, plain
from .surroundings import Surroundings
from .tables import entries, table

MOST_CHARACTERS = 600

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\\]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@%/")
_BAD_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})|%(?:[01][0-9A-Fa-f]|25|2[eEfF]|5[cC]|7[fF]|3[cCeE]|22|3[bB])")
_OPAQUE = re.compile(
    r"(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{24,}|[A-Za-z0-9+/=_]{80,}|\d{20,}|(?:gh[pousr]_|AKIA|sk[-_]|xox[a-z]-|eyJ)[A-Za-z0-9_-]{12,}"
)
_VALUE = re.compile(r"[\w .,+:()'*~!@$/-]{0,100}")
_PROGRAM = re.compile(
    r"\.(?:sh|bash|ps1|bat|cmd|exe|msi|dmg|pkg|deb|rpm|apk|appimage|iso|img|bin|jar|war|whl|egg|tar|tgz|gz|bz2|xz|zip|7z|rar|so|dll|dylib)$"
)
_MONEY = re.compile(
    r"(?i)(?:^|[/._-])(?:pay(?:ments?|outs?)?|transfers?|charges?|refunds?|withdraw(?:als?)?|checkout|purchases?|orders?|invoices?|billing)(?:$|[/._?-])"
)


def assess_http(request: object, around: Surroundings) -> Risk:
    """Judge one HTTP request.

    Args:
        request: `{"method": text, "url": text, "headers"?: {text: text}, "body"?: text}`; no other field.
        around: the place of the action; its `hosts` and overlay add to the listed hosts.
    """
    if not isinstance(request, Mapping) or not isinstance(request.get("url"), str) or not isinstance(request.get("method"), str):
        return Risk.of([_no("http.payload", "a request needs a method and a url, both as text")])
    url, method, headers, body = request["url"], request["method"], request.get("headers"), request.get("body")
    found = (
        *_shape(request),
        *_method(method, url),
        *_body(body),
        *_headers(headers),
        *_url(url, around),
    )
    proved = Reason(rule="http.read", level=Level.LOW, text=f"{method.upper()[:10]} of a page of a listed public host")
    return Risk.of(found or (proved,))


def _shape(request: Mapping[str, object]) -> Iterator[Reason]:
    unknown = [str(key)[:40] for key in request if key not in ("method", "url", "headers", "body")]
    if unknown:
        yield _no("http.payload", f"a request has no field {', '.join(unknown[:5])}")


def _method(method: str, url: str) -> Iterator[Reason]:
    name = method.upper()
    if name in ("GET", "HEAD"):
        return
    if name == "DELETE":
        yield _worst("http.delete", "deletes something in another place")
    elif _MONEY.search(url[:2_000]):
        yield _worst("http.money", f"{name[:10]} to an address that moves money or orders something")
    else:
        yield _no("http.method", f"{name[:20] or 'an empty method'} is not known to read only", "GET and HEAD only read")


def _body(body: object) -> Iterator[Reason]:
    if body not in (None, "", b""):
        yield _no("http.body", "carries a body", "send no body")


def _headers(headers: object) -> Iterator[Reason]:
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        yield _no("http.payload", "headers are a mapping of texts")
        return
    for name, value in headers.items():
        label = str(name).strip().lower()
        if not isinstance(name, str) or not isinstance(value, str):
            yield _no("http.payload", "headers are a mapping of texts")
        elif re.search(r"auth|cookie|token|key|secret|password|credential|session|signature", label):
            yield _worst("http.credential", f"the header {label[:40]} carries a credential")
        elif label in ("host", "x-forwarded-for", "x-forwarded-host", "x-original-url", "x-rewrite-url", "forwarded", "metadata-flavor",
                       "metadata", "x-aws-ec2-metadata-token-ttl-seconds", "transfer-encoding", "content-length", "via"):  # fmt: skip
            yield _worst("http.smuggle", f"the header {label[:40]} makes one request look like another")
        elif label not in _listed("headers"):
            yield _no("http.header", f"the header {label[:40]} is not known to be harmless")
        elif len(value) > 200 or not value.isprintable() or not value.isascii() or _OPAQUE.search(value):
            yield _no("http.header", f"the value of the header {label[:40]} is long or opaque")


def _url(url: str, around: Surroundings) -> Iterator[Reason]:
    if len(url) > MOST_CHARACTERS:
        yield _no("http.too_long", f"an address longer than {MOST_CHARACTERS} characters can carry anything out")
        url = url[:MOST_CHARACTERS]
    parts = _URL.fullmatch(url)
    if parts is None:
        yield from _inside(["", *re.split(r"[/\\?#@]+", url)])
        yield _no("http.address", "this is no complete address with a scheme and a host")
        return
    scheme, authority = parts["scheme"].lower(), parts["authority"]
    if scheme not in ("http", "https"):
        yield _worst("http.scheme", f"{scheme[:20]}: reads files or speaks another protocol")
        return
    if "@" in unquote(authority):
        yield _worst("http.userinfo", "the address carries a name or a password before the host")
    target = parts["path"] + (parts["query"] or "")
    place = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    found = () if _is_yours(authority, around) else tuple(_inside([place, *re.split(r"[@/\\\x00-\x20]", unquote(place))[:4]]))
    yield from found or _host(scheme, authority, target, around)
    yield from _path(url, parts["path"], authority)
    yield from _query((parts["query"] or "?")[1:])


def _inside(places: list[str]) -> Iterator[Reason]:
    for place in places:
        host = re.sub(r":\d*$", "", place)
        if not host or (place is not places[0] and address_of(host) is None and plain(host) not in _listed("inside")):
            continue
        if leads_inside(host):
            yield _worst("http.inside", f"{_shown(host)} leads to a private, local or metadata address")
            return
        if is_drop(host):
            yield _worst("http.drop", f"{_shown(host)} is a place where data is left for others, or where addresses are hidden")
            return


def _host(scheme: str, authority: str, target: str, around: Surroundings) -> Iterator[Reason]:
    host, _, port = authority.partition(":") if not authority.startswith("[") else (authority, "", "")
    host = host.lower()
    address = address_of(host)
    if address is not None and not is_inside(address):
        yield _no("http.bare_address", "a bare address has no name that could be listed")
    elif not _HOST.fullmatch(host) or any(label.startswith("xn--") for label in host.split(".")):
        yield _no("http.host", f"{_shown(host)} is no plainly spelled host")
    elif not _is_listed(host, target, around):
        yield _no(
            "http.host.unlisted",
            f"{_shown(host)} is not on the list of hosts that may be read",
            f"add {_shown(host)} to risk.hosts",
        )
    if (port and port != {"http": "80", "https": "443"}[scheme]) or authority.endswith(":"):
        yield _no("http.port", f"port {_shown(port)} is not the usual one")
    if scheme != "https":
        yield _no("http.plain", "http can be read and changed on its way", "use https")


def _path(url: str, path: str, authority: str) -> Iterator[Reason]:
    if "\\" in url or any(letter <= " " or letter == "\x7f" for letter in url):
        yield _no("http.spelling", "the address holds blanks, control characters or back-slashes")
    strange = [
        letter for letter in path if letter not in _LETTERS and not (letter > "\x7f" and unicodedata.category(letter)[0] in "LMN")
    ]
    if strange or _BAD_CODE.search(path) or "//" in path:
        yield _no("http.spelling", "the path holds characters or codes that clients read differently")
    names = [unquote(name).lower() for name in path.split("/")]
    if any(name.startswith("special:") for name in names):
        yield _no("http.path", "a special page can act")
    if any(name.startswith(".") and name != ".well-known" for name in names) or ".." in unquote(path):
        yield _no("http.path", "the path steps up or asks for a hidden file")
    if any(_OPAQUE.search(name) or len(name) > 120 for name in names):
        yield _no("http.opaque", "a part of the path is long or opaque, and could carry a secret out")
    stems = {*names, *(name.partition(".")[0] for name in names)} - {""}
    hidden = stems & _listed("never")
    effects = stems & _listed("paths") - _listed("never")
    explains = bool(set(names) & _listed("pages")) or bool(set(authority.lower().split(".")) & _listed("pages"))
    if hidden or (effects and not explains):
        yield _no("http.path", f"{min(hidden or effects)} in the path is asked for its effect, or is not public")
    if _PROGRAM.search(path.lower()):
        yield _no("http.program", "fetches a program or an archive", "read its page instead")


def _query(query: str) -> Iterator[Reason]:
    if not query:
        return
    if _BAD_CODE.search(query.replace("%22", "").replace("%2F", "").replace("%2f", "")):
        yield _no("http.query", "the query holds codes that clients read differently")
    for pair in query.split("&"):
        name, _, value = (unquote(part.replace("+", " ")) for part in pair.partition("="))
        if name.lower() not in _listed("queries"):
            yield _no("http.query", f"the query asks for {_shown(name)}, which is not known to only choose a page")
        elif name.lower() == "action" and value not in ("view", "history", "raw"):
            yield _no("http.query", "the action that the query asks for is not known to only show a page")
        elif not _VALUE.fullmatch(value) or re.search(r"\.\./|//|^/|(?i:special:)", value):
            yield _no("http.query", f"the value of {_shown(name)} is long or unusual")
        elif _OPAQUE.search(value):
            yield _no("http.opaque", f"the value of {_shown(name)} is opaque, and could carry a secret out")


def _is_listed(host: str, target: str, around: Surroundings) -> bool:
    exact, below, rooted = _hosts()
    yours = _yours(around)
    if host in exact or host in yours:
        return True
    labels = host.split(".")
    for cut in range(min(3, len(labels))):
        suffix = "." + ".".join(labels[cut:])
        if (suffix in below or suffix in yours) and all(len(label) <= 16 for label in labels[:cut]):
            return True
    return any(target in ("", "/") if start == "/$" else target.startswith(start) for start in rooted.get(host, ()))


def _is_yours(host: str, around: Surroundings) -> bool:
    """Answer whether the user named a host that would otherwise be taken for an inside one; never an address, and never this machine."""
    return host.lower() in _yours(around) and address_of(host) is None and host.lower() not in _listed("inside")


def _yours(around: Surroundings) -> frozenset[str]:
    return around.hosts | {str(entry.get("host", "")).lower() for entry in entries(around.overlay, "hosts")}


@cache
def _hosts() -> tuple[frozenset[str], frozenset[str], Mapping[str, tuple[str, ...]]]:
    exact, below, rooted = set(), set(), dict[str, tuple[str, ...]]()
    for entry in table("http")["hosts"]:
        host, slash, rest = entry.partition("/")
        if slash:
            rooted[host] = (*rooted.get(host, ()), "/" + rest)
        elif host.startswith("."):
            below.add(host)
        else:
            exact.add(host)
    return frozenset(exact), frozenset(below), rooted


@cache
def _listed(key: str) -> frozenset[str]:
    read = table("http")[key]
    return frozenset(str(read).split() if isinstance(read, str) else read)


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)


def _worst(rule: str, text: str) -> Reason:
    return Reason(rule=rule, level=Level.CRITICAL, text=text)
