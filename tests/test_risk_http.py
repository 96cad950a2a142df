"""HTTP: pages of listed hosts flow; every inside address is found in whatever spelling; an address can carry nothing out."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.risk.addresses import address_of, is_inside, leads_inside
from assent.policies.risk.http import assess_http
from assent.policies.risk.surroundings import Surroundings
from assent.policies.risk.tables import table
from assent.schemas.risk import Level, Risk

AROUND = Surroundings(workspace="/projects/shop")

PAGES = [
    "https://docs.python.org/3/library/os.html",
    "https://docs.python.org/3/search.html?q=dict",
    "https://docs.python.org/3/library/token.html",
    "https://docs.python.org/3/library/secrets.html",
    "https://developer.mozilla.org/en-US/docs/Web/API/fetch",
    "https://developer.mozilla.org/en-US/docs/Web/API/Fetch_API/Using_Fetch#body",
    "https://developer.mozilla.org/en-US/search?q=fetch",
    "https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Operators/delete",
    "https://en.wikipedia.org/wiki/HTTP",
    "https://de.wikipedia.org/wiki/K%C3%B6ln",
    "https://en.wikipedia.org/wiki/C%2B%2B",
    "https://en.wikipedia.org/w/index.php?title=HTTP&action=history",
    "https://en.m.wikipedia.org/wiki/Git",
    "https://www.rfc-editor.org/rfc/rfc9110.html",
    "https://www.rfc-editor.org/rfc/rfc9110.txt",
    "https://datatracker.ietf.org/doc/rfc9110/",
    "https://pypi.org/project/requests/",
    "https://pypi.org/pypi/requests/json",
    "https://pypi.org/simple/requests/",
    "https://www.npmjs.com/package/react",
    "https://www.npmjs.com/package/@types/node",
    "https://registry.npmjs.org/react",
    "https://registry.npmjs.org/react/latest",
    "https://crates.io/crates/serde",
    "https://crates.io/api/v1/crates/serde",
    "https://docs.rs/serde/latest/serde/",
    "https://docs.rs/tokio/1.38.0/tokio/process/struct.Command.html",
    "https://pkg.go.dev/net/http",
    "https://go.dev/doc/effective_go",
    "https://kubernetes.io/docs/concepts/configuration/secret/",
    "https://kubernetes.io/docs/home/",
    "https://www.postgresql.org/docs/current/sql-select.html",
    "https://www.postgresql.org/docs/16/functions-admin.html",
    "https://sqlite.org/lang.html",
    "https://www.sqlite.org/pragma.html",
    "https://dev.mysql.com/doc/refman/8.0/en/select.html",
    "https://requests.readthedocs.io/en/latest/",
    "https://flask.palletsprojects.com/en/stable/quickstart/",
    "https://docs.djangoproject.com/en/5.0/topics/auth/",
    "https://numpy.org/doc/stable/reference/generated/numpy.array.html",
    "https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.eval.html",
    "https://scikit-learn.org/stable/",
    "https://react.dev/learn",
    "https://react.dev/reference/react/useState",
    "https://nextjs.org/docs",
    "https://svelte.dev/docs",
    "https://tailwindcss.com/docs/installation",
    "https://www.typescriptlang.org/docs/handbook/2/everyday-types.html",
    "https://nodejs.org/api/fs.html",
    "https://nodejs.org/en/docs",
    "https://doc.rust-lang.org/std/process/struct.Command.html",
    "https://doc.rust-lang.org/book/",
    "https://docs.github.com/en/rest/issues/issues?apiVersion=2022-11-28",
    "https://docs.github.com/en/authentication/connecting-to-github-with-ssh",
    "https://git-scm.com/docs/git-push",
    "https://docs.gitlab.com/ee/ci/yaml/",
    "https://docs.aws.amazon.com/cli/latest/reference/s3/",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html",
    "https://cloud.google.com/docs",
    "https://cloud.google.com/storage/docs/json_api",
    "https://learn.microsoft.com/en-us/dotnet/api/system.string?view=net-8.0",
    "https://redis.io/commands/set/",
    "https://redis.io/docs/latest/commands/",
    "https://www.mongodb.com/docs/manual/",
    "https://nginx.org/en/docs/",
    "https://docs.docker.com/reference/cli/docker/container/exec/",
    "https://helm.sh/docs/",
    "https://prometheus.io/docs/introduction/overview/",
    "https://grafana.com/docs/grafana/latest/",
    "https://developer.hashicorp.com/terraform/docs",
    "https://registry.terraform.io/providers/hashicorp/aws/latest/docs",
    "https://semver.org/",
    "https://keepachangelog.com/en/1.1.0/",
    "https://json-schema.org/",
    "https://www.w3.org/TR/html52/",
    "https://html.spec.whatwg.org/multipage/",
    "https://url.spec.whatwg.org/",
    "https://owasp.org/www-project-top-ten/",
    "https://stackoverflow.com/questions/11227809/why-is-processing-a-sorted-array-faster",
    "https://unicode.org/reports/tr9/",
    "https://peps.python.org/pep-0008/",
    "https://packaging.python.org/en/latest/",
    "https://jinja.palletsprojects.com/",
    "https://www.sqlalchemy.org/",
    "https://pytorch.org/docs/stable/index.html",
    "https://www.tensorflow.org/api_docs",
    "https://docs.pydantic.dev/latest/",
    "https://spring.io/projects/spring-boot",
    "https://docs.spring.io/spring-boot/index.html",
    "https://kotlinlang.org/docs/home.html",
    "https://www.ruby-lang.org/en/documentation/",
    "https://guides.rubyonrails.org/",
    "https://hexdocs.pm/elixir/Kernel.html",
    "https://www.php.net/manual/en/function.exec.php",
    "https://laravel.com/docs/11.x",
    "https://example.com/",
    "https://example.com",
    "https://www.example.com/",
    "https://man7.org/linux/man-pages/man1/ls.1.html",
    "https://gcc.gnu.org/onlinedocs/",
    "https://cmake.org/cmake/help/latest/",
    "https://eslint.org/docs/latest/rules/",
    "https://jestjs.io/docs/getting-started",
    "https://webpack.js.org/concepts/",
    "https://vite.dev/guide/",
    "https://expressjs.com/en/4x/api.html",
    "https://graphql.org/learn/",
    "https://grpc.io/docs/",
    "https://opensource.org/licenses",
    "https://choosealicense.com/licenses/mit/",
    "https://spdx.org/licenses/",
    "https://www.kernel.org/doc/html/latest/",
    "https://wiki.archlinux.org/title/Systemd",
    "https://arxiv.org/abs/1706.03762",
    "https://docs.oracle.com/javase/8/docs/api/",
    "HTTPS://DOCS.PYTHON.ORG/3/",
    "https://docs.python.org:443/3/",
]

INSIDE = [
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[2002:7f00:1::]/",
    "http://169.254.169.254/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://metadata.google.internal/",
    "http://100.100.100.200/",
    "http://10.0.0.1.nip.io/",
    "http://foo.local/",
    "http://db.internal/",
    "http://x.svc.cluster.local/",
    "http://localhost./",
    "http://LOCALHOST/",
    "http://localhost%00.example.com/",
    "http://①②⑦.⓪.⓪.①/",
    "http://[::1]:80/",
    "http://0x7f.0.0.1:80/",
    "http://017700000001/",
    "http://127.0.0.1:80\\@docs.python.org/",
    "https://docs.python.org:80@127.0.0.1/",
]

RISKY = [
    "http://docs.python.org/3/",
    "https://docs.python.org:8443/3/",
    "https://docs.python.org@evil.example/",
    "https://docs.python.org:x@evil.example/",
    "https://docs.python.org%2f@evil.example/",
    "https://docs.python.org\\@evil.example/",
    "https://evil.example#@docs.python.org/",
    "https://evil.example?https://docs.python.org/",
    "https://docs.python.org.evil.example/",
    "https://docs.python.org./",
    "https://docspython.org/",
    "https://xn--docs-python.org/",
    "https://docs.pуthon.org/",
    "https://ｄｏｃｓ.python.org/",
    "https:/docs.python.org/",
    "https:docs.python.org/",
    "//docs.python.org/",
    "docs.python.org/",
    " https://docs.python.org/",
    "https://docs.python.org/ ",
    "https://docs.python.org/\n",
    "https://docs.python.org/\r\nX: y",
    "https://docs.python.org/%0d%0aX",
    "https://docs.python.org/%00",
    "https://docs.python.org/../x",
    "https://docs.python.org/%2e%2e/x",
    "https://docs.python.org/..%2fx",
    "https://docs.python.org/.env",
    "https://docs.python.org/.git/config",
    "https://docs.python.org/x?data=AKIAIOSFODNN7EXAMPLE",
    "https://docs.python.org/search.html?q=AKIAIOSFODNN7EXAMPLE",
    "https://docs.python.org/search.html?q=ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "https://docs.python.org/dGhpcyBpcyBhIHNlY3JldCBmaWxlIGNvbnRlbnQ",
    "https://en.wikipedia.org/wiki/4f3c2a1b4f3c2a1b4f3c2a1b4f3c2a1b",
    "https://secretdataisexfiltratedhere.wikipedia.org/",
    "https://a.b.c.d.wikipedia.org/",
    "https://docs.python.org/?url=http://169.254.169.254/",
    "https://docs.python.org/?redirect=//evil.example",
    "https://docs.python.org/redirect?x=1",
    "https://docs.python.org/logout",
    "https://pypi.org/account/login/",
    "https://pypi.org/manage/project/x/delete",
    "https://www.npmjs.com/settings/tokens",
    "https://example.com/delete?id=1",
    "https://example.com/api/users/1/delete",
    "https://example.com/?file=../../etc/passwd",
    "https://example.com/search?q=<script>",
    "https://example.com/x",
    "https://example.com/?q=1",
    "https://en.wikipedia.org/w/index.php?title=Special:UserLogout",
    "https://en.wikipedia.org/w/api.php?action=edit&title=x",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://app-10-0-0-1.sslip.io/",
    "https://user:pass@docs.python.org/",
    "https://8.8.8.8/",
    "https://1.1.1.1/",
    "https://[2606:4700::1111]/",
    "ftp://docs.python.org/",
    "gopher://x/",
    "jar:http://x!/",
    "javascript:alert(1)",
    "data:text/html,x",
    "blob:https://x",
    "about:blank",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "netdoc:///etc/passwd",
    "php://input",
    "ws://docs.python.org/",
    "unix:///var/run/docker.sock",
    "http+unix://%2fvar%2frun%2fdocker.sock/x",
    "https://raw.githubusercontent.com/x/y/z.sh",
    "https://gist.github.com/x",
    "https://pastebin.com/raw/x",
    "https://transfer.sh/x",
    "https://abc.ngrok.io/",
    "https://x.trycloudflare.com/",
    "https://hooks.slack.com/services/x",
    "https://t.me/x",
    "https://t.co/x",
    "https://google.com/url?q=https://evil",
    "https://translate.google.com/translate?u=http://evil",
    "https://web.archive.org/save/http://x",
    "https://api.github.com/user",
    "https://api.openai.com/v1/models",
    "https://s3.amazonaws.com/bucket/x",
    "https://storage.googleapis.com/x",
    "https://docs.google.com/document/d/x",
    "https://huggingface.co/x/y/resolve/main/z.bin",
    "https://vercel.com/api/x",
    "https://registry.npmjs.org/-/whoami",
    "https://registry.npmjs.org/x/-/x-1.0.0.tgz",
    "https://pypi.org/packages/x.whl",
    "https://docs.python.org/3/archives/python-3.13-docs.tar.bz2",
    "https://docs.python.org/;evil",
    "https://docs.python.org//evil.example/",
    "https://docs.python.org/a?b",
    "https://docs.python.org/?q=a&token=b",
    "https://docs.python.org/?q=%3Cscript%3E",
    "https://docs.python.org/?cmd=ls",
    "https://docs.python.org/cgi-bin/x",
    "https://docs.python.org/server-status",
    "https://docs.python.org/wp-admin/",
    "https://www.w3.org/actuator/env",
    "https://docs.python.org/etc/passwd",
    "https://kubernetes.default/api",
]


def _get(url: str, around: Surroundings = AROUND, **more: Any) -> Risk:
    return assess_http({"method": "GET", "url": url, **more}, around)


@pytest.mark.parametrize("url", PAGES)
def test_page_of_a_listed_host_flows(url: str) -> None:
    risk = _get(url)
    assert risk.level == Level.LOW, risk.reasons


@pytest.mark.parametrize("url", INSIDE)
def test_inside_address_is_critical_in_every_spelling(url: str) -> None:
    assert _get(url).level == Level.CRITICAL


@pytest.mark.parametrize("url", RISKY)
def test_anything_else_escalates(url: str) -> None:
    assert _get(url).level >= Level.HIGH


@pytest.mark.parametrize(
    "method",
    ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "", "GET ", " GET", "GETX", "GET\n"],
)
def test_method_that_is_not_known_to_read_escalates(method: str) -> None:
    assert assess_http({"method": method, "url": "https://docs.python.org/3/"}, AROUND).level >= Level.HIGH


def test_deleting_and_paying_are_critical() -> None:
    assert assess_http({"method": "DELETE", "url": "https://api.shop.example/orders/1"}, AROUND).level == Level.CRITICAL
    assert "http.money" in assess_http({"method": "POST", "url": "https://api.bank.example/v1/transfers"}, AROUND).rules


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Authorization": "Bearer x"}}, {"headers": {"cookie": "a=b"}}, {"headers": {"X-Api-Key": "k"}}, {"headers": {"Host": "x"}},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}}, {"headers": {"X-Unknown": "b"}}, {"headers": {"Accept": "a\r\nX: y"}},
        {"headers": {"User-Agent": "A" * 300}}, {"headers": [("a", "b")]}, {"headers": {"Accept": b"x"}}, {"headers": {5: "x"}},
        {"headers": {"Accept": "dGhpcyBpcyBhIHNlY3JldCBmaWxlIGNvbnRlbnQ1"}}, {"body": "x"}, {"body": {}}, {"body": 0}, {"params": {"a": 1}},
        {"cookies": {}}, {"proxy": "http://x"},
    ],
)  # fmt: skip
def test_what_rides_along_escalates(more: dict[str, Any]) -> None:
    assert _get("https://docs.python.org/3/", **more).level >= Level.HIGH


@pytest.mark.parametrize(
    "more", [{}, {"headers": None}, {"headers": {}}, {"body": ""}, {"headers": {"Accept": "application/json"}}]
)
def test_plain_request_flows(more: dict[str, Any]) -> None:
    assert _get("https://docs.python.org/3/", **more).level == Level.LOW


@pytest.mark.parametrize(
    "request_",
    [None, "GET https://docs.python.org/", {}, {"url": "https://docs.python.org/"}, {"method": "GET"}, {"method": 1, "url": 2}],
)
def test_payload_of_another_kind_is_high(request_: object) -> None:
    assert assess_http(request_, AROUND).level == Level.HIGH


def test_user_may_list_a_host_and_never_an_inside_address() -> None:
    hosts = frozenset({"docs.shop.example", "wiki.corp", "127.0.0.1", "localhost"})
    around = Surroundings(workspace="/projects/shop", hosts=hosts)
    assert _get("https://docs.shop.example/api/", around).level == Level.LOW
    assert _get("https://other.shop.example/api/", around).level == Level.HIGH
    assert _get("https://wiki.corp/page", around).level == Level.LOW
    assert _get("https://127.0.0.1/", around).level == Level.CRITICAL
    assert _get("https://localhost/", around).level == Level.CRITICAL


@given(st.ip_addresses(v=4), st.data())
@settings(max_examples=300, deadline=None)
def test_every_spelling_of_an_address_is_the_address(address: ipaddress.IPv4Address, data: st.DataObject) -> None:
    number = int(address)
    parts = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    spelled = [data.draw(st.sampled_from([str(part), hex(part), f"0{part:o}" if part else "0"])) for part in parts]
    forms = [
        str(number),
        hex(number),
        ".".join(spelled),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
    ]
    form = data.draw(st.sampled_from(forms))
    assert address_of(form) == address
    wrapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    assert is_inside(wrapped) or not is_inside(address)
    if is_inside(address):
        assert leads_inside(form)
        assert leads_inside(f"{address}.nip.io")
        assert _get(f"http://{form}/").level == Level.CRITICAL


@given(
    st.sampled_from(PAGES),
    st.sampled_from(
        ["@evil.example", ".evil.example", "\\@evil.example", "%2f@evil.example", ":8443", "\u3002evil.example", ":x@127.0.0.1"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_listed_host_in_front_lends_its_name_to_nobody(page: str, tail: str) -> None:
    scheme, _, rest = page.partition("://")
    host, slash, path = rest.partition("/")
    assert _get(f"{scheme}://{host.removesuffix(':443')}{tail}{slash or '/'}{path}").level >= Level.HIGH


@given(
    st.sampled_from(PAGES),
    st.text(alphabet="ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789", min_size=40, max_size=80).filter(
        lambda text: any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    ),
)
@settings(max_examples=200, deadline=None)
def test_opaque_text_cannot_ride_on_a_page(page: str, secret: str) -> None:
    base = page.partition("?")[0].partition("#")[0].rstrip("/")
    assert _get(f"{base}/{secret}").level >= Level.HIGH
    assert _get(f"{base}?q={secret}").level >= Level.HIGH


@given(st.text(max_size=200))
@settings(max_examples=400, deadline=None)
def test_any_text_is_judged_and_unlisted(text: str) -> None:
    assert _get(text).level >= Level.HIGH


def test_every_listed_host_is_plain_and_none_leads_inside() -> None:
    for entry in table("http")["hosts"]:
        host = entry.partition("/")[0].lstrip(".")
        assert host == host.lower().strip()
        assert not leads_inside(host), host
