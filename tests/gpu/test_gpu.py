"""What only a GPU can show, on the embedded model. Skipped, with a word, where there is none."""

import pytest

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def session():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from batchgen.diffusion.engine import DiffusionEngine
    from batchgen.engine import Runtime

    session = DiffusionEngine(Runtime(device="cuda", checkpoint_every=1e-9)).open(model())
    yield session
    session.close()


def model():
    from batchgen.job import Model
    from batchgen.shipped import shipped_model

    return Model(digest="0" * 64, family="sd15", name="demo_shapes", path=str(shipped_model("demo_shapes")))


def jobs(*seeds, sampler="euler", schedule="simple"):
    from batchgen.job import make_job

    rest = {"width": 64, "height": 64, "steps": 20, "guidance_scale": 4.0, "sampler": sampler, "schedule": schedule}
    prompts = ("a red circle on a white background", "a blue star on a yellow background")
    return [make_job(model(), {"prompt": prompts[seed % 2], "seed": seed, **rest}) for seed in seeds]


def render(session, asked):
    return [rendered.pixels for rendered in session.render(asked, lambda _: None)]


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_sde"])
def test_a_picture_rendered_twice_is_equal_bit_for_bit(session, sampler):
    first, again = (render(session, jobs(1, sampler=sampler))[0] for _ in range(2))

    assert (first == again).all()


def test_in_a_batch_of_one_size_bits_do_not_depend_on_the_neighbours(session):
    first = render(session, jobs(1, 2, 3, 4))[0]
    second = render(session, jobs(1, 7, 8, 9))[0]

    assert (first == second).all()


class Killed(BaseException):
    """In place of a signal."""


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_sde", "uni_pc", "lms", "deis"])
def test_denoising_that_was_interrupted_goes_on_to_the_same_bits(session, tmp_path, sampler):
    from batchgen.store.interrupted import KeptBookmarks
    from batchgen.store.layout import RunDirectory

    def die(step):
        if step == 9:
            raise Killed

    directory, asked = RunDirectory(tmp_path), jobs(1, 2, sampler=sampler)
    directory.create()
    bookmarks = KeptBookmarks(directory, "here")
    whole = render(session, asked)
    with pytest.raises(Killed):
        session.render(asked, die, bookmarks=bookmarks)
    again = session.render(asked, lambda _: None, bookmarks=bookmarks)

    assert [each.facts["resumed_at_step"] for each in again] == [8, 8]
    assert all((one == other.pixels).all() for one, other in zip(whole, again, strict=True))


def test_half_precision_follows_the_prompt(session):
    from PIL import Image

    from batchgen.demo.judge import judge

    pictures = session.render(jobs(0, 1, 2, 3), lambda _: None)

    assert {each.facts["dtype"] for each in pictures} == {"fp16"}
    found = [judge(Image.fromarray(each.pixels)) for each in pictures]
    assert [each.foreground for each in found] == ["red", "blue", "red", "blue"]
    assert [each.background for each in found] == ["white", "yellow", "white", "yellow"]
