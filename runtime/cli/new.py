"""`assent new`: write a document to start from, with every field explained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .command import SUCCEEDED, Door, print_json


def new(
    door: Door,
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="File to write; `-` for standard output.")] = "plan.yaml",
    template: Annotated[str, typer.Option(help="basic or complex.")] = "basic",
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it exists.")] = False,
) -> int:
    """Write a document to start from."""
    from ...prompts import templates
    from ...schemas.errors import NotAllowed, NotFound

    try:
        text = templates.template(template)
    except templates.UnknownTemplate as error:
        raise NotFound(str(error), hint="choose one with --template") from error
    if file == "-":
        sys.stdout.write(text)
        return SUCCEEDED
    path = Path(file)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise NotAllowed(f"{path} exists", hint="choose another name, or replace it with --force") from None
    if door.as_json:
        print_json({"file": str(path), "template": template})
    else:
        sys.stdout.write(f"wrote {path}; fill it in, then:  assent run {path}\n")
    return SUCCEEDED
