"""Reports as YAML: what PyYAML writes of the same tree, and what is read back is what was written."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assent.runtime.report_yaml import to_yaml

TEXT: Any = st.characters(exclude_categories=["Cs"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(TEXT, max_size=40)
    | st.sampled_from(["", "yes", "null", "~", "12", "1e3", "0x1f", "2026-11-26", "=", "<<", "- a", "a: b", "# a", "two\nlines\n", " blank ", "'", '"', "é ∑", "word " * 60])
)  # fmt: skip
TREES = st.dictionaries(st.text(TEXT, max_size=12), st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6, alphabet="abc: -"), inner, max_size=4), max_leaves=12
), max_size=5)  # fmt: skip


class Whole(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@given(TREES)
def test_it_is_what_the_library_writes_of_the_tree(tree: dict[str, Any]) -> None:
    text = to_yaml(tree)
    assert text == yaml.dump(tree, Dumper=Whole, sort_keys=False, allow_unicode=True, width=120)
    assert yaml.safe_load(text) == tree


def test_what_is_no_plain_value_is_an_error() -> None:
    for odd in (object(), date(2026, 11, 26), {"a"}, b"a"):
        with pytest.raises(yaml.representer.RepresenterError):
            to_yaml({"a": odd})
