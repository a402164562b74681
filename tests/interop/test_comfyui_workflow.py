import pytest

from batchgen.interop.comfyui import read_comfyui
from batchgen.interop.imported import Needed, Unreadable

OUTPUTS = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "EmptyLatentImage": ["LATENT"],
    "KSampler": ["LATENT"],
    "VAEDecode": ["IMAGE"],
    "LoraLoader": ["MODEL", "CLIP"],
    "PrimitiveNode": ["INT"],
    "Reroute": ["*"],
}


class Browser:
    """Builds a workflow as ComfyUI's browser keeps it."""

    def __init__(self, *, links_as_mappings=False):
        self.nodes, self.links, self._mappings = [], [], links_as_mappings

    def add(self, number, kind, values=None, mode=0, **links):
        inputs = []
        for slot, (name, (source, source_slot, type_)) in enumerate(links.items()):
            link = len(self.links) + 1
            plain = [link, source, source_slot, number, slot, type_]
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            self.links.append(dict(zip(names, plain, strict=True)) if self._mappings else plain)
            inputs.append({"name": name, "type": type_, "link": link})
        outputs = [{"name": each, "type": each, "links": []} for each in OUTPUTS.get(kind, [])]
        node = {"id": number, "type": kind, "mode": mode, "inputs": inputs, "outputs": outputs}
        node |= {} if values is None else {"widgets_values": values}
        self.nodes.append(node)
        return node

    def document(self):
        return {"last_node_id": 99, "nodes": self.nodes, "links": self.links, "version": 0.4}


def example(
    browser, *, model=(4, 0, "MODEL"), clip=(4, 1, "CLIP"), text="a (heron:1.2)", seed=(0, "randomize"), into_seed=None
):
    browser.add(4, "CheckpointLoaderSimple", ["sd15\\base.safetensors"])
    browser.add(5, "EmptyLatentImage", [512, 768, 1])
    browser.add(6, "CLIPTextEncode", [text], clip=clip)
    browser.add(7, "CLIPTextEncode", ["blurry"], clip=clip)
    browser.add(
        3,
        "KSampler",
        [*seed, 20, 8, "dpmpp_2m", "karras", 1],
        model=model,
        positive=(6, 0, "CONDITIONING"),
        negative=(7, 0, "CONDITIONING"),
        latent_image=(5, 0, "LATENT"),
        **({"seed": into_seed} if into_seed else {}),
    )
    browser.add(8, "VAEDecode", samples=(3, 0, "LATENT"), vae=(4, 2, "VAE"))
    browser.add(9, "SaveImage", ["ComfyUI"], images=(8, 0, "IMAGE"))
    return browser


def one(browser):
    (found,) = read_comfyui(browser.document(), "w.json")
    return found


@pytest.mark.parametrize("links_as_mappings", [False, True])
def test_the_browsers_graph_says_what_the_apis_says(text_to_image, links_as_mappings):
    found = one(example(Browser(links_as_mappings=links_as_mappings)))

    assert found.recipe == text_to_image
    assert found.checkpoint == Needed(kind="checkpoint", name="sd15/base.safetensors")


def test_a_seed_without_what_is_done_after_it_is_read(text_to_image):
    assert one(example(Browser(), seed=(0,))).recipe == text_to_image


def test_a_primitive_node_gives_its_value_to_the_widget(text_to_image):
    browser = Browser()
    browser.add(20, "PrimitiveNode", [77, "fixed"])

    found = one(example(browser, into_seed=(20, 0, "INT")))

    assert found.recipe == text_to_image | {"seed": 77}


def test_reroutes_and_notes_say_nothing(text_to_image):
    browser = Browser()
    browser.add(30, "Note", ["remember"])
    browser.add(31, "MarkdownNote", ["# remember"])
    browser.add(32, "Reroute", **{"": (4, 0, "*")})
    browser.add(33, "Reroute", **{"": (32, 0, "*")})

    found = one(example(browser, model=(33, 0, "MODEL")))

    assert found.recipe == text_to_image
    assert not found.refused


@pytest.mark.parametrize(("mode", "loras"), [(0, [{"name": "a.safetensors", "scale": 0.5}]), (4, None)])
def test_a_bypassed_node_hands_its_inputs_on(mode, loras):
    browser = Browser()
    browser.add(10, "LoraLoader", ["a.safetensors", 0.5, 0.5], mode, model=(4, 0, "MODEL"), clip=(4, 1, "CLIP"))

    found = one(example(browser, model=(10, 0, "MODEL"), clip=(10, 1, "CLIP")))

    assert found.recipe.get("loras") == loras
    assert not found.refused


def test_a_bypassed_node_of_an_unknown_class_is_no_matter(text_to_image):
    browser = Browser()
    node = browser.add(10, "FreeU_V2", [1, 2], 4, model=(4, 0, "MODEL"))
    node["outputs"] = [{"name": "MODEL", "type": "MODEL", "links": []}]

    assert one(example(browser, model=(10, 0, "MODEL"))).recipe == text_to_image


def test_what_needs_a_muted_node_is_not_made(text_to_image):
    browser = example(Browser())
    browser.add(40, "KSampler", [1, "fixed", 5, 8, "euler", "normal", 1], 2)
    browser.add(41, "VAEDecode", samples=(40, 0, "LATENT"), vae=(4, 2, "VAE"))
    browser.add(42, "SaveImage", ["ComfyUI"], images=(41, 0, "IMAGE"))

    found = one(browser)

    assert found.recipe == text_to_image
    assert [str(each) for each in found.refused] == ["node 41 (VAEDecode): needs node 40, which is muted or not there"]


def test_a_muted_saver_makes_nothing():
    browser = example(Browser())
    browser.add(42, "SaveImage", ["other"], 2, images=(8, 0, "IMAGE"))

    assert one(browser).name is None


def test_unknown_classes_and_subgraphs_are_named():
    browser = example(Browser())
    browser.add(50, "5f2c0e3a-1111-2222-3333-444455556666", [1])

    assert [str(each) for each in one(browser).refused] == [
        "node 50 (5f2c0e3a-1111-2222-3333-444455556666): is no class of node that is read"
    ]


def test_comments_are_left_out_of_a_text_as_the_browser_does():
    assert one(example(Browser(), text="a heron /* no cat */ by the lake // later")).recipe["prompt"] == (
        "a heron  by the lake "
    )


def test_words_that_the_browser_draws_by_lot_are_refused():
    (refused,) = one(example(Browser(), text="a {red|blue} heron")).refused

    assert str(refused) == "node 6 (CLIPTextEncode): '{red|blue}' is drawn anew by the browser each time"


@pytest.mark.parametrize(
    "document",
    [
        {"nodes": [{"id": 1, "type": "SaveImage", "inputs": [{"name": "images", "link": 7}]}], "links": []},
        {"nodes": [{"type": "SaveImage"}], "links": []},
        {"nodes": [{"id": 1, "type": "SaveImage", "inputs": 5}], "links": []},
        {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [3]},
        {"nodes": [], "links": []},
    ],
)
def test_what_is_no_workflow_is_unreadable(document):
    with pytest.raises(Unreadable):
        read_comfyui(document, "w.json")
