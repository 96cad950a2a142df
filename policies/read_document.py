"""Read what a person wrote: YAML or JSON text, or a mapping, into a `Document`.

Rules:
- every complaint at once, each with file, line, field, what was expected and what was found;
- unknown fields are complaints with the nearest known name: a misspelt `rollback_plan` must not vanish;
- documents with a single section load, and so do the wrappers of the guide (`proto_workflow`, `tier_3_par_workflow`, `par_workflow_2`);
  whether a document can run is decided when it is frozen.

Source: templates and examples of the problem/action/results guide; its PAR-PROTO sections (Problem, Action, Results with Plan, Review,
Observe, Test, Output) are kept as they were written. Deliberately absent: durations, money and dates, which freezing reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..schemas.document import Document
from ..schemas.errors import Complaint, InvalidDocument
from .fields import Reader, Reading, kind
from .nodes import Fields, Node, Scalar, is_empty, nodes_of
from .written_fields import OPEN, SECTIONS, TIER_WRAPPER, USE_CASE
from .yaml_nodes import read_nodes

_TIER = re.compile(r"tier_([1-4])_par_workflow")
_LINKED = re.compile(r"par_workflow_\w{1,40}")
_EMPTY = Document()


def read_document(text: str, *, file: str = "") -> Document:
    """Read a written document.

    Args:
        text: YAML or JSON, at most 1 MiB.
        file: its name, for the complaints.

    Raises:
        InvalidDocument: with every complaint.
    """
    return _whole(*read_as_far(text, file=file))


def document_from_mapping(mapping: Mapping[str, Any], *, file: str = "") -> Document:
    """Read a document that a program built; the same rules, without lines.

    Raises:
        InvalidDocument: with every complaint.
    """
    return _whole(*read_as_far(mapping, file=file))


def read_as_far(written: str | Mapping[str, Any], *, file: str = "") -> tuple[Document, list[Complaint]]:
    """Read as much of a document as can be read, and return it with every complaint, in the order of their lines.

    Args: as for `read_document` and `document_from_mapping`. What could not be read is left out of the document.
    """
    root, complaints = read_nodes(written, file=file) if isinstance(written, str) else nodes_of(written, file=file)
    return _document(root, complaints, file)


def _whole(document: Document, complaints: list[Complaint]) -> Document:
    if complaints:
        raise InvalidDocument(complaints, file=document.file)
    return document


def _document(root: Node | None, complaints: list[Complaint], file: str) -> tuple[Document, list[Complaint]]:
    reading = Reading(file)
    for complaint in complaints:
        reading.complain(complaint.where, complaint.expected, complaint.found, complaint.line)
    document = Document(file=file)
    if root is None or is_empty(root):
        reading.complain("document", "a mapping with at least a problem and an action", "nothing")
    elif not isinstance(root, Fields):
        reading.complain(
            "document", "a mapping with problem, action …", "plain text" if isinstance(root, Scalar) else "a list", root.line
        )
    else:
        document = _body(reading, root, "")
    if reading.omitted:
        reading.complaints.append(Complaint("document", "fewer mistakes", f"{reading.omitted:,} more complaints", file=file))
    document = document.model_copy(update={"file": file, "unchosen": tuple(reading.unchosen), "lines": reading.lines})
    return document, sorted(reading.complaints, key=lambda complaint: complaint.line or 0)


def _body(reading: Reading, node: Node, path: str, fields: Mapping[str, Reader] = SECTIONS) -> Document:
    """Read the sections of one workflow, unwrapping what wraps it. A path says that it is wrapped already."""
    if not isinstance(node, Fields):
        reading.complain(path, "a mapping with problem, action …", kind(node), node.line)
        return _EMPTY
    own = Fields({name: child for name, child in node.pairs.items() if path or not _is_wrapper(name)}, node.line)
    found = reading.values(own, path, fields)
    action, sections = found.pop("action", (None, {}))
    sections |= {name: found.pop(name) for name in OPEN if name in found}
    document = Document(action=action, sections=sections, **found)
    if sections.get("proto_workflow") is True and not document.metadata.workflow_type:
        document = _with_metadata(document, workflow_type="PAR-PROTO")
    if path:
        start = f"{path}."
        lines = {field.removeprefix(start): line for field, line in reading.lines.items() if field.startswith(start)}
        return document.model_copy(update={"lines": lines})
    linked = {name: _body(reading, child, name) for name, child in node.pairs.items() if _LINKED.fullmatch(name)}
    for name, child in node.pairs.items():
        if _is_wrapper(name) and name not in linked:
            document = _merged(reading, document, _unwrapped(reading, name, child), name, child.line)
    return document.model_copy(update={"linked": linked})


def _is_wrapper(name: str) -> bool:
    return name in ("proto_workflow", "par_workflow") or bool(_TIER.fullmatch(name) or _LINKED.fullmatch(name))


def _unwrapped(reading: Reading, name: str, node: Node) -> Document:
    tier = _TIER.fullmatch(name)
    if tier is None:
        return _with_metadata(_body(reading, node, name), workflow_type="PAR-PROTO" if name == "proto_workflow" else "PAR")
    found = reading.values(node, name, TIER_WRAPPER)
    case, path = found.pop("example_use_case", (Fields({}), name))
    inner = _with_metadata(_body(reading, case, path, USE_CASE), agent_tier=int(tier[1]))
    return inner.model_copy(update={"sections": inner.sections | found})


def _merged(reading: Reading, outer: Document, inner: Document, name: str, line: int | None) -> Document:
    """Lay the unwrapped workflow over what stands beside it; a section has one place."""
    there, here = _filled(outer), _filled(inner)
    both = sorted(there & here) + sorted(set(outer.sections) & set(inner.sections))
    if both:
        reading.complain(f"{name}.{both[0]}", "each section once, at the top or inside the wrapper", "both", line)
    for field, at in inner.lines.items():
        reading.lines.setdefault(field, at)
    document = outer.model_copy(
        update={field: getattr(inner, field) for field in here} | {"sections": outer.sections | inner.sections}
    )
    return _with_metadata(document, **{field: value for field, value in inner.metadata.as_json().items() if value})


def _with_metadata(document: Document, **known: object) -> Document:
    return document.model_copy(update={"metadata": document.metadata.model_copy(update=known)})


def _filled(document: Document) -> set[str]:
    fields = set(Document.model_fields) - {"metadata", "sections", "lines"}
    return {field for field in fields if getattr(document, field) != getattr(_EMPTY, field)}
