"""Shell text: the exact bytes that `bash --noprofile --norc -c` would run, judged in the environment that the shell tool prepares.

    gate      refuses from the bytes alone                      shell_gate.py
    tree      tree-sitter-bash; an error or a missing node is HIGH
    walk      statements, as a list of accepted node kinds      shell_walk.py, shell_loops.py, shell_simple.py, shell_redirects.py
    script    variables, folders, substitutions, counters       shell_script.py
    words     one evaluator, with holes for what is not known   shell_words.py, shell_values.py
    commands  the table: flags, sub-commands, roles             shell_commands.py, shell_flags.py, shell_roles.py, tables/shell/
    inside    bash -c, xargs, find -exec, python -c, SQL, HTTP  shell_inner.py, shell_find.py, shell_foreign.py, programs.py
    danger    known harm by name; it only raises a level        shell_danger.py

Relied on from the shell tool: the working directory is the workspace, standard input is empty, no LD_*, GIT_*, PAGER, BASH_ENV, *_PROXY or
RIPGREP_CONFIG_PATH is inherited, no profile is read, git runs without pager, optional locks, hooks, file-system monitor and external diff.
What it does not do: prove that a command ends. The tool that runs it sets a time limit.
"""

from __future__ import annotations

from functools import lru_cache

import tree_sitter_bash
from tree_sitter import Language, Parser

from ...schemas.risk import Level, Reason, Risk
from .shell_danger import dangers
from .shell_gate import gate
from .shell_script import Script
from .shell_table import Table, table_digest, table_of
from .shell_walk import sequence, statement, walk
from .surroundings import Surroundings

_MAX_DEPTH = 4


def assess_shell(command: str, around: Surroundings, *, depth: int = 0) -> Risk:
    """Judge a shell command.

    Args:
        command: the text, byte for byte as it would be run.
        around: the workspace it runs in, its home, and how paths resolve.
        depth: how many commands this text stands inside; more than 4 is HIGH.

    Returns:
        LOW only when every part was proved to read only; the findings say what was not.
    """
    table = table_of(around)
    if depth > _MAX_DEPTH:
        reason = Reason(rule="shell.depth", level=Level.HIGH, text=f"commands inside commands, deeper than {_MAX_DEPTH}")
        return Risk.of([reason], tables=table.digest)
    try:
        findings, lines = _findings(command, around, table, depth)
    except Exception as defect:  # noqa: BLE001 - a defect of the judge has to hold the action up, never to end the run
        text = f"the judge failed on this text: {type(defect).__name__}"
        findings, lines = [Reason(rule="shell.defect", level=Level.HIGH, text=text)], []
    if any(finding.level > Level.LOW for finding in findings) or not findings:
        findings.extend(dangers(command, lines, table))
    return Risk.of(dict.fromkeys(findings), tables=table.digest)


def _findings(command: str, around: Surroundings, table: Table, depth: int) -> tuple[list[Reason], list[str]]:
    refused = gate(command)
    if refused is not None:
        return [refused], []
    source = command.encode("utf-8")
    root = _parser().parse(source).root_node
    if root.has_error or root.type != "program":
        text = "bash may read this otherwise than it looks: it does not parse"
        return [Reason(rule="shell.parse", level=Level.HIGH, text=text)], []
    script = Script(
        source, root, around, table,
        inner=lambda text: assess_shell(text, around, depth=depth + 1), statement=statement, sequence=sequence,
    )  # fmt: skip
    return walk(script, root), script.lines


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


__all__ = ["assess_shell", "table_digest"]
