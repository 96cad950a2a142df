"""Python: computing flows, and no way to a file, a process, a connection, a frame or a hidden name does."""

from __future__ import annotations

import importlib
import time
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.risk.python import assess_python
from assent.policies.risk.surroundings import Surroundings
from assent.policies.risk.tables import table
from assent.schemas.risk import Level

AROUND = Surroundings(workspace="/projects/shop")

COMPUTES = [
    "x = 5\nprint(x)",
    'class P:\n    def __init__(self, x):\n        self._x = x\n    def __repr__(self):\n        return f"P({self._x})"\nprint(P(1))',
    "class A: pass\nclass B(A):\n    def __init__(self):\n        super().__init__()\n        self.y = 1",
    "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int\n    y: list = field(default_factory=list)\nprint(P(1))",
    'if __name__ == "__main__":\n    print("hi")',
    'print("{} {}".format(1, 2))',
    'print("{0:.2f}".format(3.14159))',
    't = "{} {}"\nprint(t.format(1, 2))',
    'print("%s %d" % ("a", 1))',
    'print(f"{3.14159:.2f}")',
    "from math import *\nprint(sqrt(2))",
    "import math\nprint(math.sqrt(2), math.pi)",
    "import math as m\nprint(m.floor(2.5))",
    'import collections\nprint(collections.Counter("abc"))',
    'from collections import namedtuple\nP = namedtuple("P", ["x", "y"])\nprint(P(1, 2)._asdict())',
    "import itertools\nprint(list(itertools.permutations([1,2,3])))",
    "from functools import reduce, lru_cache\n@lru_cache(maxsize=None)\ndef fib(n):\n    return n if n < 2 else fib(n-1) + fib(n-2)\nprint(fib(30))",
    'import json\nprint(json.dumps({"a": 1}, indent=2))',
    'import json\nd = json.loads(\'{"a": 1}\')\nprint(d["a"])',
    'import re\nm = re.match(r"(\\d+)-(\\w+)", "12-ab")\nprint(m.group(1))',
    "from datetime import datetime, timedelta\nprint((datetime(2024,1,1) + timedelta(days=3)).isoformat())",
    'import datetime\nprint(datetime.datetime.now().strftime("%Y"))',
    "import statistics\nprint(statistics.mean([1,2,3]))",
    "from decimal import Decimal, getcontext\ngetcontext().prec = 10\nprint(Decimal(1)/Decimal(7))",
    "from fractions import Fraction\nprint(Fraction(1,3))",
    'import hashlib\nprint(hashlib.sha256(b"x").hexdigest())',
    'import base64\nprint(base64.b64encode(b"x").decode())',
    "import uuid\nprint(uuid.uuid4())",
    "import time\nt = time.time()\nprint(time.time() - t)",
    "import sys\nprint(sys.version)",
    'import os.path\nprint(os.path.join("a", "b"))',
    'import os\nprint(os.path.basename("/a/b"))',
    'from os.path import splitext\nprint(splitext("a.b"))',
    "import heapq\nh = []\nheapq.heappush(h, 1)",
    "import bisect\nprint(bisect.bisect([1,2,3], 2))",
    "import string\nprint(string.ascii_lowercase)",
    "from enum import Enum\nclass C(Enum):\n    A = 1\nprint(C.A.name)",
    "from typing import List, Optional\ndef f(x: List[int]) -> Optional[int]:\n    return x[0] if x else None",
    'try:\n    int("x")\nexcept ValueError as e:\n    print(e)\nfinally:\n    print("done")',
    "def gen():\n    yield 1\n    yield from [2, 3]\nprint(list(gen()))",
    "with_ = [1]\nprint(with_)",
    "a, *b = [1, 2, 3]\nprint(a, b)",
    'd = {k: v for k, v in zip("abc", range(3))}\nprint(d)',
    "s = {x for x in range(10) if x % 2}\nprint(s)",
    "print(sorted([3,1,2], key=lambda x: -x))",
    "print(list(map(lambda x: x*2, filter(lambda x: x > 1, [1,2,3]))))",
    "matrix = [[1,2],[3,4]]\nprint([list(r) for r in zip(*matrix)])",
    "x = 10\nwhile x > 0:\n    x -= 1\nprint(x)",
    "while True:\n    break",
    'for i, c in enumerate("abc", 1):\n    print(i, c, end=" ")',
    "def f(n):\n    if n <= 1: return 1\n    return n * f(n-1)\nprint(f(10))",
    "print(sum(i*i for i in range(100)))",
    'print(type(1), type("a").__name__)',
    "print(isinstance(1, int), issubclass(bool, int))",
    "input = [1,2,3]\nprint(max(input))",
    "match (1, 2):\n    case (a, b):\n        print(a + b)\n    case _:\n        pass",
    "print(1 if True else 2)",
    "assert 1 + 1 == 2",
    "lst = [1]\nlst.append(2)\nlst.extend([3])\nlst.pop()\ndel lst[0]",
    'print("a,b".split(","), "-".join(["a"]), "x".upper().strip().replace("X", "y"))',
    'import textwrap, pprint\npprint.pprint(textwrap.wrap("a b c", 2))',
    "import random\nrandom.seed(0)\nprint(random.choice([1,2]))",
    "global_x = 1\ndef f():\n    global global_x\n    global_x += 1",
    "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n        return n\n    return inner",
    "print(0xff, 0b11, 1_000, 1e5, 1j)",
    'print(bin(5), oct(8), hex(255), chr(97), ord("a"))',
    "print(divmod(7, 2), pow(2, 10), abs(-1), round(2.5))",
    'print(bytes([1,2]), bytearray(b"a"), memoryview(b"a")[0])',
    "class S:\n    def __enter__(self): return self\n    def __exit__(self, *a): return False\nwith S() as s:\n    print(s)",
    "class N:\n    def __init__(self, v, n=None):\n        self.v, self.n = v, n\n    def __iter__(self):\n        while self:\n            yield self.v\n            self = self.n",
    "@property\ndef x(self): return 1",
    "class T:\n    @staticmethod\n    def a(): return 1\n    @classmethod\n    def b(cls): return cls.a()\nprint(T.b())",
    "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def f(self): ...",
    'import copy\nprint(copy.deepcopy({"a": [1]}))',
    "import operator\nprint(sorted([(1,2)], key=operator.itemgetter(1)))",
    'from urllib.parse import urlencode, quote\nprint(urlencode({"a": 1}), quote("a b"))',
    'import ipaddress\nprint(ipaddress.ip_address("10.0.0.1").is_private)',
    'import csv, io\nr = csv.reader(io.StringIO("a,b"))\nprint(list(r))',
    'import struct, binascii\nprint(binascii.hexlify(struct.pack("<I", 1)))',
    'import unicodedata\nprint(unicodedata.name("é"))',
    "import calendar\nprint(calendar.monthrange(2024, 2))",
    'import zoneinfo\nprint(zoneinfo.ZoneInfo("UTC"))',
    'import difflib\nprint(list(difflib.ndiff(["a"], ["b"])))',
    "import secrets\nprint(secrets.token_hex(4))",
    'import array\nprint(array.array("i", [1]))',
    "import cmath\nprint(cmath.sqrt(-1))",
    "import numbers\nprint(isinstance(1, numbers.Number))",
    "import shlex\nprint(shlex.split(\"a 'b c'\"))",
    'import ast\nprint(ast.literal_eval("[1, 2]"))',
    'import html\nprint(html.escape("<a>"))',
    'import graphlib\nts = graphlib.TopologicalSorter({"b": {"a"}})\nprint(list(ts.static_order()))',
    'import contextlib\nwith contextlib.suppress(ValueError):\n    int("x")',
    "from __future__ import annotations\nprint(1)",
    "import sys\nprint(sys.maxsize, sys.version_info.major)",
    "primes = [n for n in range(2, 50) if all(n % d for d in range(2, int(n**0.5) + 1))]\nprint(primes)",
    'print(*[1,2,3], sep=", ")',
    "x = lambda a, b=2, *c, d=3, **e: a\nprint(x(1))",
    'print(str(1) + repr("a") + ascii("é"))',
    "print([] or {} and None, not True, 1 in [1], 2 not in [1], 1 is None)",
    "print(2**100, -3 // 2, 7 % 3, 5 & 3, 5 | 3, 5 ^ 3, ~5, 1 << 3)",
    'print("abc"[::-1], [1,2,3][1:], (1,)[0])',
    "nums = [1,2,3]; nums[0] += 1; print(nums)",
    "if (n := 5) > 3: print(n)",
    'print("""multi line""")',
]

RISKY = [
    'import datetime; datetime.sys.modules["os"].system("id")',
    'import enum; enum.bltns.exec("x")',
    'import random; random._os.system("id")',
    'import uuid; uuid.os.system("id")',
    'from random import _os; _os.system("id")',
    "import statistics; statistics.sys.modules",
    "import typing; typing.get_type_hints(x)",
    "import typing; typing.sys.modules",
    "from typing import get_type_hints",
    "from typing import ForwardRef",
    "import functools; functools.singledispatch(lambda x: x)",
    'import operator; operator.attrgetter("a")(1)',
    'from operator import attrgetter as a; a("x")',
    'import string; string.Formatter().format("{0.x}", 1)',
    '"{0.__class__}".format(1)',
    '"{0.gi_frame}".format(1)',
    "x = input(); x.format(1)",
    '"{}".join(["a"]).format(1)',
    'f = str.format; f("{0.a}", 1)',
    'list(map(str.format, ["a"], [1]))',
    '"{0[a]}".format_map({})',
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 0).__globals__",
    "(x for x in [1]).gi_frame.f_globals",
    "[].__class__",
    "try:\n    1/0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
    "def f():\n    yield\nf().gi_code",
    'getattr(1, "x")',
    'setattr(int, "x", 1)',
    'delattr(int, "x")',
    'globals()["x"]',
    "locals()",
    "vars()",
    'eval("1")',
    'exec("1")',
    'compile("1", "", "eval")',
    '__import__("os")',
    '__builtins__["eval"]',
    "__loader__",
    "__spec__",
    'open("x")',
    'open("x", "w").write("y")',
    "input()",
    "breakpoint()",
    "help()",
    'import os; os.listdir(".")',
    "import os; os.environ",
    "import os; print(os.getcwd())",
    "import os; x = os",
    'import os.path; os.path.exists("x")',
    'import os.path as p; p.os.system("id")',
    "from os import path; path.os",
    "from os.path import os",
    'from os.path import *; os.system("x")',
    "import sys; sys.modules",
    "import sys; sys.path",
    'import sys; sys.stdout.write("x")',
    "import sys; sys._getframe()",
    "import sys; sys.exit(0); sys.meta_path",
    "import subprocess",
    "import shutil",
    "import socket",
    "import ctypes",
    "import pickle",
    "import marshal",
    "import importlib",
    "import builtins",
    "import code",
    "import codeop",
    "import pty",
    "import tempfile",
    'import pathlib; pathlib.Path("x")',
    "from pathlib import Path",
    'import io; io.open("x")',
    'import io; io.FileIO("x")',
    "from io import open",
    'import codecs; codecs.open("x")',
    "import json; json.codecs",
    "import json.decoder",
    "import csv; csv.io",
    "import re; re.sys",
    "import re; re.enum.sys",
    "import collections; collections._sys",
    "import collections.abc; collections.abc.sys",
    "import contextlib; contextlib.os",
    "import dataclasses; dataclasses.builtins",
    'import dataclasses; dataclasses.make_dataclass("a", ["b"])',
    "import dataclasses; dataclasses.inspect",
    "import logging",
    "import threading",
    "import multiprocessing",
    "import asyncio",
    "import signal",
    "import gc",
    "import inspect",
    "import types; types.FunctionType",
    "import types; types.CodeType",
    "import weakref",
    "import warnings",
    "import linecache",
    "import zipfile",
    'import gzip; gzip.open("x")',
    'import bz2; bz2.open("x")',
    "import urllib.request",
    "import urllib; urllib.request",
    "from urllib import request",
    'import urllib.parse; urllib.request.urlopen("x")',
    "import http.client",
    "import xml.etree.ElementTree",
    "import sqlite3",
    "import numpy",
    "import requests",
    "from . import x",
    "from .x import y",
    "from ..x import y",
    'import math as os; os.system("x")',
    "import math; math = 1; import os as math",
    "import math\nmath.system = 1",
    "import time; time.sleep(1000)",
    'import platform; platform.popen("x")',
    "import platform; platform.os",
    "import uuid; uuid.getnode()",
    "import uuid; uuid.uuid1()",
    "import traceback; traceback.sys",
    'import ast; ast.parse("x")',
    "import shlex; shlex.os",
    "import fnmatch; fnmatch.os",
    "import hashlib; hashlib.file_digest",
    "import secrets; secrets.os",
    "import base64; base64.main()",
    "import calendar; calendar.sys",
    "import calendar; calendar.main([])",
    "import heapq; heapq.__builtins__",
    "import textwrap; textwrap.re.enum",
    "import string; string._re",
    "import decimal; decimal.__loader__",
    "import html; html.parser",
    "import unittest; unittest.main()",
    'import timeit; timeit.timeit("x")',
    "import doctest",
    "import antigravity",
    "import this",
    "import webbrowser",
    'type("X", (), {})',
    't = type; t("X", (), {})',
    "type(*args)",
    'map(type, ["X"], [()], [{}])',
    'type(type(1))("X", (), {"__del__": lambda s: 1})',
    "class X(metaclass=M): pass",
    "class X:\n    def __del__(self): pass",
    "class X:\n    def __getattr__(self, n): pass",
    "class X:\n    def __init_subclass__(c): pass",
    "class X:\n    def __class_getitem__(c, x): pass",
    "class X:\n    def __reduce__(self): return (f, ())",
    "class X:\n    __reduce__ = 1",
    "def __getattr__(n): pass",
    'def eval(x): pass\neval("x")',
    'eval = print; eval("x")',
    "from math import sin as exec",
    "for open in [1]: pass",
    "def f(open): pass",
    "lambda getattr: 1",
    "class eval: pass",
    "global eval",
    "unknown_name",
    "foo()",
    "print(foo)",
    "async def f(): pass",
    "await x",
    "[x async for x in y]",
    "while True: pass",
    "while 1: x = 2",
    "2 ** 10 ** 10",
    "10 ** 100000000",
    "'a' * 10**12",
    "1 << 10**12",
    "# -*- coding: rot13 -*-",
    "# coding: utf-7",
    "# vim: set fileencoding=utf-16 :",
    'x = "\u202e"',
    'print("a\u200b")',
    "x = 1\x00",
    "def f(:",
    "print(1",
    "\tx = 1",
    '"__class__"',
    'b"__class__"',
    'f"{x.__class__}"',
    'f"{().__class__}"',
    'f"__{1}"',
    "x.__dict__",
    "x.__init__.__globals__",
    'super().__getattribute__("x")',
    "super().__reduce__()",
    "print.__self__",
    'print.__self__.eval("1")',
    "len.__module__",
    "int.__base__",
    "int.mro()",
    '"".mro',
    "(1).real.__class__",
    'print(**{"file": open("x")})',
    'print(file=open("x","w"))',
    "dict(__class__=1)",
    "match x:\n    case int(__class__=1): pass",
    "def f(__x): pass",
    "f(__x=1)",
    "import __main__",
    "from __main__ import x",
    "import __future__; __future__.x",
    "from os import system",
    "from subprocess import *",
    'exit(open("x"))',
    "@eval\ndef f(): pass",
    '@__import__("os").system\nclass x: pass',
    'x: __import__("os") = 1',
    'def f() -> eval("x"): pass',
    'x = [eval][0]("1")',
    "[e for e in [eval]]",
    "{**globals()}",
    'print(*open("x"))',
    'assert open("x")',
    'with open("x") as f: pass',
    "del __builtins__",
    'raise eval("x")',
    'lambda: eval("x")',
    'yield eval("x")',
    'x[eval("1")]',
    'x[open("a"):1]',
    "a = b = eval",
    "(a := eval)",
    "try: pass\nexcept eval: pass",
    "try: pass\nexcept* eval: pass",
]

BY_COMPUTED_NAMES = [
    "def g():\n    yield\nmatch g():\n    case object(gi_frame=f):\n        print(f)",
    'match (x for x in [1]):\n    case object(gi_frame=object(f_builtins=b)):\n        b["op"+"en"]',
    'match "{}":\n    case str(format=f):\n        f(1)',
    'class W:\n    __match_args__ = ("a",)',
    'import enum\nE = enum.Enum._convert_("E", "posix", lambda n: n == "system")\nE.system.value("id")',
    'from enum import Enum\nclass C(Enum):\n    A = 1\n    @classmethod\n    def f(cls):\n        return cls._convert_("E", "posix", lambda n: True)',
    'T = type(int)\nT("X", (), {})',
    'type(int)("X", (), {"_"+"_x_"+"_": 1})',
    "[type][0]",
    "from functools import update_wrapper",
    "import functools\nfunctools.update_wrapper(1, 2)",
    'import functools\nw = functools.wraps\nw(1, updated=("a",))',
    'from functools import wraps\nwraps(print, assigned=("a",))',
    "from functools import wraps as w\nx = w",
    'import typing\ntyping.get_args(typing.List["print(1)"])[0]._evaluate({}, {}, frozenset())',
    'from abc import ABCMeta\nABCMeta("M", (), {})',
    "import abc\nm = abc.ABCMeta",
    'from types import SimpleNamespace\nSimpleNamespace(**{"_"+"_reduce_ex_"+"_": 1})',
    "from types import SimpleNamespace as S\nf = S",
    'from enum import Enum\nn = "a"\nEnum("E", n)',
    "from enum import Enum\nE = Enum",
    'from enum import Enum\nclass E(Enum): pass\nE("X", {"a": 1})',
    'import functools\nc = functools.cached_property(len)\nc.attrname = "x"',
    "class M: pass\nmatch 1:\n    case M(f): pass",
    "class A(metaclass=print): pass",
    'class A(**{"metaclass": print}): pass',
    "x = 1\nx._evaluate",
    "def _evaluate(): pass\nx = 1\nx._evaluate()",
    'import dataclasses\ndataclasses.fields(1)[0].name = "x"',
    "from enum import *\nE = Enum",
    "from functools import *\nupdate_wrapper(1, 2)",
    "map(type, [1])",
    "x = type(1)",
    "lambda: type(1)",
]

PLAIN_USES = [
    "print(type(1))",
    "type(1)",
    "print(type(1).__name__)",
    "x = 1\nprint(type(x) == int)",
    'print(f"{type(1)}")',
    "from functools import wraps\ndef d(f):\n    @wraps(f)\n    def g(*a, **k):\n        return f(*a, **k)\n    return g",
    "import functools\ndef d(f):\n    @functools.wraps(f)\n    def g(): return f()\n    return g",
    'import enum; print(enum.Enum("C", "A B").A)',
    'from enum import Enum, auto\nclass C(Enum):\n    A = auto()\nprint(C(1), C["A"], list(C))',
    "from types import SimpleNamespace\ns = SimpleNamespace(a=1)\nprint(s.a)",
    "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\nprint(P(1)._asdict())",
    "from abc import ABC, ABCMeta, abstractmethod\nclass A(metaclass=ABCMeta): pass",
    "match 5:\n    case int(x):\n        print(x)",
    "class P:\n    def __init__(self):\n        self._x = 1\np = P()\nprint(p._x)",
    "class A:\n    def _h(self): return 1\n    def f(self): return self._h()",
    "match 1:\n    case P(x=1): pass\n    case _: pass\nclass P: pass",
    'from collections import namedtuple\nP = namedtuple("P", "x y")\nprint(P(1,2)._replace(x=3))',
]

SLOW = {
    "brackets": "(" * 2_000 + "1" + ")" * 2_000,
    "signs": "-" * 12_000 + "1",
    "negations": "not " * 3_000 + "1",
    "a chain": "+".join(["1"] * 6_000),
    "a list": "x = [" + ",".join(["1"] * 6_000) + "]",
    "fields": "f'" + "{a}" * 3_900 + "'",
    "lambdas": "lambda: " * 1_400 + "1",
    "attributes": "a" + ".b" * 6_000,
    "calls": "a" + "()" * 6_000,
    "loops": "while True: pass\n" * 700,
    "two million": "x" * 2_000_000,
}


@pytest.mark.parametrize("code", COMPUTES)
def test_computing_flows(code: str) -> None:
    risk = assess_python(code, AROUND)
    assert risk.level == Level.LOW, risk.reasons


@pytest.mark.parametrize("code", RISKY)
def test_anything_that_reaches_out_escalates(code: str) -> None:
    assert assess_python(code, AROUND).level >= Level.HIGH


@pytest.mark.parametrize("code", BY_COMPUTED_NAMES)
def test_attributes_and_classes_by_computed_names_escalate(code: str) -> None:
    assert assess_python(code, AROUND).level >= Level.HIGH


@pytest.mark.parametrize("code", PLAIN_USES)
def test_plain_uses_of_the_same_doors_flow(code: str) -> None:
    risk = assess_python(code, AROUND)
    assert risk.level == Level.LOW, risk.reasons


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess", "python.process"),
        ("eval('1')", "python.evaluates"),
        ("import socket", "python.network"),
        ("import shutil; shutil.rmtree('x')", "python.deletes"),
        ("import os; os.environ", "python.environment"),
        ("print(open('.env').read())", "path.secret"),
    ],
)
def test_the_worst_is_critical_and_named(code: str, rule: str) -> None:
    risk = assess_python(code, AROUND)
    assert risk.level == Level.CRITICAL
    assert rule in risk.rules


def test_file_of_the_workspace_with_the_name_of_a_module_would_run_in_its_place() -> None:
    folders = {"/projects/shop": ("json.py", "html", "re"), "/projects/shop/html": ("__init__.py",), "/projects/shop/re": ("notes.md",)}
    around = Surroundings(workspace="/projects/shop", listing=folders.get)
    assert assess_python("import json", around).rules == ("python.shadowed",)
    assert assess_python("from html import escape", around).level == Level.HIGH
    assert assess_python("import re", around).level == Level.LOW
    assert assess_python("import math", around).level == Level.LOW


def test_no_listed_name_is_a_module_or_opens_a_door() -> None:
    doors = {
        "open",
        "open_code",
        "system",
        "popen",
        "exec",
        "eval",
        "attrgetter",
        "methodcaller",
        "get_type_hints",
        "Formatter",
        "FileIO",
    }
    for module, names in table("python")["modules"].items():
        found = importlib.import_module(module)
        for name in names.split():
            listed = f"{module}.{name}" in table("python")["modules"]
            assert listed or not isinstance(getattr(found, name, None), types.ModuleType), (module, name)
            assert name not in doors or (module, name) == ("platform", "system"), (module, name)  # a word for the kind of machine


@pytest.mark.parametrize("name", SLOW)
def test_hostile_sizes_are_answered_in_time(name: str) -> None:
    best = min(_seconds(SLOW[name]) for _ in range(3))
    assert best < 0.25  # five times the promised bound, so that a busy machine does not fail it


def _seconds(code: str) -> float:
    began = time.perf_counter()
    assess_python(code, AROUND)
    return time.perf_counter() - began


@pytest.mark.parametrize("payload", [None, 5, b"1", ["1"]])
def test_payload_of_another_kind_is_high(payload: object) -> None:
    assert assess_python(payload, AROUND).level == Level.HIGH


@given(
    st.sampled_from([each for each in COMPUTES if "\n" not in each]),
    st.sampled_from(["eval('1')", "open('x')", "import os; os.listdir()", "().__class__", "foo()"]),
)
@settings(max_examples=200, deadline=None)
def test_computing_in_front_never_hides_what_follows(harmless: str, risky: str) -> None:
    assert assess_python(f"{harmless}\n{risky}", AROUND).level >= Level.HIGH
    assert assess_python(f"{risky}\n{harmless}", AROUND).level >= Level.HIGH


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_judged(code: str) -> None:
    assert assess_python(code, AROUND).findings
