"""Execute every notebook of a folder, each in a temporary folder of its own, and name the cell that fails. Usage: notebooks.py FOLDER [NAME …]"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from ipykernel.kernelspec import write_kernel_spec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

LIMIT_S = 30
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def execute(path: Path) -> str:
    """Run a notebook from top to bottom; return what went wrong, or nothing."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    written = [number for number, cell in enumerate(notebook.cells, 1) if cell.get("outputs") or cell.get("execution_count")]
    if written:
        return f"cell {written[0]} has outputs; strip them before committing"
    with tempfile.TemporaryDirectory() as folder:
        local = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})
        client = NotebookClient(notebook, timeout=LIMIT_S, kernel_name="assent-ci", resources={"metadata": {"path": folder}}, config=local)
        began = time.monotonic()
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed = next((n for n, cell in enumerate(notebook.cells, 1) if any(o.output_type == "error" for o in cell.get("outputs", []))), 0)
            return f"cell {failed or '?'}:\n{_COLOURS.sub('', str(error))}"
        took = time.monotonic() - began
    if took > LIMIT_S:
        return f"took {took:.0f} s; the limit is {LIMIT_S} s"
    print(f"ok  {took:5.1f} s  {path.name}")
    return ""


def main() -> int:
    """Run all of them; the exit code is the number of those that fail."""
    paths = sorted(Path(sys.argv[1]).glob("*.ipynb"))
    if len(sys.argv) > 2:
        paths = [path for path in paths if any(name in path.name for name in sys.argv[2:])]
    if not paths:
        print("there are no notebooks there")
        return 1
    failures = 0
    with tempfile.TemporaryDirectory() as data:
        # A kernel of this very interpreter, whatever is installed for the user.
        write_kernel_spec(Path(data) / "kernels" / "assent-ci", overrides={"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]})
        os.environ["JUPYTER_PATH"] = data
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        for path in paths:
            problem = execute(path)
            if problem:
                failures += 1
                print(f"FAILED  {path.name}: {problem}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
