"""The analysers of the extra `analysis`, loaded when they are needed: radon (MIT) for complexity, bandit (Apache-2.0) for security.

Rules: nothing here is needed to run; who goes on without one says so in `not_looked_at` and never reports a zero instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from ...schemas.errors import NotFound

_HINT = 'install it with `pip install "assent[analysis]"`'


def installed() -> dict[str, str]:
    """Return the analysers that are installed, with their versions, and our own."""
    found = {}
    for name in ("assent", "radon", "bandit"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def complexity_of() -> Callable[[str], list[Any]]:
    """Return radon's function: source text in, blocks with `complexity`, `name` and `lineno` out. Raises: NotFound: radon is not installed."""
    try:
        found: Callable[[str], list[Any]] = import_module("radon.complexity").cc_visit
    except ImportError:
        raise NotFound("radon is not installed, so complexity is not measured", hint=_HINT) from None
    return found


def need_bandit() -> None:
    """Pass where bandit is installed. Raises: NotFound."""
    if find_spec("bandit") is None:
        raise NotFound("bandit is not installed, so the code is not scanned for insecure constructs", hint=_HINT)
