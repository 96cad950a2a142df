"""HTTP: only checked addresses, within bounds, and never a guess about what was sent."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest

from assent.schemas.canonical import canonical, digest
from assent.schemas.dispatch import EffectClass, Receipt
from assent.schemas.errors import InvalidPlan
from assent.tools import address
from assent.tools.http import Http, shown
from assent.tools.tool import Limits, Place
from assent.tools.toolbox import standard


class MemoryKeep:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest(data)] = data
        return digest(data)

    def get(self, name: str) -> bytes:
        return self.kept[name]


TOOL = Http()
BOX = standard()
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A local server: each path has an answer; every request that arrives is noted."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                server.answers.get(self.path.partition("?")[0], say(200, b"ok"))(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def say(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def place(tmp_path: Path, waits: list[float]) -> Place:
    return place_in(tmp_path, waits)


def place_in(folder: Path, waits: list[float], hosts: frozenset[str] = frozenset({"127.0.0.1"}), **limits: Any) -> Place:
    (folder / "workspace").mkdir(exist_ok=True)
    return Place(
        workspace=folder / "workspace",
        keep=MemoryKeep(),
        scratch=folder / "home" / "scratch",
        limits=Limits(**({"time_s": 5.0} | limits)),
        hosts=hosts,
        sleep=waits.append,
    )


def parse(method: str, url: str, **more: Any) -> Any:
    return BOX.parse("http", {"method": method, "url": url, **more})


def send(place: Place, method: str, url: str, **more: Any) -> Receipt:
    args = parse(method, url, **more)
    receipt = TOOL.run(args, place, key="the-key", before=TOOL.prepare(args, place))
    canonical(receipt.as_json())
    return receipt


PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.1.1", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "192.88.99.1", "::1", "::", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::1", "2001:db8::1", "2001:0:7f00:1::1", "100::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2a00:1450:4001::1",
]


@pytest.mark.parametrize(("text", "public"), [(text, False) for text in PRIVATE] + [(text, True) for text in PUBLIC])
def test_which_addresses_are_public(text: str, public: bool) -> None:
    assert address.is_public(ipaddress.ip_address(text)) is public


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]", "169.254.169.254", "127.0.0.1%2e", "①②⑦.⓪.⓪.①", "127。0。0。1"],
)  # fmt: skip
def test_private_address_in_any_spelling_gets_no_request(tmp_path: Path, server: Server, waits: list[float], host: str) -> None:
    place = place_in(tmp_path, waits, hosts=frozenset({"service.test"}))
    for method in ("GET", "POST"):
        receipt = send(place, method, f"http://{host}:{server.port}/")
        assert receipt.status == "not_started"
    assert server.seen == []


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_name_with_one_private_address_among_public_ones_is_refused(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolving(monkeypatch, ["93.184.216.34", "127.0.0.1"])
    receipt = send(place, "GET", f"http://name.test:{server.port}/")
    assert (receipt.status, server.seen) == ("not_started", [])
    assert "127.0.0.1" in receipt.summary


def test_name_that_changes_its_address_after_the_check_is_not_followed(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a public address for the check, loopback for the connection."""
    asked = _resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    connected: list[str] = []

    def connect_tcp(self: Any, host: str, *_: Any, **__: Any) -> Any:
        connected.append(host)
        raise httpcore.ReadTimeout("as far as it goes")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)
    send(place, "GET", f"http://name.test:{server.port}/")
    assert (asked, connected) == (["name.test"], ["93.184.216.34"])


def test_configured_host_may_be_private_and_keeps_its_name(
    tmp_path: Path, server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolving(monkeypatch, ["127.0.0.1"])
    for hosts, allowed in (
        ({"service.test"}, True),
        ({f"service.test:{server.port}"}, True),
        ({"service.test:1"}, False),
        ({"other.test"}, False),
    ):
        place = place_in(tmp_path, waits, hosts=frozenset(hosts))
        assert send(place, "GET", f"http://Service.TEST:{server.port}/").is_done is allowed
    assert {headers["host"] for _, _, headers, _ in server.seen} == {f"service.test:{server.port}"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_each_method_arrives_once_as_written(place: Place, server: Server, method: str) -> None:
    writes = method not in ("GET", "HEAD")
    more = {"body": {"a": "ü"}, "headers": {"X-Mine": "1", "user-agent": "mine"}} if writes else {"headers": {"X-Mine": "1"}}
    receipt = send(place, method, server.url + "/p%20a?q=1&r=%2F#fragment", **more)
    assert receipt.is_done
    ((seen, path, headers, body),) = server.seen
    assert (seen, path, headers["x-mine"]) == (method, "/p%20a?q=1&r=%2F", "1")
    if writes:
        assert (json.loads(body), headers["content-type"], headers["user-agent"]) == ({"a": "ü"}, "application/json", "mine")
    assert "cookie" not in headers
    assert "idempotency-key" not in headers


def test_answer_is_read_into_the_receipt(place: Place, server: Server) -> None:
    server.answers["/json"] = say(
        200, b'{"p95_ms": 12.5, "n": 3}', Content_Type="application/json", ETag="x", Set_Cookie="session=secret"
    )
    receipt = send(place, "GET", server.url + "/json")
    assert receipt.output["json"] == {"p95_ms": 12.5, "n": 3}
    assert receipt.output["status"] == 200
    assert receipt.output["headers"] == {"content-type": "application/json", "etag": "x"}
    assert receipt.output["elapsed_ms"] > 0
    server.answers["/number"] = say(200, b"42\n")
    assert send(place, "GET", server.url + "/number").output["value"] == 42
    server.answers["/bad"] = say(200, b'{"a": 1, "a": NaN}', Content_Type="application/json")
    receipt = send(place, "GET", server.url + "/bad")
    assert "json" not in receipt.output
    assert receipt.is_done


@pytest.mark.parametrize(
    ("code", "read", "write"),
    [(200, "done", "done"), (201, "done", "done"), (204, "done", "done"), (301, "failed", "unknown"), (302, "failed", "unknown"),
     (303, "failed", "done"), (307, "failed", "failed"), (400, "failed", "failed"), (404, "failed", "failed"), (409, "failed", "failed"),
     (429, "failed", "failed"), (500, "failed", "unknown"), (502, "failed", "unknown"), (503, "failed", "unknown")],
)  # fmt: skip
def test_what_a_status_means(place: Place, server: Server, code: int, read: str, write: str) -> None:
    server.answers["/"] = say(code)
    assert send(place, "GET", server.url + "/").status == read
    assert send(place, "POST", server.url + "/").status == write
    assert send(place, "DELETE", server.url + "/").status == write
    assert len(server.seen) == 3


def test_refused_connection_is_tried_with_back_off_and_then_not_started(place: Place, waits: list[float]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for method in ("GET", "POST"):
        waits.clear()
        receipt = send(place, method, f"http://127.0.0.1:{port}/")
        assert receipt.status == "not_started"
        assert waits == pytest.approx([0.2, 0.4, 0.8])


def test_unknown_name_is_not_started(place: Place, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert send(place, "POST", "http://name.test/").status == "not_started"
    assert len(waits) == 3


def test_connection_that_comes_back_is_used_once(
    place: Place, server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = httpcore.SyncBackend.connect_tcp

    def connect_tcp(self: Any, *args: Any, **more: Any) -> Any:
        if len(waits) < 2:
            raise httpcore.ConnectTimeout("not yet")
        return real(self, *args, **more)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)
    assert send(place, "POST", server.url + "/", body="x").is_done
    assert (len(server.seen), len(waits)) == (1, 2)


@pytest.mark.parametrize(
    ("method", "status"), [("GET", "failed"), ("HEAD", "failed"), ("POST", "unknown"), ("PUT", "unknown"), ("DELETE", "unknown")]
)
def test_connection_lost_after_sending_is_never_repeated(
    place: Place, server: Server, waits: list[float], method: str, status: str
) -> None:
    server.answers["/"] = hang_up
    receipt = send(place, method, server.url + "/")
    assert (receipt.status, len(server.seen), waits) == (status, 1, [])


@pytest.mark.parametrize(
    "reply",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n"],
)  # fmt: skip
def test_answer_that_is_not_whole_is_unknown_for_a_write(place: Place, server: Server, reply: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(reply)
            handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    server.answers["/"] = answer
    assert send(place, "POST", server.url + "/").status == "unknown"
    assert send(place, "GET", server.url + "/").status == "failed"
    assert len(server.seen) == 2


@pytest.mark.parametrize("part", ["headers", "body"])
def test_answer_that_drips_for_ever_ends_at_the_deadline(tmp_path: Path, server: Server, waits: list[float], part: str) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X: " if part == "headers" else b"Content-Length: 100000\r\n\r\n"))
        while not done.wait(0.02):
            try:
                handler.wfile.write(b"a")
            except OSError:
                return

    server.answers["/"] = drip
    place = place_in(tmp_path, waits, time_s=0.4)
    began = time.monotonic()
    assert send(place, "POST", server.url + "/").status == "unknown"
    assert send(place, "GET", server.url + "/", timeout_s=0.2).status == "failed"
    assert time.monotonic() - began < 2
    done.set()


def test_body_beyond_the_limit_is_cut_and_said(tmp_path: Path, server: Server, waits: list[float]) -> None:
    server.answers["/"] = say(200, b"a" * 100_000)
    place = place_in(tmp_path, waits, response_bytes=10_000)
    read, write = send(place, "GET", server.url + "/"), send(place, "POST", server.url + "/")
    assert (read.status, write.status) == ("failed", "done")
    assert read.output["cut"] is True
    assert place.keep.get(write.output_ref) == b"a" * 10_000
    assert len(canonical(write.output)) <= 4096


def test_compressed_answer_is_not_unpacked(place: Place, server: Server) -> None:
    import gzip

    packed = gzip.compress(b"\0" * 10_000_000)
    server.answers["/"] = say(200, packed, Content_Encoding="gzip")
    receipt = send(place, "GET", server.url + "/")
    assert receipt.output["bytes"] == len(packed)
    assert server.seen[0][2]["accept-encoding"] == "identity"


def test_redirects_are_followed_for_reads_up_to_the_limit(tmp_path: Path, server: Server, waits: list[float]) -> None:
    for number in range(6):
        server.answers[f"/{number}"] = say(302, Location=f"/{number + 1}")
    place = place_in(tmp_path, waits, redirects=5)
    assert send(place, "GET", server.url + "/1").output["body"] == "ok"
    receipt = send(place, "GET", server.url + "/0")
    assert receipt.status == "failed"
    assert "not followed" in receipt.summary


def test_redirect_to_a_private_address_is_not_followed(
    tmp_path: Path, server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Server()
    try:
        server.answers["/"] = say(302, Location=f"http://localhost:{inner.port}/metadata")
        server.answers["/loop"] = say(302, Location="http://169.254.169.254/latest/")
        for path in ("/", "/loop"):
            receipt = send(place_in(tmp_path, waits), "GET", server.url + path)
            assert receipt.status == "failed"
            assert "may not go" in receipt.summary
        assert inner.seen == []
    finally:
        inner.stop()


def test_redirect_to_another_host_does_not_get_the_secrets(tmp_path: Path, server: Server, waits: list[float]) -> None:
    other = Server()
    try:
        server.answers["/"] = say(302, Location=f"{other.url}/there")
        receipt = send(
            place_in(tmp_path, waits),
            "GET",
            server.url + "/",
            headers={"Authorization": "Bearer x", "X-Api-Key": "y", "Accept": "a/b"},
        )
        assert receipt.is_done
        headers = other.seen[0][2]
        assert not {"authorization", "x-api-key"} & set(headers)
        assert headers["accept"] == "a/b"
    finally:
        other.stop()


def test_write_is_not_redirected_to_another_host_nor_turned_into_a_read(place: Place, server: Server) -> None:
    other = Server()
    try:
        for code, status in ((301, "unknown"), (302, "unknown"), (303, "done"), (307, "failed"), (308, "failed")):
            server.answers["/"] = say(code, Location=f"{other.url}/there")
            assert send(place, "POST", server.url + "/", body="x").status == status
        assert other.seen == []
        server.answers["/"] = say(307, Location="/there")
        assert send(place, "POST", server.url + "/", body="again").is_done
        assert (server.seen[-1][1], server.seen[-1][3]) == ("/there", b"again")
    finally:
        other.stop()


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://x/",
        "http://",
        "//",
        "http://user:pass@127.0.0.1:{port}/there",
        "http://[",
        "\x00",
    ],
)
def test_redirect_to_something_else_is_not_followed(place: Place, server: Server, location: str) -> None:
    server.answers["/"] = say(302, Location=location.replace("{port}", str(server.port)))
    receipt = send(place, "GET", server.url + "/")
    assert receipt.status == "failed"
    assert {path for _, path, _, _ in server.seen} == {"/"}


def test_proxy_of_the_environment_is_not_used(place: Place, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(place, "GET", server.url + "/").is_done


def test_key_is_sent_only_where_it_is_asked_for(place: Place, server: Server) -> None:
    args = parse("POST", server.url + "/", keyed=True)
    assert TOOL.effect_class(args) == EffectClass.KEYED
    send(place, "POST", server.url + "/", keyed=True)
    assert server.seen[0][2]["idempotency-key"] == "the-key"
    assert TOOL.effect_class(parse("POST", "http://a/")) == EffectClass.OPAQUE
    assert TOOL.effect_class(parse("GET", "http://a/")) == EffectClass.CONDITIONAL


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "get"}, "method"),
        ({"method": "CONNECT"}, "method"),
        ({"url": "ftp://x/"}, "url"),
        ({"url": "http:///x"}, "url"),
        ({"url": "//x"}, "url"),
        ({"url": "http://x/ y"}, "url"),
        ({"url": "http://x/\r\nHost: y"}, "url"),
        ({"url": "http://x\\@y/"}, "url"),
        ({"url": "http://x:99999/"}, "url"),
        ({"url": "http://[::1/"}, "url"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"Content-Length": "1"}}, "headers"),
        ({"headers": {"a b": "x"}}, "headers"),
        ({"headers": {"A": "x\r\nB: y"}}, "headers"),
        ({"headers": {"A": 1}}, "headers.A"),
        ({"body": "x"}, "no body with GET"),
        ({"keyed": True}, "keyed"),
        ({"verify": False}, "verify"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPlan, match=named):
        BOX.parse("http", {"method": "GET", "url": "http://x/"} | change)


def test_summaries_show_neither_user_nor_query(place: Place, server: Server) -> None:
    assert shown("https://user:pass@host.test:8443/a/b?token=secret#x") == "https://host.test:8443/a/b?…"
    assert shown("http://[::1]/") == "http://[::1]/"
    receipt = send(place, "GET", f"http://user:password@127.0.0.1:{server.port}/x?token=secret")
    assert receipt.is_done
    assert server.seen[0][2]["authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
    assert "secret" not in receipt.summary
    assert "password" not in receipt.summary
    args = parse("POST", "http://a.test/x?token=secret", body={"a": 1}, headers={"X": "1"})
    preview = TOOL.preview(args, place)
    assert preview.headline == "POST http://a.test/x?… (7 bytes)"
    assert preview.detail == 'POST http://a.test/x?token=secret\nX: 1\nContent-Type: application/json\n\n{"a":1}'


def test_declaration(place: Place) -> None:
    read, write = parse("GET", "http://a.test/"), parse("POST", "http://a.test/", body="b", headers={"X": "1"})
    assert TOOL.actions(read) == [("http", {"method": "GET", "url": "http://a.test/"})]
    assert TOOL.actions(write) == [("http", {"method": "POST", "url": "http://a.test/", "headers": {"X": "1"}, "body": "b"})]
    assert (TOOL.effects(read).writes, TOOL.effects(write).writes, TOOL.effects(read).network) == (False, True, True)
    assert TOOL.probe(read, place, key="k", before={}, direction="do") == "did_not_happen"
    assert TOOL.probe(write, place, key="k", before={}, direction="do") == "unknown"
    assert TOOL.recover(write, place, key="k", before={}, direction="do") is None
    assert not TOOL.can_undo(write)
    assert TOOL.undo(write, place, key="u", receipt=Receipt(status="done")).status == "not_started"
