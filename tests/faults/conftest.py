"""The fixtures of the fault tests: the compiled shim, and a server of trials that runs under it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class Trials:
    """A client of `server.py`; each method of its `Server` is called by name."""

    def __init__(self, shim: Path, folder: Path) -> None:
        # The processes of trials print nothing; what a broken one prints is in this file.
        self.errors = (folder / "errors").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env={**os.environ, "LD_PRELOAD": str(shim)},
        )  # fmt: skip
        assert self._read() == "ready"

    def __call__(self, do: str, **given: Any) -> Any:
        """Ask the server and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.errors.close()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise AssertionError(f"the server of trials ended: {self.errors.read()[-4000:]}")
        return json.loads(line)


@pytest.fixture(scope="session")
def world() -> Any:
    """Return the module `world.py`, which lies beside the tests and in no package."""
    spec = importlib.util.spec_from_file_location("faults_world", HERE / "world.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the shim; without a compiler these tests are skipped, but not where every test has to run."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        reason = "these tests need Linux and a C compiler"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(HERE / "shim.c"), "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def trials(shim: Path) -> Iterator[Trials]:
    """Return the client of a server of trials."""
    # Not under pytest's own folder: a process without privileges has to be able to come here.
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o711)
    client = Trials(shim, folder)
    try:
        yield client
    finally:
        client.close()
        shutil.rmtree(folder)
