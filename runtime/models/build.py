"""A model from what a caller gives: `openai:gpt-…`, a mapping, a LangChain chat model, a model of ours, or nothing.

    None                                          no model; written documents run all the same
    "openai:gpt-…"                                OpenAI, or what OPENAI_BASE_URL names
    "openai:gpt-…@http://127.0.0.1:8000/v1"       a service of that address
    {"model": "gpt-…", "base_url": …, "key": NAME_OF_VARIABLE, "protocol": "responses", "timeout_s": 60}
    a LangChain chat model                        as it is

Nothing is asked and no key is read here; a wrong key shows when something is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ...schemas.errors import InvalidConfiguration
from .port import Model

_FIELDS = {"model": str, "base_url": str, "key": str, "protocol": str, "timeout_s": float, "attempts": int}
_HINT = 'for example model="openai:gpt-5-mini", a LangChain chat model object, or None'


def build(given: Any, *, timeout_s: float = 120.0) -> Model | None:
    """Return the model.

    Args:
        given: see above.
        timeout_s: for one answer, in seconds.

    Raises:
        InvalidConfiguration: it is none of these.
    """
    if given is None or given == "":
        return None
    if isinstance(given, str):
        vendor, colon, rest = given.partition(":")
        model, _, base_url = rest.partition("@")
        if not colon or vendor.strip().lower() != "openai" or not model.strip():
            near = f"openai:{given}" if given.startswith(("gpt-", "o1", "o3", "o4")) else "openai:<model>"
            raise InvalidConfiguration(
                f"model: {given!r} names no model that can be built from text", hint=f"write {near!r}; {_HINT}", key="model"
            )
        return _openai({"model": model.strip(), "base_url": base_url.strip()}, timeout_s)
    if isinstance(given, Mapping):
        return _openai(given, timeout_s)
    if isinstance(given, Model):
        return given
    chat = sys.modules.get("langchain_core.language_models.chat_models")  # whoever has a chat model has imported this
    if chat is not None and isinstance(given, chat.BaseChatModel):
        from .langchain import LangChainModel

        return LangChainModel(given, timeout_s)
    raise InvalidConfiguration(f"model: {type(given).__name__} is no model", hint=_HINT, key="model")


def _openai(given: Mapping[str, Any], timeout_s: float) -> Model:
    from .openai import OpenAIModel

    for key, value in given.items():
        if key not in _FIELDS:
            raise InvalidConfiguration(
                f"model.{key}: no such setting", hint=f"the settings are {', '.join(_FIELDS)}", key=f"model.{key}"
            )
        if not isinstance(value, _FIELDS[key]) and not (_FIELDS[key] is float and isinstance(value, int)):
            raise InvalidConfiguration(
                f"model.{key}: expected {_FIELDS[key].__name__}, found {value!r}", hint=_HINT, key=f"model.{key}"
            )
    protocol = given.get("protocol", "chat")
    base_url = given.get("base_url", "")
    if protocol not in ("chat", "responses"):
        raise InvalidConfiguration(
            f"model.protocol: expected chat or responses, found {protocol!r}", hint="leave it out", key="model.protocol"
        )
    if base_url and not base_url.startswith(("http://", "https://")):
        raise InvalidConfiguration(
            f"model.base_url: expected http:// or https://, found {base_url!r}", hint=_HINT, key="model.base_url"
        )
    name = str(given.get("model", "")).removeprefix("openai:")
    time_s, attempts = float(given.get("timeout_s", timeout_s)), int(given.get("attempts", 3))
    if not name or time_s <= 0 or attempts < 1:
        raise InvalidConfiguration("model: it takes a name, a time above 0 s and at least one attempt", hint=_HINT, key="model")
    return OpenAIModel(
        model=name,
        base_url=base_url,
        key_variable=str(given.get("key", "OPENAI_API_KEY")),
        protocol=protocol,
        timeout_s=time_s,
        attempts=attempts,
    )
