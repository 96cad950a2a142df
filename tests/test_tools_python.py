"""Python: exactly the assessed code, isolated from the workspace's modules and the parent's environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from assent.schemas.canonical import canonical, digest
from assent.schemas.dispatch import EffectClass, Receipt
from assent.schemas.errors import InvalidPlan
from assent.tools.process import LONGEST_BYTES
from assent.tools.python import Python
from assent.tools.tool import Limits, Place, ToolRefused
from assent.tools.toolbox import standard


class MemoryKeep:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest(data)] = data
        return digest(data)

    def get(self, name: str) -> bytes:
        return self.kept[name]


TOOL = Python()
BOX = standard()


def place_in(folder: Path, **more: Any) -> Place:
    (folder / "workspace").mkdir(exist_ok=True)
    return Place(workspace=folder / "workspace", keep=MemoryKeep(), scratch=folder / "home" / "scratch", **more)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_in(tmp_path)


def run(place: Place, code: str, key: str = "key", **more: Any) -> Receipt:
    args: Any = BOX.parse("python", {"code": code, **more})
    receipt = TOOL.run(args, place, key=key, before=TOOL.prepare(args, place))
    canonical(receipt.as_json())
    return receipt


def test_code_runs_with_this_interpreter_in_the_workspace(place: Place) -> None:
    receipt = run(place, "import os, sys\nprint(sys.executable)\nprint(os.getcwd())\nopen('made', 'w').write('ü')")
    assert receipt.is_done
    assert receipt.output["stdout"] == f"{sys.executable}\n{place.workspace}\n"
    assert (place.workspace / "made").read_text(encoding="utf-8") == "ü"


def test_number_that_is_printed_is_the_value(place: Place) -> None:
    assert run(place, "print(6 * 7)").output["value"] == 42


def test_module_planted_in_the_workspace_is_not_imported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.workspace / "json.py").write_text("open('trapped', 'w')")
    (place.workspace / "sitecustomize.py").write_text("open('trapped', 'w')")
    monkeypatch.setenv("PYTHONPATH", str(place.workspace))
    assert run(place, "import json; json.dumps(1)").is_done
    assert not (place.workspace / "trapped").exists()


def test_error_fails_with_its_traceback(place: Place) -> None:
    receipt = run(place, "raise ValueError('what is wrong')")
    assert (receipt.status, receipt.output["exit_code"]) == ("failed", 1)
    assert "what is wrong" in receipt.output["stderr"]
    assert run(place, "def", key="2").status == "failed"


def test_endless_loop_is_stopped_and_unknown(place: Place) -> None:
    assert run(place, "while True: pass", timeout_s=0.4).status == "unknown"
    assert TOOL.probe(None, place, key="key", before={}, direction="do") == "unknown"  # type: ignore[arg-type]


def test_memory_is_limited(tmp_path: Path) -> None:
    receipt = run(place_in(tmp_path, limits=Limits(memory_bytes=300 * 1024**2)), "x = bytearray(400 * 1024 ** 2)")
    assert receipt.status == "failed"
    assert "MemoryError" in receipt.output["stderr"]


def test_end_is_recorded_and_the_receipt_can_be_rebuilt(place: Place) -> None:
    receipt = run(place, "print('x'); raise SystemExit(3)")
    assert TOOL.probe(None, place, key="key", before={}, direction="do") == "happened"  # type: ignore[arg-type]
    assert TOOL.recover(None, place, key="key", before={}, direction="do") == receipt  # type: ignore[arg-type]


def test_code_too_long_or_not_text_is_refused(place: Place) -> None:
    with pytest.raises(ToolRefused, match="earlier step"):
        run(place, "#" * (LONGEST_BYTES + 1))
    for code in ("", "a\0", "\ud800"):
        with pytest.raises(InvalidPlan, match="code"):
            BOX.parse("python", {"code": code})


def test_declaration(place: Place) -> None:
    args: Any = BOX.parse("python", {"code": "print(1)\nprint(2)"})
    assert TOOL.actions(args) == [("python", "print(1)\nprint(2)")]
    assert TOOL.effect_class(args) == EffectClass.OPAQUE
    assert TOOL.effects(args).network
    assert not TOOL.can_undo(args)
    assert TOOL.undo(args, place, key="u", receipt=Receipt(status="done")).status == "not_started"
    assert TOOL.preview(args, place).detail == "print(1)\nprint(2)"
