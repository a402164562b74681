import json
from pathlib import Path

import numpy as np
import pytest

from batchgen.fake import picture_of
from batchgen.reproduce import Answer, Figures, Rendered, Unreadable, answer, asked_again, originals, plan_of
from batchgen.store import images
from batchgen.store.record import to_text


@pytest.fixture
def confs(a):
    return a.confs({"toy": a.model("toy"), "other": a.model("other")})


def again(confs, *found, **changes):
    return asked_again(found, confs, changes)


def notes(answers):
    assert all(each.verdict == "IMPOSSIBLE" for each in answers)
    return [each.note for each in answers]


def shape(plan):
    """The groups: model, size, and the seeds in each batch."""
    return [
        (group.model.name, group.size, [[cell.job.seed for cell in batch] for batch in group.batches])
        for group in plan.groups
    ]


def test_pictures_of_equal_batch_sizes_are_rendered_together_and_the_last_batch_is_filled_up(a, confs):
    found = [a.original(a.job(seed), size=4) for seed in (7, 3, 5, 1, 9)]

    assert shape(plan_of(again(confs, *found))) == [("toy", 4, [[7, 3, 5, 1], [9]])]


def test_each_model_is_loaded_once_however_files_and_sizes_are_mixed(a, confs):
    toy, other = a.model("toy"), a.model("other")
    found = [
        a.original(a.job(0, of=toy), size=2),
        a.original(a.job(1, of=other), size=2),
        a.original(a.job(2, of=toy), size=1),
        a.original(a.job(3, of=toy), size=2),
    ]

    assert shape(plan_of(again(confs, *found))) == [
        ("toy", 2, [[0, 3]]),
        ("toy", 1, [[2]]),
        ("other", 2, [[1]]),
    ]


def test_jobs_of_other_sampling_are_not_put_into_one_batch(a, confs):
    found = [a.original(a.job(seed, steps=3 + seed % 2), size=4) for seed in range(4)]

    assert shape(plan_of(again(confs, *found))) == [("toy", 4, [[0, 2], [1, 3]])]


def test_a_picture_and_its_record_are_one_job(a, confs):
    asked = again(confs, a.original(a.job(), 2), a.original(a.job(), 2, file="one.json"))

    assert plan_of(asked).to_make == 1


def test_one_job_in_two_batch_sizes_is_not_compared_with_the_wrong_one(a, confs):
    first, second = again(confs, a.original(a.job(), 2), a.original(a.job(), 4, file="two.png"))

    assert first.job == a.job()
    assert "batch of 2" in notes([second])[0]


def test_only_what_was_said_is_changed(a, confs):
    (one,) = again(confs, a.original(a.job(3, clip_skip=2)), steps=9, sampler="heun")

    assert one.job == a.job(3, clip_skip=2, steps=9, sampler="heun")


def test_another_model_is_a_change_like_any_and_the_old_one_need_not_be_here(a):
    (one,) = again(a.confs({"other": a.model("other")}), a.original(a.job()), model="other")

    assert one.job == a.job(of=a.model("other"))


def test_what_the_family_cannot_do_is_impossible_before_anything_is_loaded(a, confs):
    found = [a.original(a.job(sampler="nonsense")), a.original(a.job(width=63))]

    first, second = notes(again(confs, *found))

    assert "nonsense" in first
    assert "63" in second


def test_what_cannot_be_read_keeps_its_place_among_the_answers(a, confs):
    found = again(confs, Unreadable(file=Path("x.png"), reason="torn"), a.original(a.job()))

    assert found[0] == Answer(file=Path("x.png"), verdict="IMPOSSIBLE", note="torn")


class TestOriginals:
    @pytest.fixture
    def read(self, a, tmp_path):
        def read(record=None, **changes):
            file = tmp_path / "record.json"
            file.write_text(json.dumps({**(record or a.record(a.job())), **changes}))
            (found,) = originals([file])
            return found

        return read

    @pytest.mark.parametrize("size", [0, -1, 10**9, True, "4", None, 2.0])
    def test_a_batch_size_that_cannot_be_is_refused_in_words(self, read, size):
        assert "batch size" in read(execution={"batch_size": size}).reason

    @pytest.mark.parametrize("part", ["execution", "output"])
    @pytest.mark.parametrize("value", [None, [], "x", {}])
    def test_a_record_without_a_part_is_refused_in_words(self, read, part, value):
        assert "does not say" in read(**{part: value}).reason or "batch size" in read(**{part: value}).reason

    def test_another_seed_in_a_record_is_seen_by_its_id(self, a, read):
        record = json.loads(to_text(a.record(a.job())))
        record["recipe"]["seed"] = 8

        assert "id" in read(record).reason

    def test_a_picture_without_a_record_says_so(self, tmp_path):
        file = tmp_path / "plain.png"
        file.write_bytes(images.encode(np.zeros((8, 8, 3), np.uint8), "", "", 1))

        (found,) = originals([file])

        assert "no record" in found.reason


class TestAnswers:
    """With a picture on disk as a run would have left it."""

    @pytest.fixture
    def compare(self, a, tmp_path):
        def png(name, of, pixels, record):
            path = tmp_path / name
            path.write_bytes(images.encode(pixels, to_text(record), "", 1))
            return path

        def compare(drawn=None, recorded=None, made=None):
            """`drawn` is in the file, its record is of `recorded`, `made` comes out now."""
            of = a.job()
            right = picture_of(of)
            drawn, recorded, made = (right if each is None else each for each in (drawn, recorded, made))
            (found,) = originals([png("old.png", of, drawn, a.record(of, pixels=recorded))])
            new = png("new.png", of, made, a.record(of, pixels=made))
            (asked,) = asked_again([found], a.confs({"toy": a.model()}), {})
            return answer(asked, Rendered(pictures={of.id: new}, failed={}))

        return compare

    def test_the_same_pixels_are_exact(self, compare):
        found = compare()

        assert (found.verdict, found.note, found.differences) == ("EXACT", "", ())

    def test_one_bit_of_one_pixel_is_different_with_its_figures(self, a, compare):
        made = picture_of(a.job()).copy()
        made[0, 0, 0] ^= 1

        found = compare(made=made)

        assert found.verdict == "DIFFERENT"
        assert (found.figures.largest, found.figures.share) == (1, 1 / (64 * 48))

    def test_a_painted_over_file_is_different_although_its_record_is_made_again(self, a, compare):
        found = compare(drawn=255 - picture_of(a.job()))

        assert found.verdict == "DIFFERENT"
        assert found.figures.share == 1.0
        assert "altered" in found.note
        assert "made again exactly" in found.note

    def test_a_record_of_other_pixels_is_different_although_the_file_is_made_again(self, a, compare):
        found = compare(recorded=255 - picture_of(a.job()))

        assert found.verdict == "DIFFERENT"
        assert "altered" in found.note
        assert not found.within(None)

    def test_another_size_has_no_figures_and_says_why(self, compare):
        found = compare(made=np.zeros((8, 8, 3), np.uint8))

        assert (found.verdict, found.figures, found.note) == ("DIFFERENT", None, "the sizes differ")

    def test_a_job_without_a_picture_is_impossible_with_its_reason(self, a):
        (asked,) = asked_again([a.original(a.job())], a.confs({"toy": a.model()}), {})

        failed = answer(asked, Rendered(pictures={}, failed={a.job().id: "no memory"}))
        stopped = answer(asked, Rendered(pictures={}, failed={}, interrupted=True))

        assert (failed.verdict, failed.note) == ("IMPOSSIBLE", "no memory")
        assert "stopped" in stopped.note


@pytest.mark.parametrize(
    ("verdict", "psnr", "tolerance", "content"),
    [
        ("EXACT", None, None, True),
        ("DIFFERENT", 60.0, None, False),
        ("DIFFERENT", 60.0, 60.0, True),
        ("DIFFERENT", 59.9, 60.0, False),
        ("DIFFERENT", None, 0.0, False),
        ("IMPOSSIBLE", None, 0.0, False),
    ],
)
def test_a_tolerance_is_met_by_a_ratio_and_never_by_the_want_of_one(verdict, psnr, tolerance, content):
    figures = None if psnr is None else Figures(psnr=psnr, largest=1, share=0.1)

    assert Answer(file=Path("x"), verdict=verdict, figures=figures).within(tolerance) is content
