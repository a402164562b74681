"""Graphs, pictures and shelves as other programs and people leave them."""

import json
import struct

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def _text_to_image():
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15\\base.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (heron:1.2)", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["4", 0],
                "seed": 0,
                "steps": 20,
                "cfg": 8,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
                "denoise": 1.0,
            },
        },
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "ComfyUI"}},
    }


@pytest.fixture
def comfy_graph():
    """Return a maker of ComfyUI's own example graph, with changed nodes: `"3.steps"=8` or `"10"={...}`."""

    def make(**changes):
        graph = _text_to_image()
        for where, value in changes.items():
            node, _, name = where.partition("_")
            key = node.removeprefix("n")
            if name:
                graph[key]["inputs"][name] = value
            else:
                graph[key] = value
        return graph

    return make


@pytest.fixture
def text_to_image():
    """Return what the example graph says as fields."""
    return {
        "prompt": "a (heron:1.2)",
        "negative_prompt": "blurry",
        "emphasis": "comfy",
        "clip_skip": 1,
        "seed": 0,
        "steps": 20,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "guidance_scale": 8.0,
        "noise": "cpu",
        "noise_scale": "full",
        "rounding": "truncate",
        "width": 512,
        "height": 768,
    }


@pytest.fixture
def png(tmp_path):
    """Return a maker of PNG files with texts inside."""

    def make(name="picture.png", *, compressed=False, international=False, **texts):
        info = PngInfo()
        for key, text in texts.items():
            if international:
                info.add_itxt(key, text, zip=compressed)
            else:
                info.add_text(key, text, zip=compressed)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, pnginfo=info)
        return path

    return make


@pytest.fixture
def with_comment(tmp_path):
    """Return a maker of JPEG and WebP files with an Exif comment, as A1111 writes them."""

    def make(name, text, *, encoding="utf-16-be", code=b"UNICODE\0"):
        comment = code + text.encode(encoding)
        # One folder with a link to the next, which has one entry: the comment.
        inner = struct.pack(">HHHIII", 1, 0x9286, 7, len(comment), 44, 0) + comment
        exif = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0) + inner
        path = tmp_path / name
        Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0" + exif)
        return path

    return make


class FakeShelf:
    """Weights that are here: names by hash and by what they are exactly called."""

    def __init__(self, hashes=(), names=(), several=()):
        self._several = dict(several)
        self._hashes = dict(hashes)
        self._names = dict(names)

    def by_hash(self, kind, text, _called):
        return self._hashes.get((kind, text))

    def by_name(self, kind, text):
        return self._names.get((kind, text))

    def several(self, kind, text):
        return self._several.get((kind, text), ())


@pytest.fixture
def shelf():
    """Return a maker of shelves."""
    return FakeShelf


@pytest.fixture
def dumped():
    """Return JSON as ComfyUI writes it."""
    return json.dumps
