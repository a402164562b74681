"""ComfyUI's `workflow`, as its browser keeps it -> the graph that the browser would send.

Values of widgets stand there without names, in the order in which the browser draws them, so the order has to be known
for each class. Muted nodes are not there, bypassed ones hand their inputs on, notes say nothing.
"""

import operator
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from batchgen.interop.comfyui_graph import MAX_NODES, Graph, Link, Node
from batchgen.interop.imported import Findings, Unreadable

_AFTER: Final = "control_after_generate"
_CHOICES: Final = frozenset({"fixed", "increment", "decrement", "randomize"})
_ADVANCED: Final = (
    "add_noise noise_seed control_after_generate steps cfg sampler_name scheduler start_at_step end_at_step"
)

WIDGETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        kind: tuple(widgets.split())
        for kind, widgets in {
            "CheckpointLoaderSimple": "ckpt_name",
            "UNETLoader": "unet_name weight_dtype",
            "CLIPLoader": "clip_name type device",
            "DualCLIPLoader": "clip_name1 clip_name2 type device",
            "VAELoader": "vae_name",
            "LoraLoader": "lora_name strength_model strength_clip",
            "LoraLoaderModelOnly": "lora_name strength_model",
            "CLIPSetLastLayer": "stop_at_clip_layer",
            "CLIPTextEncode": "text",
            "CLIPTextEncodeFlux": "clip_l t5xxl guidance",
            "FluxGuidance": "guidance",
            "ConditioningZeroOut": "",
            "ModelSamplingFlux": "max_shift base_shift width height",
            "EmptyLatentImage": "width height batch_size",
            "EmptySD3LatentImage": "width height batch_size",
            "KSampler": "seed control_after_generate steps cfg sampler_name scheduler denoise",
            "KSamplerAdvanced": f"{_ADVANCED} return_with_leftover_noise",
            "SamplerCustomAdvanced": "",
            "RandomNoise": "noise_seed control_after_generate",
            "KSamplerSelect": "sampler_name",
            "BasicScheduler": "scheduler steps denoise",
            "BasicGuider": "",
            "CFGGuider": "cfg",
            "VAEDecode": "",
            "VAEEncode": "",
            "VAEEncodeForInpaint": "grow_mask_by",
            "SetLatentNoiseMask": "",
            "LatentFromBatch": "batch_index length",
            "LoadImage": "image upload",
            "LoadImageMask": "image channel upload",
            "ImageScale": "upscale_method width height crop",
            "ImageScaleBy": "upscale_method scale_by",
            "LatentUpscale": "upscale_method width height crop",
            "LatentUpscaleBy": "upscale_method scale_by",
            "UpscaleModelLoader": "model_name",
            "ImageUpscaleWithModel": "",
            "SaveImage": "filename_prefix",
            "PreviewImage": "",
        }.items()
    }
)
"""The widgets of every class that is read, in the browser's order."""

_NOTES: Final = frozenset({"Note", "MarkdownNote"})
_THROUGH: Final = frozenset({"Reroute"})
_MUTED, _BYPASSED = 2, 4
_COMMENT: Final = re.compile(r"/\*|//")
_DRAWN: Final = re.compile(r"\{[^{}]*\}")


def is_workflow(document: Any) -> bool:
    """Whether a document is what the browser keeps."""
    return isinstance(document, dict) and isinstance(document.get("nodes"), list)


def read_workflow(document: Mapping[str, Any], found: Findings, source: str) -> Graph:
    """Return the graph of a workflow.

    Args:
        document: JSON.
        found: Gets what cannot be said as a graph.
        source: Its file.

    Raises:
        Unreadable: it has another shape than the browser's.
    """
    nodes = [each for each in document["nodes"] if isinstance(each, dict) and isinstance(each.get("type"), str)]
    if len(nodes) > MAX_NODES:
        raise Unreadable(f"has more than {MAX_NODES} nodes", where=source)
    try:
        return _Workflow(nodes, document, found).graph()
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Unreadable("is no workflow of ComfyUI: its nodes or links have another shape", where=source) from error


class _Workflow:
    """Nodes by id and links by id, as the browser has them."""

    def __init__(self, nodes: list[dict[str, Any]], document: Mapping[str, Any], found: Findings) -> None:
        self._nodes = {str(each["id"]): each for each in nodes}
        self._links = dict(_links(document.get("links", [])))
        self._found = found

    def graph(self) -> Graph:
        made = {
            key: Node(id=key, kind=node["type"], inputs=MappingProxyType(self._inputs(node)))
            for key, node in self._nodes.items()
            if node.get("mode", 0) not in (_MUTED, _BYPASSED) and not self._virtual(node)
        }
        return MappingProxyType(made)

    @staticmethod
    def _virtual(node: Mapping[str, Any]) -> bool:
        return node["type"] in _NOTES | _THROUGH | {"PrimitiveNode"}

    def _inputs(self, node: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(self._widgets(node))
        for each in node.get("inputs") or []:
            if each.get("link") is not None and (source := self._source(each["link"])) is not None:
                found[each["name"]] = source
        return found

    def _widgets(self, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        values = node.get("widgets_values") or []
        if isinstance(values, dict):
            yield from values.items()
            return
        rest = list(values)
        for name in WIDGETS.get(node["type"], ()):
            if not rest:
                return
            # Workflows from before the widget existed have no value for it.
            if name != _AFTER:
                yield name, self._said(node, name, rest.pop(0))
            elif rest[0] in _CHOICES:
                rest.pop(0)

    def _said(self, node: Mapping[str, Any], name: str, value: Any) -> Any:
        """Return a text as the browser sends it: without comments. What it would draw by lot is refused."""
        if node["type"] != "CLIPTextEncode" or name != "text" or not isinstance(value, str):
            return value
        text = _without_comments(value)
        if drawn := _DRAWN.search(text):
            where = f"node {node['id']}"
            self._found.refuse(node["type"], f"{drawn[0][:60]!r} is drawn anew by the browser each time", where)
        return text

    def _source(self, link: int) -> Any:
        """Return what a link brings: a `Link`, or the value of a primitive node; None if it hangs in the air."""
        for _ in range(MAX_NODES):
            node_id, slot = self._links[link]
            node = self._nodes.get(node_id)
            if node is None or node.get("mode", 0) == _MUTED:
                return Link(node_id, slot)
            if node["type"] == "PrimitiveNode":
                return (node.get("widgets_values") or [None])[0]
            if node["type"] not in _THROUGH and node.get("mode", 0) != _BYPASSED:
                return Link(node_id, slot)
            before = self._before(node, slot)
            if before is None:
                return None
            link = before
        return None

    @staticmethod
    def _before(node: Mapping[str, Any], slot: int) -> int | None:
        """Return the link that a node which only hands on hands on at `slot`: of its input of the same type."""
        inputs = node.get("inputs") or []
        if node["type"] in _THROUGH:
            return inputs[0].get("link") if inputs else None
        kind = node["outputs"][slot]["type"]
        candidates = [*inputs[slot : slot + 1], *inputs]
        links = (each.get("link") for each in candidates if each.get("type") == kind)
        return next((link for link in links if link is not None), None)


def _without_comments(text: str) -> str:
    """Return a text without `/* ... */` and without what follows `//` on a line.

    >>> _without_comments("a /* b */ c // d")
    'a  c '
    """
    kept, at, closed = [], 0, text.rfind("*/")
    while mark := _COMMENT.search(text, at):
        block = mark[0] == "/*"
        if block and closed < mark.end():  # it is never closed, and so is no comment
            kept.append(text[at : mark.end()])
            at = mark.end()
            continue
        end = text.find("*/", mark.end()) + 2 if block else text.find("\n", mark.end())
        kept.append(text[at : mark.start()])
        at = len(text) if end < 0 else end
    return "".join(kept) + text[at:]


def _links(links: Any) -> Iterator[tuple[int, tuple[str, int]]]:
    """Yield the id of each link and where it comes from; newer workflows write mappings."""
    for each in links:
        if isinstance(each, dict):
            yield each["id"], (str(each["origin_id"]), operator.index(each["origin_slot"]))
        elif each:
            yield each[0], (str(each[1]), operator.index(each[2]))
