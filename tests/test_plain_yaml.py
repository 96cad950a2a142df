"""YAML that is written without PyYAML is what PyYAML would have written."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.runtime.plain_yaml import plain_yaml

_ODD = [
    "", "yes", "No", "NULL", "y", "~", "1.5", "0x1f", "2026-01-01", "2026-11-26T07:31:51.211462Z", "x: y", "a:", "a:b", "a :b", "# c", "a #b", "a#b", "- x", "...",
    "---", "? k", "k ?", "'q'", "=", "<<", "trailing ", " leading", "two  blanks", "tab\tx", "one\ntwo\n\nlast", "a\u2028b", "\x07", "é ü", "sha256:ab12", "$0.00",
    "write out/f1.txt (new), 5 bytes", "long " * 40, "a" * 130, "not known: " + "the document declares no saving " * 3,
]  # fmt: skip
_SCALARS = st.one_of(
    st.sampled_from(_ODD), st.text(alphabet="ab :#-'\"\n,[]{}&*!|>%@`?é1.", max_size=30), st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False),
)
_KEYS = st.one_of(st.sampled_from(["step", "run_id", "Key"]), st.sampled_from(["step", "1", "null", "x y", "a: b", "k" * 90]))
_TREES = st.recursive(_SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)), max_leaves=20)


@given(st.dictionaries(_KEYS, _TREES, max_size=4))
@settings(max_examples=600, deadline=None)
def test_every_tree_is_written_as_pyyaml_writes_it(tree: dict[str, Any]) -> None:
    theirs = yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)
    assert plain_yaml(tree) == theirs


def test_a_list_that_stands_twice_is_written_twice() -> None:
    files = [{"name": "a"}]
    assert plain_yaml({"one": files, "two": files}) == "one:\n- name: a\ntwo:\n- name: a\n"


def test_a_deep_tree_is_written() -> None:
    tree: dict[str, Any] = {"end": "here"}
    for _ in range(60):
        tree = {"down": tree}
    assert yaml.safe_load(plain_yaml(tree)) == tree
