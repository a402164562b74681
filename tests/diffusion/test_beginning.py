"""Pictures and masks as people have them, to arrays of the canvas's size, and the result back into its place."""

import numpy as np
import pytest
from PIL import Image

from batchgen.diffusion.beginning import begin
from batchgen.errors import EngineError
from batchgen.job import File, Model

TOY = Model(digest="0" * 64, family="sd15", name="toy", path="/toy")
RED, BLUE, GREY = (200, 0, 0), (0, 0, 200), (127, 127, 127)


@pytest.fixture
def write(tmp_path):
    """Save a picture and return the file that a job has."""

    def saved(picture, name="source.png", **options):
        path = tmp_path / name
        picture.save(path, **options)
        return File(digest=name, name=name, path=str(path))

    return saved


@pytest.fixture
def start(job_for):
    """Return what a job of this size begins with."""

    def of(source, *, size=None, **fields):
        with Image.open(source.path) as picture:
            width, height = size or picture.size
        return begin(job_for(TOY, init_image=source, width=width, height=height, **fields))

    return of


def halves(size=(64, 32), left=RED, right=BLUE):
    """A picture whose left half has another colour."""
    picture = Image.new("RGB", size, right)
    picture.paste(left, (0, 0, size[0] // 2, size[1]))
    return picture


def spot(size, box):
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    return mask


def test_a_job_from_noise_begins_with_nothing(job_for):
    assert begin(job_for(TOY)) is None


@pytest.mark.parametrize(
    ("name", "options"), [("a.png", {}), ("a.tiff", {}), ("a.bmp", {}), ("a.webp", {"lossless": True})]
)
def test_formats_without_loss_are_read_to_the_byte(write, start, name, options):
    picture = halves()
    assert (start(write(picture, name, **options)).pixels == np.asarray(picture)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_a_camera_says(write, start, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = halves()
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that takes the shown picture to the stored one
    stored = shown.transpose(Image.Transpose(undone[orientation])) if orientation in undone else shown
    file = write(stored, "photo.png", exif=exif)
    assert (start(file, size=shown.size).pixels == np.asarray(shown)).all()


@pytest.mark.parametrize("name", ["deep.png", "deep.tiff"])
def test_sixteen_bits_are_rounded_to_eight(write, start, name):
    values = np.linspace(0, 65535, 64 * 32).reshape(32, 64).astype(np.uint16)
    found = start(write(Image.fromarray(values), name)).pixels
    assert np.abs(found[..., 0] - values / 257.0).max() <= 0.5
    dark = Image.fromarray((values // 400).astype(np.uint16))
    assert start(write(dark, f"dark{name}")).pixels.max() <= 1


def test_floats_of_a_tiff_are_read_by_what_is_white(write, start):
    values = np.linspace(0, 1, 64 * 32, dtype=np.float32).reshape(32, 64)
    found = start(write(Image.fromarray(values), "float.tiff")).pixels
    assert np.abs(found[..., 1] - values * 255).max() <= 0.51


def test_transparency_is_laid_on_grey(write, start):
    picture = Image.new("RGBA", (32, 32), (*RED, 255))
    picture.paste((0, 255, 0, 0), (0, 0, 16, 32))
    found = start(write(picture)).pixels
    assert tuple(found[0, 0]) == GREY
    assert tuple(found[0, 31]) == RED


def test_resizing_crops_stretches_or_pads(write, start):
    source = write(halves((64, 32)))
    crop, stretch, pad = (start(source, size=(32, 32), resize=how).pixels for how in ("crop", "stretch", "pad"))
    # Cut to the middle square; squeezed; whole, with grey above and below.
    assert (tuple(crop[16, 2]), tuple(crop[16, 29])) == (RED, BLUE)
    assert (crop == np.asarray(halves((32, 32)))).mean() > 0.8
    assert tuple(stretch[1, 2]) == tuple(stretch[30, 2]) == RED
    assert tuple(pad[2, 2]) == tuple(pad[29, 29]) == GREY
    assert (tuple(pad[16, 2]), tuple(pad[16, 29])) == (RED, BLUE)


def test_nearest_makes_no_new_colour(write, start):
    found = start(write(halves()), size=(96, 48), resize_filter="nearest").pixels
    assert {tuple(each) for each in found.reshape(-1, 3)} == {RED, BLUE}


def test_a_mask_is_white_where_it_is_painted_and_brought_to_the_picture(write, start):
    source, mask = write(halves((64, 64))), write(spot((32, 32), (8, 8, 16, 16)), "m.png")
    found = start(source, mask_image=mask).mask
    assert found.shape == (64, 64)
    assert found[24, 24] == 1
    assert found[40, 40] == found[4, 4] == 0


def test_growing_goes_to_all_sides_and_blur_fades(write, start):
    source, mask = write(halves((64, 64))), write(spot((64, 64), (24, 24, 40, 40)), "m.png")
    grown = start(source, mask_image=mask, mask_grow=5).mask
    assert (grown == 1).sum() == 26 * 26
    assert grown[19, 19] == 1
    assert grown[18, 32] == 0
    whole = start(source, mask_image=mask, mask_grow=512).mask
    assert (whole == 1).all()
    blurred = start(source, mask_image=mask, mask_blur=4).mask
    assert 0 < blurred[20, 32] < blurred[24, 32] < blurred[32, 32]


def test_alpha_is_a_mask_of_what_is_transparent(write, start):
    picture = Image.new("RGBA", (32, 32), (*RED, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 32))
    found = start(write(picture), mask_alpha=True).mask
    assert (found[:, :8] == 1).all()
    assert (found[:, 8:] == 0).all()
    with pytest.raises(EngineError, match="has no transparency"):
        start(write(halves(), "opaque.png"), mask_alpha=True)


def test_outside_of_the_mask_every_byte_stays(write, start):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    source, mask = write(Image.fromarray(pixels)), write(spot((64, 64), (16, 16, 40, 40)), "m.png")
    rendered = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = start(source, mask_image=mask).finished(rendered)
    inside = np.zeros((64, 64), dtype=bool)
    inside[16:40, 16:40] = True
    assert (found[inside] == rendered[inside]).all()
    assert (found[~inside] == pixels[~inside]).all()
    assert (start(source, mask_image=mask, mask_paste=False).finished(rendered) == rendered).all()


def test_only_the_mask_s_surroundings_are_rendered_and_pasted_back_in_place(write, start, job_for):
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (100, 200, 3), dtype=np.uint8)
    source, mask = write(Image.fromarray(pixels)), write(spot((200, 100), (150, 40, 170, 60)), "m.png")
    fields = {"mask_image": mask, "mask_padding": 10}

    begun = start(source, size=(80, 80), **fields)

    assert begun.box == (140, 30, 180, 70)
    assert begun.pixels.shape == (80, 80, 3)
    assert begun.mask[40, 40] == 1
    assert begun.mask[5, 5] == 0
    found = begun.finished(np.full((80, 80, 3), 9, dtype=np.uint8))
    assert found.shape == pixels.shape
    assert (found[40:60, 150:170] == 9).all()
    outside = np.ones((100, 200), dtype=bool)
    outside[40:60, 150:170] = False
    assert (found[outside] == pixels[outside]).all()


@pytest.mark.parametrize("place", [(0, 0, 10, 10), (190, 90, 200, 100), (0, 0, 200, 100), (95, 0, 105, 100)])
@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 128)])
def test_the_surroundings_stay_inside_of_the_picture_and_hold_the_mask(write, start, place, size):
    source, mask = write(halves((200, 100))), write(spot((200, 100), place), "m.png")
    left, top, right, bottom = start(source, size=size, mask_image=mask, mask_padding=16).box
    assert 0 <= left <= place[0] < place[2] <= right <= 200
    assert 0 <= top <= place[1] < place[3] <= bottom <= 100


def test_what_is_no_picture_or_no_mask_is_an_error_with_its_file(write, start, tmp_path, job_for):
    empty = write(Image.new("L", (64, 64)), "m.png")
    with pytest.raises(EngineError, match="mask is empty"):
        start(write(halves((64, 64))), mask_image=empty, mask_padding=4)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    broken = File(digest="b", name="broken.png", path=str(tmp_path / "broken.png"))
    with pytest.raises(EngineError, match=r"broken\.png: cannot be read as a picture"):
        begin(job_for(TOY, init_image=broken))
