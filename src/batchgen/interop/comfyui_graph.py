"""ComfyUI's API graph: nodes by id, each with a class and with inputs that are values or links to other nodes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from batchgen.interop.imported import Unreadable

MAX_NODES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Link:
    """An input that another node gives."""

    node: str
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a graph."""

    id: str
    kind: str
    """The class, such as `KSampler`."""
    inputs: Mapping[str, Any]
    """Values as they are in JSON, or `Link`s."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What ComfyUI keeps with a node and does not read (`_meta`)."""

    @property
    def label(self) -> str:
        """As an error names it."""
        return f"node {self.id} ({self.kind})"


Graph = Mapping[str, Node]
"""Nodes by id."""


def parse(text: str, source: str) -> Any:
    """Read JSON as Python's programs write it: a bare NaN is no error.

    Raises:
        Unreadable: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("is not JSON", where=source) from error


def is_graph(document: Any) -> bool:
    """Whether a document is an API graph."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(isinstance(each, dict) and isinstance(each.get("class_type"), str) for each in document.values())
    )


def read_graph(document: Mapping[str, Any], source: str) -> Graph:
    """Return the nodes of an API graph.

    Raises:
        Unreadable: a node has another shape, or there are too many.
    """
    if len(document) > MAX_NODES:
        raise Unreadable(f"has more than {MAX_NODES} nodes", where=source)
    return MappingProxyType({key: _node(key, value, document, source) for key, value in document.items()})


def _node(key: str, value: Mapping[str, Any], document: Mapping[str, Any], source: str) -> Node:
    inputs, notes = value.get("inputs", {}), value.get("_meta")
    if not isinstance(inputs, dict):
        raise Unreadable(f"node {key} has no mapping of inputs", where=source)
    return Node(
        id=key,
        kind=value["class_type"],
        inputs=MappingProxyType({name: _input(each, document) for name, each in inputs.items()}),
        notes=MappingProxyType(notes if isinstance(notes, dict) else {}),
    )


def _input(value: Any, document: Mapping[str, Any]) -> Any:
    if isinstance(value, list) and len(value) == 2 and str(value[0]) in document and type(value[1]) is int:
        return Link(str(value[0]), value[1])
    return value
