"""http: one request, bounded in size, time and redirects, to public addresses.

Rules:
- `done` is an answer that says so; an error status of a write is `failed` for 4xx and `unknown` for 5xx.
- What provably was not sent is `not_started`; what was sent and not answered is `unknown` for a write and `failed` for a read.
- `keyed` sends the dispatch key as `Idempotency-Key`; only a service that is known to honour it makes the call safe to repeat.
- Summaries show the URL without user, password, query and fragment.

Source: DESIGN §6; reliability notes d.2 and d.3 (the allow-list of what counts as not done). Deliberately no undo and no session: what takes a
request back is another request, which the plan writes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ..schemas.canonical import parse
from ..schemas.dispatch import EffectClass, Effects, Receipt
from .output import number, plain, small_or_kept
from .tool import Arguments, Found, Place, Preview

_READS = frozenset({"GET", "HEAD"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "proxy-authorization",
     "proxy-connection", "accept-encoding"}
)  # fmt: skip
_SHOWN = ("content-type", "content-encoding", "etag", "last-modified", "retry-after", "x-request-id", "idempotency-replayed")


class HttpArguments(Arguments):
    """A request."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    url: str = Field(min_length=1, max_length=8192, description="http or https.")
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | dict[str, Any] | list[Any] | None = Field(default=None, description="Text, or a JSON value that is sent as JSON.")
    timeout_s: float | None = Field(default=None, gt=0, description="At most this long; the configured limit when it is shorter.")
    keyed: bool = Field(default=False, description="The service deduplicates on Idempotency-Key, which is then sent.")

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        if re.search(r"[\s\\\x00-\x20\x7f]", url):
            raise ValueError("a URL without spaces, control characters and backslashes")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"a URL ({error})") from error
        if parts.scheme.lower() not in ("http", "https") or not host:
            raise ValueError("a URL that begins with http:// or https:// and names a host")
        return url

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
                raise ValueError(f"header names that the caller may set, not {name!r}")
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or value != value.strip() or not value.isascii():
                raise ValueError(f"printable ASCII in the value of {name!r}")
        return headers

    @model_validator(mode="after")
    def _fits_the_method(self) -> HttpArguments:
        if self.method in _READS and self.body is not None:
            raise ValueError(f"no body with {self.method}")
        if self.method in _READS and self.keyed:
            raise ValueError(f"keyed is for writes, not for {self.method}")
        return self


class Http:
    """Sends one request."""

    name: ClassVar[str] = "http"
    Arguments: ClassVar[type[Arguments]] = HttpArguments
    atomic: ClassVar[bool] = False

    def actions(self, args: HttpArguments) -> Sequence[tuple[str, Any]]:
        """Return the request."""
        payload: dict[str, Any] = {"method": args.method, "url": args.url}
        if args.headers:
            payload["headers"] = dict(args.headers)
        if args.body is not None:
            payload["body"] = args.body
        return [("http", payload)]

    def effects(self, args: HttpArguments) -> Effects:
        """Return that it uses the network, and that what it sends cannot be called back."""
        writes = args.method not in _READS
        return Effects(reads=True, writes=writes, network=True, irreversible=writes)

    def effect_class(self, args: HttpArguments) -> EffectClass:
        """Return conditional for reads, keyed where the service deduplicates, opaque for the rest."""
        if args.method in _READS:
            return EffectClass.CONDITIONAL
        return EffectClass.KEYED if args.keyed else EffectClass.OPAQUE

    def preview(self, args: HttpArguments, place: Place) -> Preview:
        """Show the whole request."""
        content, kind = _body(args)
        lines = [f"{args.method} {args.url}", *(f"{name}: {value}" for name, value in args.headers.items())]
        if kind and not any(name.lower() == "content-type" for name in args.headers):
            lines.append(f"Content-Type: {kind}")
        if args.keyed:
            lines.append("Idempotency-Key: the key of the dispatch")
        detail = "\n".join(lines) + (f"\n\n{content.decode()}" if content else "")
        return Preview(
            headline=f"{args.method} {shown(args.url)}" + (f" ({len(content)} bytes)" if content else ""), detail=detail
        )

    def prepare(self, args: HttpArguments, place: Place) -> dict[str, Any]:
        """Return nothing: there is no state to note, and a look-up of the host would only invite another answer later."""
        return {}

    def run(self, args: HttpArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Send it, follow what may be followed, and judge the answer."""
        from . import address, exchange  # not at the top: httpx costs 100 ms, and a plan without requests should not pay

        began = time.perf_counter()
        content, kind = _body(args)
        headers = {"User-Agent": "assent", "Accept": "*/*", "Accept-Encoding": "identity"}
        if kind:
            headers["Content-Type"] = kind
        headers = {
            name: value for name, value in headers.items() if name.lower() not in {given.lower() for given in args.headers}
        } | args.headers
        if args.keyed:
            headers["Idempotency-Key"] = key
        limits = place.limits
        try:
            answer = exchange.exchange(
                exchange.Request(args.method, args.url, headers, content),
                allowed=place.hosts,
                time_s=min(limits.time_s, args.timeout_s or limits.time_s),
                most_bytes=limits.response_bytes,
                most_redirects=limits.redirects,
                sleep=place.sleep or time.sleep,
            )
        except address.NotPublic as refusal:
            receipt = Receipt(status="not_started", summary=f"{args.method} {shown(args.url)}: {refusal}")
        except exchange.Failed as failed:
            sent: Literal["failed", "unknown"] = "failed" if args.method in _READS else "unknown"
            receipt = Receipt(
                status="not_started" if failed.stage == "not_sent" else sent, summary=f"{args.method} {shown(args.url)}: {failed}"
            )
        else:
            receipt = _judged(args, place, answer)
        elapsed = time.perf_counter() - began
        output = {**receipt.output, "elapsed_ms": round(elapsed * 1000, 3)} if receipt.output else {}
        return receipt.model_copy(update={"duration_ms": int(elapsed * 1000), "output": output})

    def can_undo(self, args: HttpArguments) -> bool:
        """Return false: only a written undo takes a request back."""
        return False

    def undo(self, args: HttpArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Return that nothing was done."""
        return Receipt(status="not_started", summary="a request is taken back by a written undo only")

    def probe(
        self, args: HttpArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Return that a read left nothing, and that nothing is known of a write."""
        return "did_not_happen" if args.method in _READS else "unknown"

    def recover(
        self, args: HttpArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Return None: an answer that was not recorded is lost."""
        return None


def shown(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "") + parts.path + ("?…" if parts.query else "")


def _body(args: HttpArguments) -> tuple[bytes, str]:
    if args.body is None:
        return b"", ""
    if isinstance(args.body, str):
        return args.body.encode(), "text/plain; charset=utf-8"
    return json.dumps(args.body, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _judged(args: HttpArguments, place: Place, answer: Any) -> Receipt:
    text, kept = small_or_kept(answer.body, place.keep)
    output: dict[str, Any] = {"status": answer.status, "body": text, "bytes": len(answer.body)}
    output["headers"] = {name: answer.headers[name][:200] for name in _SHOWN if name in answer.headers}
    notes = [f"{answer.redirects} redirects"] if answer.redirects else []
    if answer.was_cut:
        output["cut"] = True
        notes.append(f"the body was cut at {place.limits.response_bytes} bytes")
    if answer.not_followed:
        output["location"] = shown(answer.not_followed)
        notes.append(f"not followed to {output['location']}")
    if not kept and "json" in answer.headers.get("content-type", ""):
        try:
            output["json"] = plain(parse(answer.body))
            del output["body"]
        except ValueError:
            notes.append("the body is not the JSON that it says it is")
    elif not kept and (value := number(text)) is not None:
        output["value"] = value
    status = _status(args.method in _READS, answer)
    return Receipt(
        status=status,
        summary="; ".join([f"{args.method} {shown(args.url)}: {answer.status}, {len(answer.body)} bytes", *notes]),
        output=output,
        output_ref=kept,
    )


def _status(is_read: bool, answer: Any) -> Literal["done", "failed", "unknown"]:
    code = answer.status
    if is_read:
        return "done" if 200 <= code < 300 and not answer.was_cut else "failed"
    if 200 <= code < 300 or code == 303:  # See Other: it was done, and the result is elsewhere
        return "done"
    # 307 and 308 that were not followed say that nothing was processed here; 301 and 302 are used both ways.
    return "failed" if 400 <= code < 500 or code in (307, 308) else "unknown"
