"""The small languages inside arguments: sed, awk and jq programs.

Each function names the first thing that is not on its list of what only reads and prints, or answers `None`. They accept what everyday
filters use; a program that opens a file, starts a command, reads the environment or is not understood is refused. They do not evaluate
anything and do not decide whether a program ends: what runs it sets a time limit.
"""

from __future__ import annotations

import re

_MAX_CHARS = 2000

# --- sed -------------------------------------------------------------------------------------------------------------------------------
_SED_PLAIN = frozenset("pPdDnNgGhHx=lzF")
_SED_EXIT = frozenset("qQ")
_SED_FLAGS = frozenset("gpiIm0123456789M")


def why_not_sed(program: str) -> str | None:
    """Return what in a sed program could do more than edit and print lines, or `None`. Commands `e`, `w`, `W`, `r`, `R` are refused."""
    if len(program) > _MAX_CHARS:
        return "is too long to be judged"
    at, end, depth = 0, len(program), 0
    while at < end:
        char = program[at]
        if char in " \t\n;":
            at += 1
            continue
        if char == "#":
            stop = program.find("\n", at)
            at = end if stop < 0 else stop
            continue
        if char == "}":
            depth -= 1
            at += 1
            if depth < 0:
                return "closes a brace that was not opened"
            continue
        after = _sed_addresses(program, at)
        if after < 0 or after >= end:
            return "has an address that is not understood"
        at = after
        char = program[at]
        if char == "{":
            depth += 1
            at += 1
            continue
        at = _sed_command(program, at)
        if at < 0:
            return f"uses {char!r}, which is not on the list of commands that only print"
    return "leaves a brace open" if depth else None


def _sed_addresses(text: str, at: int) -> int:
    at = _sed_address(text, at)
    if at >= 0:
        at = _blanks(text, at)
        if text[at : at + 1] == ",":
            at = _blanks(text, at + 1)
            if text[at : at + 1] in ("+", "~"):
                at += 1
                if not text[at : at + 1].isdigit():
                    return -1
            before = at
            at = _sed_address(text, at)
            if at == before:
                return -1
    if at < 0:
        return -1
    at = _blanks(text, at)
    while text[at : at + 1] == "!":
        at = _blanks(text, at + 1)
    return at


def _sed_address(text: str, at: int) -> int:
    match = re.compile(r"\d+(?:~\d+)?|\$").match(text, at)
    if match:
        return match.end()
    if text[at : at + 1] == "/":
        at = _delimited(text, at + 1, "/")
    elif text[at : at + 1] == "\\" and at + 1 < len(text) and text[at + 1] not in "\n\\":
        at = _delimited(text, at + 2, text[at + 1])
    else:
        return at
    while at >= 0 and text[at : at + 1] in ("I", "M"):
        at += 1
    return at


def _sed_command(text: str, at: int) -> int:
    char = text[at]
    if char in _SED_PLAIN:
        return _sed_ends(text, at + 1)
    if char in _SED_EXIT:
        match = re.compile(r"[ \t]*\d*").match(text, at + 1)
        return _sed_ends(text, match.end() if match else at + 1)
    if char in "btT:":
        match = re.compile(r"[ \t]*[A-Za-z0-9_]*").match(text, at + 1)
        return _sed_ends(text, match.end() if match else at + 1)
    if char in "sy":
        delimiter = text[at + 1 : at + 2]
        if not delimiter or delimiter in "\n\\" or delimiter.isalnum() or delimiter.isspace():
            return -1
        at = _delimited(text, at + 2, delimiter)
        at = _delimited(text, at, delimiter, regex=False) if at >= 0 else -1
        if at < 0:
            return -1
        while char == "s" and text[at : at + 1] and text[at] in _SED_FLAGS:
            at += 1
        return _sed_ends(text, at)
    if char in "aic":  # one line of text, up to the end of the line; nothing in it is a command
        stop = text.find("\n", at)
        line = text[at:] if stop < 0 else text[at:stop]
        return -1 if "\\" in line else at + len(line)
    return -1


def _sed_ends(text: str, at: int) -> int:
    at = _blanks(text, at)
    return at if at >= len(text) or text[at] in ";\n}#" else -1


def _blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _delimited(text: str, at: int, delimiter: str, *, regex: bool = True) -> int:
    """Return the offset after the closing delimiter, or -1. A bracket list does not protect the delimiter: then nothing is certain."""
    brackets = False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == "\n" and regex:
            return -1
        if char == delimiter:
            return -1 if brackets else at + 1
        if regex and char == "[" and not brackets:
            brackets = True
            at += 1
            if text[at : at + 1] == "^":
                at += 1
            if text[at : at + 1] == "]":
                at += 1
            continue
        if regex and char == "]":
            brackets = False
        at += 1
    return -1


# --- awk -------------------------------------------------------------------------------------------------------------------------------
_AWK_NEVER = re.compile(r"system|getline|ENVIRON|PROCINFO|SYMTAB|FUNCTAB|ARGV|ARGC|@|extension|\|&|/dev/|/inet")
_AWK_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\\\n|\#[^\n]*)|(?P<newline>\n)|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<string>"(?:[^"\\\n]|\\.)*")"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>\+\+|--|\|\||&&|[<>=!~+\-*/%^]=|!~|\*\*|[-+*/%^!<>|?:~=$,;(){}\[\]])"""
)
_AWK_REGEX = re.compile(r"/(?:[^/\\\n\[]|\\.|\[\^?\]?(?:[^\]\\\n/]|\\.)*\])*/")
_AWK_CALLS = frozenset(
    [
        "length",
        "substr",
        "index",
        "split",
        "sub",
        "gsub",
        "match",
        "sprintf",
        "tolower",
        "toupper",
        "int",
        "sqrt",
        "exp",
        "log",
        "sin",
        "cos",
        "atan2",
        "rand",
        "srand",
        "strftime",
        "systime",
        "mktime",
        "gensub",
        "asort",
        "asorti",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
        "compl",
        "strtonum",
        "printf",
        "print",
        "if",
        "while",
        "for",
        "exit",
        "next",
        "in",
        "do",
        "else",
        "return",
        "switch",
        "delete",
        "isarray",
        "typeof",
        "patsplit",
        "BEGIN",
        "END",
        "func",
        "function",
    ]
)
_AWK_WORDS = frozenset(["print", "printf", "return", "in", "if", "else", "do", "while", "exit", "case", "delete"])


def why_not_awk(program: str) -> str | None:
    """Return what in an awk program could do more than read its input and print, or `None`. Pipes and output files are refused."""
    if len(program) > _MAX_CHARS:
        return "is too long to be judged"
    if bad := _AWK_NEVER.search(program):
        return f"uses {bad[0]!r}, which reaches out of the program"
    own = set(re.findall(r"\bfunc(?:tion)?[ \t]+([A-Za-z_]\w*)[ \t]*\(", program))
    at, depth, printing, operand, previous = 0, 0, -1, False, ""
    while at < len(program):
        if program[at] == "/" and not operand:
            if previous in ("++", "--"):
                return "is ambiguous between a division and a pattern"
            regex = _AWK_REGEX.match(program, at)
            if not regex:
                return "has a pattern that is not understood"
            at, operand, previous = regex.end(), True, "/"
            continue
        token = _AWK_TOKEN.match(program, at)
        if not token:
            return f"holds {program[at]!r}, which is not understood"
        at, kind, text = token.end(), token.lastgroup, token[0]
        if kind == "space":
            continue
        if kind == "newline" or text in (";", "{", "}"):
            printing, operand, previous = -1, False, text
            continue
        if kind == "name":
            if program[at : at + 1] == "(" and text not in _AWK_CALLS and text not in own:
                return f"calls {text}, which is not on the list"
            if text in ("print", "printf"):
                printing = depth
            operand = text not in _AWK_WORDS
        elif kind in ("number", "string"):
            operand = True
        else:
            depth += text in ("(", "[")
            depth -= text in (")", "]")
            if text == "|":
                return "pipes into or out of a command"
            if text in (">", ">=") and printing >= 0 and depth <= printing and text == ">":
                return "prints into a file"
            if text in ("++", "--") and operand:
                previous = text
                continue
            operand = text in (")", "]")
            if text == "/=":
                return "is ambiguous between a division and a pattern"
        previous = text
    return None


# --- jq --------------------------------------------------------------------------------------------------------------------------------
_JQ_NEVER = re.compile(
    r"""\$__prog|\$ENV|(?<![.\w"$])(?:env|import|include|modulemeta|get_search_list|input_filename|load|load_\w+|strenv|envsubst|eval)\b(?!["\w])|\benv\.|\benv\["""
)
_JQ_FIELD_ENV = re.compile(r"(?<!\.)\.env\b")


def why_not_jq(program: str) -> str | None:
    """Return what in a jq program could do more than read its input, or `None`. The environment and modules are refused."""
    if len(program) > _MAX_CHARS:
        return "is too long to be judged"
    if bad := _JQ_NEVER.search(_JQ_FIELD_ENV.sub(".field", program)):
        return f"uses {bad[0]!r}, which reads more than its input"
    return None
