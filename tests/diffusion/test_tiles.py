import numpy as np
import pytest

from batchgen.diffusion.tiles import laid_together, spans


@pytest.mark.parametrize("length", [1, 100, 512, 513, 960, 961, 1024, 5000])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_every_pixel_counts_for_one_in_all(length, scale):
    total = np.zeros(length * scale)
    for span in spans(length, 512, scale):
        assert span.end - span.begin <= 512
        total[span.begin * scale : span.end * scale] += span.shares

    assert np.abs(total - 1).max() < 1e-6


def test_what_lies_at_the_inner_edge_of_a_tile_counts_for_nothing():
    first, second = spans(900, 512, 2)

    assert (first.begin, second.begin) == (0, 448)
    assert not first.shares[-48:].any()
    assert not second.shares[:48].any()
    assert first.shares[0] == second.shares[-1] == 1


def test_a_picture_whose_pixels_are_only_repeated_comes_back_so_in_tiles_too():
    pixels = np.random.default_rng(0).integers(0, 256, (150, 300, 3), dtype=np.uint8)
    seen = []

    def twice(part):
        seen.append(part.shape)
        return part.repeat(2, axis=0).repeat(2, axis=1).astype(np.float32) / 255

    whole = laid_together(pixels, 128, 2, twice)

    assert np.abs(whole * 255 - pixels.repeat(2, axis=0).repeat(2, axis=1)).max() < 1e-3
    assert len(seen) == 2 * 4
