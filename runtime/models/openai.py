"""The port for OpenAI and everything that speaks its protocol.

Rules:
- The key comes from the environment and from nowhere else, and is read when something is asked, not before.
- One time for all of it: attempts, waits and a server that drips. The library's own repeating is off; ours honours what the service says.
- The reply's bytes are read by us, so that text, tokens and finish reason are there whatever the reply is worth.
- A service that refuses the JSON schema is asked once more with the schema in words.

Source: DESIGN §7; OpenAI's API reference. The library is imported when something is asked.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from ...policies.redact import redact
from ...schemas.errors import InvalidConfiguration, ModelFailed
from ...schemas.prompt import Prompt, Usage
from ..tokens import estimate
from . import openai_wire as wire
from .deadline import within
from .port import Answer
from .reading import read_answer
from .shape import Shape, shape_of
from .waiting import asked_s, is_worth_repeating, wait_s

if TYPE_CHECKING:
    import openai

T = TypeVar("T", bound=BaseModel)

LARGEST_BYTES = 8 * 1024 * 1024
_CONNECT_S = 10.0
_TRANSPORT = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_KINDS = {
    400: "invalid_request",
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    408: "timeout",
    422: "invalid_request",
    429: "rate_limited",
}
_HINTS = {
    "unauthorized": "check the key in {key} and what it may use",
    "not_found": "check the model's name, and OPENAI_BASE_URL when it is another service",
    "rate_limited": "wait, or use another model; the request is kept and can be started again",
    "quota": "the account behind {key} has no credit left",
    "timeout": "start it again, choose a faster model, or give the model more time",
    "unreachable": "check the network, OPENAI_BASE_URL, and SSL_CERT_FILE where the service has a certificate of its own",
}


@dataclass(frozen=True)
class OpenAIModel:
    """A model behind OpenAI's protocol.

    Args:
        model: as the service calls it.
        base_url: the service; empty: OPENAI_BASE_URL, or OpenAI itself.
        key_variable: name of the environment variable that holds the key.
        protocol: `chat` (every server) or `responses`.
        timeout_s: for one answer, attempts and waits included, in seconds.
        attempts: at most so many requests for one answer.
        sleep: waits; a test gives one that does not.
    """

    model: str
    base_url: str = ""
    key_variable: str = "OPENAI_API_KEY"
    protocol: wire.Protocol = "chat"
    timeout_s: float = 120.0
    attempts: int = 3
    sleep: Callable[[float], None] = time.sleep
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def name(self) -> str:
        """`openai:` and the model."""
        return f"openai:{self.model}"

    def check(self) -> None:
        """See whether there is a key. Raises: InvalidConfiguration."""
        self._key()

    def ask(self, prompt: Prompt, schema: type[T]) -> Answer[T]:
        """Ask once; see the port."""
        key = self._key()
        import_module("openai")  # half a second, once; not taken from the time for the answer
        shape = shape_of(schema)
        call = _Call(self, key, prompt, shape, time.monotonic() + self.timeout_s)
        try:
            found = within(self.timeout_s, call.answered)
        except TimeoutError:
            call.over.set()
            raise call.failed("timeout", f"no answer within {self.timeout_s:g} s") from None
        usage = found.usage or Usage(input_tokens=estimate(prompt.text), output_tokens=estimate(found.raw), estimated=True)
        return read_answer(
            schema,
            found.raw,
            model=f"openai:{found.model or self.model}",
            usage=usage,
            finish_reason=found.finish_reason,
            refusal=found.refusal,
            attempts=call.made,
        )

    def _key(self) -> str:
        key = self.environ.get(self.key_variable, "").strip()
        if not key:
            raise InvalidConfiguration(
                f"the model {self.name} needs a key, and {self.key_variable} is not set",
                hint=f"export {self.key_variable}=…; a server of your own that needs no key takes any text",
                key=self.key_variable,
            )
        return key


class _Call:
    """One answer: as many requests as it takes."""

    def __init__(self, options: OpenAIModel, key: str, prompt: Prompt, shape: Shape, deadline: float) -> None:
        self.options = options
        self.key = key
        self.prompt = prompt
        self.shape = shape
        self.deadline = deadline
        self.made = 0
        self.last = ""
        self.over = threading.Event()

    def answered(self) -> wire.Envelope:
        """Send until an answer comes.

        Raises:
            ModelFailed: none came, or none can come.
        """
        import openai

        form: wire.Form = "json_schema"
        with openai.OpenAI(
            api_key=self.key,
            base_url=self.options.base_url or self.options.environ.get("OPENAI_BASE_URL") or None,
            max_retries=0,
            timeout=self._patience(),
        ) as client:
            while True:
                self.made += 1
                try:
                    return wire.open_envelope(self.options.protocol, json.loads(self._sent(client, form)))
                except openai.APIStatusError as error:
                    if form == "json_schema" and _takes_no_schema(error):
                        form = "json_object"
                        self.made -= 1
                        continue
                    self._again(_kind(error), _said(error), error.status_code, _headers(error), _code(error))
                except (ValueError, RecursionError) as error:
                    # Not JSON, or cut off where nobody noticed: the answer did not arrive whole.
                    self._again("broken", f"what came back is not the protocol: {str(error)[:200]}", 502)
                except Exception as error:
                    if not _is_transport(error):
                        raise
                    timed_out = isinstance(error, openai.APITimeoutError) or "timeout" in type(error).__name__.lower()
                    self._again("timeout" if timed_out else "unreachable", _cause(error), 503)

    def _sent(self, client: openai.OpenAI, form: wire.Form) -> bytes:
        body: Any = wire.body(self.options.protocol, self.options.model, self.prompt, self.shape, form)
        resource: Any = client.responses if self.options.protocol == "responses" else client.chat.completions
        read = bytearray()
        with resource.with_streaming_response.create(**body, timeout=self._patience()) as response:
            for piece in response.iter_bytes():
                read += piece
                if len(read) > LARGEST_BYTES:
                    raise self.failed("broken", f"the answer is larger than {LARGEST_BYTES} bytes")
                self._left()
        return bytes(read)

    def _again(self, kind: str, said: str, status: int, headers: Mapping[str, str] | None = None, code: str = "") -> None:
        """Wait for the next attempt, or give up."""
        self.last = said
        headers = headers or {}
        if not is_worth_repeating(status, headers, code):
            raise self.failed("quota" if code == "insufficient_quota" else kind, said)
        if self.made >= self.options.attempts:
            raise self.failed(kind, f"{said} ({self.made} attempts)")
        now = datetime.now(UTC)
        pause = wait_s(self.made, headers, now, random.random())  # noqa: S311 - spreads clients, keeps no secret
        left = self._left()
        if pause >= left:
            asked = "the service asks to wait" if asked_s(headers, now) is not None else "the next attempt would come after"
            raise self.failed(kind, f"{said}; {asked} {pause:.3g} s, and the answer is due in {left:.1f} s")
        self.options.sleep(pause)

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0 or self.over.is_set():
            raise self.failed(
                "timeout", f"no answer within {self.options.timeout_s:g} s" + (f"; last: {self.last}" if self.last else "")
            )
        return left

    def _patience(self) -> Any:
        import openai

        left = self._left()
        return openai.Timeout(left, connect=min(left, _CONNECT_S))

    def failed(self, kind: str, said: str) -> ModelFailed:
        hint = _HINTS.get(kind, "start it again; the request is kept").format(key=self.options.key_variable)
        # What a service says about a key may hold a part of it.
        return ModelFailed(
            f"{self.options.name}: {redact(said, known=[self.key])}",
            hint=hint,
            kind=kind,
            model=self.options.name,
            attempts=self.made,
        )


def _takes_no_schema(error: openai.APIStatusError) -> bool:
    said = _said(error).lower()
    return error.status_code in (400, 422) and any(word in said for word in ("response_format", "json_schema", "text.format"))


def _kind(error: openai.APIStatusError) -> str:
    return _KINDS.get(error.status_code, "server_error" if error.status_code >= 500 else "invalid_request")


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return f"HTTP {error.status_code}" + (f": {text[:300]}" if isinstance(text, str) and text else "")


def _code(error: openai.APIStatusError) -> str:
    return error.code if isinstance(error.code, str) else ""


def _headers(error: openai.APIStatusError) -> dict[str, str]:
    return {name.lower(): value for name, value in error.response.headers.items()}


def _is_transport(error: Exception) -> bool:
    import openai

    return isinstance(error, openai.APIConnectionError | OSError) or type(error).__module__.split(".")[0] in _TRANSPORT


def _cause(error: BaseException) -> str:
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return f"{type(root).__name__}: {str(root)[:200] or 'the connection broke'}"
