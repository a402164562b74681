"""Pictures made again by the real command line: what is the same, what is not, and what would be a lie."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from batchgen.job import recipe_id
from batchgen.shipped import shipped_model
from batchgen.store import images

FAKE = "runtime.engine=fake"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, person_in):
    """Four pictures of the fake engine in two batches."""
    person = person_in(tmp_path_factory.mktemp("drawn"))
    words = ("--prompt", "a red circle", "--seeds", "0..3", "steps=3", "runtime.batch=2")
    said = person.types("run", *words, "--into", "run", FAKE)
    assert said.code == 0, said.err
    return person


@pytest.fixture
def copied(drawn, tmp_path, person_in):
    """The same, to be changed at will."""
    shutil.copytree(drawn.folder, tmp_path / "copy")
    return person_in(tmp_path / "copy")


def again(person, *words, code, environment=None):
    said = person.types("reproduce", *map(str, words), "--json", **(environment or {}))
    assert said.code == code, said.out + said.err
    return json.loads(said.out)


def verdicts(found):
    return [each["verdict"] for each in found["pictures"]]


def everything(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def rewritten(path, record=None, pixels=None):
    """Write a picture anew with another record, or with other pixels."""
    was = images.open_picture(path)
    text = was.record if record is None else json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(images.encode(was.pixels if pixels is None else pixels, text, was.parameters, 1))


def test_a_whole_run_is_made_again_exactly_beside_the_original_which_is_not_touched(copied):
    before = everything(copied.folder / "run")

    said = copied.types("reproduce", "run", FAKE)

    assert said.code == 0, said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["EXACT"] * 4 + ["4"]
    assert everything(copied.folder / "run") == before
    assert len(copied.pictures("outputs/reproduced/1")) == 4


def test_it_is_rendered_anew_every_time_and_never_taken_from_where_it_lies(copied):
    for number in (1, 2):
        assert copied.types("reproduce", "run", FAKE).code == 0
        assert len(copied.pictures(f"outputs/reproduced/{number}")) == 4


def test_the_batch_size_is_that_of_the_record_whatever_is_asked_for_with_it(drawn, tmp_path):
    found = again(drawn, drawn.pictures("run")[0], FAKE, "--into", tmp_path / "one", code=0)

    (record,) = [json.loads(path.read_bytes()) for path in (tmp_path / "one/records").iterdir()]
    assert record["execution"]["batch_size"] == 2
    assert found["pictures"][0]["differences"] == []


def test_a_record_alone_is_compared_by_its_hash(copied):
    path = min((copied.folder / "run/records").iterdir())

    assert verdicts(again(copied, path, FAKE, code=0)) == ["EXACT"]

    record = json.loads(path.read_bytes())
    record["output"]["pixel_sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    (found,) = again(copied, path, FAKE, "--tolerance", "0", code=1)["pictures"]
    assert (found["verdict"], found["psnr"]) == ("DIFFERENT", None)
    assert "record alone" in found["note"]


def test_a_picture_with_one_bit_of_one_pixel_changed_is_not_called_exact(copied):
    path = copied.pictures("run")[2]
    pixels = np.array(images.open_picture(path).pixels)
    pixels[5, 5, 1] ^= 1
    rewritten(path, pixels=pixels)

    found = again(copied, "run", FAKE, code=1)

    assert verdicts(found) == ["EXACT", "EXACT", "DIFFERENT", "EXACT"]
    liar = found["pictures"][2]
    assert (liar["largest_difference"], liar["share_of_pixels"]) == (1, 1 / 4096)
    assert liar["psnr"] == pytest.approx(89.03, abs=0.01)  # 10 log10(255^2 * 3 * 64 * 64)
    assert "altered" in liar["note"]


def test_another_seed_in_a_record_is_not_called_exact(copied):
    path = copied.pictures("run")[0]
    record = dict(images.record_in(path))
    record["recipe"] = record["recipe"] | {"seed": 77}
    rewritten(path, record=record)

    (clumsy,) = again(copied, path, FAKE, code=1)["pictures"]
    assert clumsy["verdict"] == "IMPOSSIBLE"
    assert "id does not belong to its recipe" in clumsy["note"]

    rewritten(path, record=record | {"id": recipe_id(record["recipe"])})
    (careful,) = again(copied, path, FAKE, code=1)["pictures"]
    assert careful["verdict"] == "DIFFERENT"
    assert careful["share_of_pixels"] > 0.9


def test_something_changed_gives_figures_and_says_what_and_the_tolerance_decides(drawn, tmp_path):
    path = drawn.pictures("run")[0]

    found = again(drawn, path, "steps=4", FAKE, "--into", tmp_path / "a", code=1)
    near = drawn.types("reproduce", str(path), "steps=4", FAKE, "--tolerance", "3", "--into", str(tmp_path / "b"))
    far = drawn.types("reproduce", str(path), "steps=4", FAKE, "--tolerance", "90", "--into", str(tmp_path / "c"))

    (only,) = found["pictures"]
    assert only["verdict"] == "DIFFERENT"
    assert 3 < only["psnr"] < 30
    assert {"field": "recipe.steps", "then": 3, "now": 4} in only["differences"]
    assert (near.code, far.code) == (0, 1)
    assert "within 3 dB" in near.out
    assert "recipe.steps was 3, is 4" in near.out


def test_a_torn_picture_is_impossible_and_the_others_are_answered(copied):
    path = copied.pictures("run")[1]
    path.write_bytes(path.read_bytes()[:-1])

    found = again(copied, "run", FAKE, code=1)

    assert verdicts(found) == ["EXACT", "IMPOSSIBLE", "EXACT", "EXACT"]
    assert "torn" in found["pictures"][1]["note"]


def test_of_a_picture_that_is_gone_the_record_is_asked(copied):
    gone, lost = copied.pictures("run")[:2]
    (copied.folder / "run/records" / f"{images.record_in(lost)['id'][:12]}.json").unlink()
    gone.unlink()
    lost.unlink()

    found = again(copied, "run", FAKE, code=1)

    assert sorted(verdicts(found)) == ["EXACT", "EXACT", "EXACT", "IMPOSSIBLE"]


def test_a_job_that_fails_now_is_impossible_with_its_reason(copied):
    faults = {"faults": [{"do": "error", "seed": 2}]}

    found = again(copied, "run", FAKE, code=1, environment={"BATCHGEN_FAKE_FAULTS": json.dumps(faults)})

    assert sorted(verdicts(found)) == ["EXACT"] * 3 + ["IMPOSSIBLE"]
    assert "asked to fail" in next(each["note"] for each in found["pictures"] if each["verdict"] == "IMPOSSIBLE")


def test_what_a_terminal_would_obey_is_not_printed(copied):
    path = copied.pictures("run")[0]
    record = dict(images.record_in(path))
    rewritten(path, record=record | {"environment": {"a\x1b[2Jb": "c\x1b[2J"}})

    said = copied.types("reproduce", str(path), FAKE)

    assert said.code == 0, said.err
    assert "environment.a?[2Jb was" in said.out
    assert "\x1b" not in said.out


def test_the_first_interrupt_answers_for_what_is_made_and_ends_with_130(copied):
    faults = {"faults": [{"do": "sleep", "value": 300}]}
    words = [sys.executable, "-m", "batchgen", "reproduce", "run", FAKE]
    environment = os.environ | {"HOME": str(copied.folder), "BATCHGEN_FAKE_FAULTS": json.dumps(faults)}
    with subprocess.Popen(
        words, cwd=copied.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert "loading" in child.stderr.readline()
        assert "loaded" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)

    assert child.returncode == 130, err
    answers = [line.split()[0] for line in out.splitlines()]
    assert answers.count("IMPOSSIBLE") >= 1
    assert set(answers[:4]) <= {"EXACT", "IMPOSSIBLE"}
    assert "stopped" in err


def test_nothing_is_written_where_nothing_can_be_made(copied):
    (copied.folder / "notes.png").write_text("none")

    found = again(copied, "notes.png", FAKE, code=1)

    assert (verdicts(found), found["directory"]) == (["IMPOSSIBLE"], None)
    assert not (copied.folder / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.png"], "no such file"),
        (["run/records"], "no run directory"),
        (["run", "stepz=4"], "did you mean 'steps'"),
        (["run", "steps=4,5"], "one value"),
        (["run", "loras=grain"], "batchgen promote"),
        (["run", "model=nonsense"], "unknown model"),
        (["run", "--into", "run"], "new folder"),
        (["steps=4"], "nothing to make again"),
        ([], "Missing argument"),
    ],
)
def test_wrong_words_end_with_exit_code_2_and_render_nothing(drawn, words, told):
    said = drawn.types("reproduce", *words)

    assert said.code == 2
    assert told in said.err
    assert not (drawn.folder / "outputs").exists()


class TestModels:
    """A run with a model of the person's own, which then changes."""

    @pytest.fixture
    def own(self, person):
        shutil.copytree(shipped_model("demo_shapes"), person.folder / "weights")
        self.flip_a_bit(person, -6)  # else they would be found as demo_shapes, whatever becomes of them
        self.named(person, "mine", "weights")
        said = person.types("run", "--prompt", "a red circle", "model=mine", FAKE, "--into", "run")
        assert said.code == 0, said.err
        return person

    def flip_a_bit(self, person, at):
        path = person.folder / "weights/unet/diffusion_pytorch_model.safetensors"
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    def named(self, person, name, folder):
        text = f"family: sd15\nsource: {{folder: {person.folder / folder}}}\n"
        recommended = "{width: 64, height: 64, steps: 2, guidance_scale: 1.0, sampler: euler, schedule: simple}"
        person.writes(f"conf/model/{name}.yaml", f"{text}recommended: {recommended}\n")

    def test_weights_are_known_by_their_digest_whatever_they_are_called_now(self, own):
        (own.folder / "weights").rename(own.folder / "elsewhere")
        self.named(own, "renamed", "elsewhere")
        self.named(own, "mine", "nowhere")

        assert verdicts(again(own, "run", FAKE, code=0)) == ["EXACT"]

    def test_one_bit_of_the_weights_changed_is_impossible_and_the_digest_that_is_missing_is_named(self, own):
        digest = own.records("run")[0]["recipe"]["model"]
        self.flip_a_bit(own, -2)

        (found,) = again(own, "run", FAKE, code=1)["pictures"]

        assert found["verdict"] == "IMPOSSIBLE"
        assert digest in found["note"]
        assert "mine is" in found["note"]
        assert "demo_shapes is" in found["note"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    """Eight pictures of the embedded model, in batches of eight, four and one."""
    person = person_in(tmp_path_factory.mktemp("rendered"))
    person.writes(
        "few.yaml",
        "set: {model: demo_shapes, schedule: simple, steps: 4}\n"
        "prompts: [a red circle, a large blue square on a yellow background, a star]\n"
        "seeds: 0..3\nsweep: {sampler: [euler, dpmpp_2m_sde]}\nexclude: [{prompt: a star, seed: 3}]\n",
    )
    said = person.types("run", "few.yaml", "runtime.threads=1")
    assert said.code == 0, said.err
    return person


def test_a_whole_run_of_the_embedded_model_is_made_again_bit_for_bit(rendered):
    found = again(rendered, "outputs/few", "runtime.threads=1", code=0)

    assert verdicts(found) == ["EXACT"] * 22
    assert not any(each["differences"] for each in found["pictures"])
    sizes = {record["execution"]["batch_size"] for record in rendered.records("outputs/few")}
    assert len(sizes) > 1


def test_a_few_of_it_in_shuffled_order_are_too_with_other_neighbours_than_they_had(rendered):
    pictures = rendered.pictures("outputs/few")
    random.Random(1).shuffle(pictures)

    found = again(rendered, *pictures[:7], "runtime.threads=1", code=0)

    assert verdicts(found) == ["EXACT"] * 7
    assert [each["file"] for each in found["pictures"]] == [str(path) for path in pictures[:7]]


def test_another_number_of_threads_is_never_silent_and_never_undone(rendered):
    said = rendered.types("reproduce", "outputs/few", "runtime.threads=2", "--json")

    pictures = json.loads(said.out)["pictures"]
    assert {each["verdict"] for each in pictures} <= {"EXACT", "DIFFERENT"}
    assert said.code == int(any(each["verdict"] == "DIFFERENT" for each in pictures))
    threads = {"field": "environment.threads", "then": 1, "now": 2}
    assert all(threads in each["differences"] for each in pictures)
