"""The outputs of a ComfyUI graph, each worked out once, from the nodes that need them back to those they need.

A node that cannot be said is refused by id and class, and what flows into it flows on, so that all that is wrong with a
graph is found at once and the rest can still be imported by who allows it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from batchgen.interop import comfyui_values as v
from batchgen.interop.comfyui_graph import Graph, Link, Node
from batchgen.interop.imported import Findings

SAVERS: Final = frozenset({"SaveImage", "PreviewImage"})

_T = TypeVar("_T")
_NOT_SAID: Final = object()
_THROUGH: Final[Mapping[type[Any], tuple[str, ...]]] = {
    v.ModelValue: ("model",),
    v.ClipValue: ("clip",),
    v.VaeValue: ("vae",),
    v.Conditioning: ("conditioning", "positive", "negative"),
    v.Mask: ("mask",),
    v.Sampled: ("samples", "latent_image", "latent"),
    v.Decoded: ("image", "images", "pixels"),
}
"""The inputs from which a node that is left out hands on what is asked of it."""


class Missing(Exception):
    """A node's input is not there, so that nothing comes of what needs it; why was kept."""


class Evaluation:
    """What each output of a graph stands for; each is worked out once."""

    def __init__(self, graph: Graph, found: Findings, kinds: "Kinds") -> None:
        self._graph = graph
        self._kinds = kinds
        self._found = found
        self._known: dict[str, tuple[Any, ...]] = {}
        self._open: set[str] = set()
        for node in graph.values():
            if node.kind not in self._kinds and node.kind not in SAVERS:
                self.refuse(node, "is no class of node that is read")

    def refuse(self, node: Node, reason: str) -> None:
        """Keep what cannot be said."""
        self._found.refuse(node.kind, reason, f"node {node.id}")

    def warn(self, node: Node, text: str) -> None:
        """Keep what will be a little different."""
        self._found.warn(f"{node.label}: {text}")

    def value(self, node: Node, name: str, kinds: type[_T] | tuple[type[Any], ...]) -> Any:
        """Return what comes in at an input.

        Raises:
            Missing: nothing of that kind does; why was kept.
        """
        link = node.inputs.get(name)
        if not isinstance(link, Link):
            self.refuse(node, f"nothing comes in at {name!r}")
            raise Missing
        found = self._output(node, link, kinds)
        if not isinstance(found, kinds):
            self.refuse(node, f"what comes in at {name!r} cannot stand there")
            raise Missing
        return found

    def literal(self, node: Node, name: str, kind: type[_T], default: Any = _NOT_SAID) -> _T:
        """Return a plain value of an input: a whole number also where a fraction may stand.

        Raises:
            Missing: it is another kind of thing; why was kept.
        """
        found = node.inputs.get(name, default)
        if kind is float and type(found) is int:
            found = float(found)
        if type(found) is not kind:
            said = "nothing" if found is _NOT_SAID or found is None else "a link" if isinstance(found, Link) else "it"
            self.refuse(node, f"{name}: {said} is no {'text' if kind is str else 'number'}")
            raise Missing
        return found

    def _output(self, asking: Node, link: Link, kinds: Any) -> Any:
        node = self._graph.get(link.node)
        if node is None:
            self.refuse(asking, f"needs node {link.node}, which is muted or not there")
            raise Missing
        if node.kind not in self._kinds:
            return self._handed_on(node, link.slot, kinds)
        if node.id in self._open:
            self.refuse(node, "needs itself")
            raise Missing
        if node.id not in self._known:
            self._open.add(node.id)
            try:
                self._known[node.id] = self._kinds[node.kind](self, node)
            finally:
                self._open.discard(node.id)
        outputs = self._known[node.id]
        return outputs[link.slot] if 0 <= link.slot < len(outputs) else None

    def _handed_on(self, node: Node, slot: int, kinds: Any) -> Any:
        """Return what flows into a node that is left out, in place of what it would make of it."""
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        names = [name for kind in wanted for name in _THROUGH.get(kind, ())]
        if slot == 1 and "negative" in node.inputs:
            names = [name for name in names if name == "negative"]
        through = next((name for name in names if isinstance(node.inputs.get(name), Link)), None)
        if through is None or node.id in self._open:
            raise Missing
        self._open.add(node.id)
        try:
            return self._output(node, node.inputs[through], kinds)
        finally:
            self._open.discard(node.id)


Kinds = Mapping[str, Callable[[Evaluation, Node], tuple[Any, ...]]]
"""How each class of nodes is read: what it gives at each output."""
