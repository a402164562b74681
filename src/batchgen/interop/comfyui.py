"""ComfyUI's graphs -> one recipe for every picture that a graph saves."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from batchgen.interop.comfyui_evaluation import SAVERS, Evaluation, Missing
from batchgen.interop.comfyui_graph import Graph, Node, is_graph, read_graph
from batchgen.interop.comfyui_nodes import KINDS
from batchgen.interop.comfyui_recipes import Branch, branch_of, placed
from batchgen.interop.comfyui_values import Decoded, Enlarged, Image, Loaded, Resized
from batchgen.interop.comfyui_workflow import is_workflow, read_workflow
from batchgen.interop.imported import Findings, Imported, Needed, Unreadable, frozen

OURS: Final = "batchgen"
"""Under this key of a node's `_meta` a graph of ours says what ComfyUI has no input for."""
OURS_FIELDS: Final = ("precision", "rounding", "vae_tiling")

_IMAGES: Final = (Loaded, Resized, Enlarged, Decoded)
_PREFIXES: Final = ("ComfyUI", OURS)
"""The savers' names for pictures where nobody chose one."""


def is_comfyui(document: Any) -> bool:
    """Whether a JSON value is a graph of ComfyUI: the API's, the API's in its envelope, or the browser's."""
    return is_graph(document) or is_workflow(document) or (isinstance(document, dict) and is_graph(_sent(document)))


def _sent(document: Mapping[str, Any]) -> Any:
    return document.get("prompt")


def read_comfyui(document: Any, source: str) -> tuple[Imported, ...]:
    """Return what every saver of a graph saves; the same picture once.

    Raises:
        Unreadable: the graph has another shape than ComfyUI's, or saves nothing that was sampled.
    """
    if not is_comfyui(document):
        raise Unreadable("is no graph of ComfyUI", where=source)
    findings = Findings()
    if is_workflow(document):
        graph = read_workflow(document, findings, source)
    else:
        graph = read_graph(document if is_graph(document) else _sent(document), source)
    try:
        branches = _branches(graph, findings)
    except RecursionError as error:
        raise Unreadable("its nodes are chained too deep", where=source) from error
    if not branches:
        reason = (
            "; ".join(str(each) for each in findings.refused) or "no SaveImage or PreviewImage saves what was sampled"
        )
        raise Unreadable(reason, where=source)
    different: dict[str, Imported] = {}
    for node, branch in branches:
        for each in _pictures(node, branch, findings, source):
            different.setdefault(repr((each.recipe, each.checkpoint)), each)
    return tuple(different.values())


def _branches(graph: Graph, findings: Findings) -> list[tuple[Node, Branch]]:
    evaluation = Evaluation(graph, findings, KINDS)
    found = []
    for node in _savers(graph):
        try:
            image: Image = evaluation.value(node, "images", _IMAGES)
            if (plain := _file_of(image)) is None:
                found.append((node, branch_of(image, graph, findings)))
            elif isinstance(image, Loaded):
                findings.warn(f"{node.label} shows {plain!r} itself; there is nothing to make")
            else:
                evaluation.refuse(node, f"changes {plain!r} without sampling; `batchgen upscale FILE model=NAME` does")
        except Missing:
            continue
    return found


def _savers(graph: Graph) -> Iterator[Node]:
    known = [node for node in graph.values() if node.kind in SAVERS]
    # A graph that saves with a class of somebody's own is still understood up to there.
    yield from known or (node for node in graph.values() if "images" in node.inputs)


def _file_of(image: Image) -> str | None:
    while isinstance(image, Resized | Enlarged):
        image = image.inner
    return image.file if isinstance(image, Loaded) else None


def _pictures(node: Node, branch: Branch, findings: Findings, source: str) -> Iterator[Imported]:
    """Yield the pictures of a batch: all under one seed, each with its place in the batch's noise."""
    ours = node.notes.get(OURS)
    own = {key: ours[key] for key in OURS_FIELDS if key in ours} if isinstance(ours, dict) else {}
    prefix = node.inputs.get("filename_prefix")
    name = prefix if isinstance(prefix, str) and not prefix.startswith(_PREFIXES) and "%" not in prefix else None
    first = Imported(
        source=source,
        recipe=frozen({**placed(branch.recipe, 0, branch.batch), **own}),
        checkpoint=Needed(kind="checkpoint", name=branch.checkpoint),
        files=branch.files,
        name=name.replace("\\", "/").rsplit("/", 1)[-1] or None if name else None,
        warnings=tuple(findings.warnings),
        refused=tuple(findings.refused),
    )
    yield first
    for index in range(1, branch.batch):
        yield replace(first, recipe=frozen({**placed(branch.recipe, index, branch.batch), **own}))
