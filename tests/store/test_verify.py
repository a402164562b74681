import hashlib
import json
import shutil

import pytest

from batchgen.store.held import hold
from batchgen.store.verify import verify


@pytest.fixture
def kept(directory, build_):
    """A run directory with three pictures, whole."""
    with hold(directory) as held:
        held.save(manifest="name: herons\n", settings=None, plan={"batch": 1, "jobs": []})
        held.publish([build_.fresh(directory, build_.job(seed)) for seed in range(3)])
    return directory


def found(directory):
    return [(each.kind, each.file.name) for each in verify(directory).findings]


def picture(directory, seed=0):
    return next(path for path in directory.pictures.iterdir() if f"_s{seed}_" in path.name)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def everything(directory):
    files = (path for path in directory.root.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


def test_a_run_as_it_was_left_has_nothing_wrong_and_is_not_touched(kept):
    before = everything(kept)

    verified = verify(kept)

    assert (verified.pictures, verified.findings) == (3, ())
    assert everything(kept) == before


def test_it_can_be_asked_while_a_run_holds_the_directory(kept):
    with hold(kept):
        assert verify(kept).findings == ()


def test_every_flipped_byte_of_a_picture_is_found(kept):
    path = picture(kept)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        flip(path, at)
        assert found(kept) == [("altered", path.name)], at
        path.write_bytes(whole)


@pytest.mark.parametrize("left", [0, 1, 100, -12, -1])
def test_a_truncated_picture_is_torn(kept, left):
    path = picture(kept)
    path.write_bytes(path.read_bytes()[:left])

    assert found(kept) == [("torn", path.name)]


def test_a_picture_that_is_gone_is_missing(kept):
    path = picture(kept)
    path.unlink()

    assert found(kept) == [("missing", path.name)]


def test_another_whole_picture_under_the_same_name_is_altered(kept):
    path = picture(kept, 0)
    shutil.copyfile(picture(kept, 1), path)

    (kind, name), *_ = found(kept)

    assert (kind, name) == ("altered", path.name)
    assert "another picture" in verify(kept).findings[0].what


def test_a_picture_painted_over_with_its_record_kept_is_altered(kept, build_):
    job = build_.job(0)
    path = picture(kept, 0)
    pixels = 255 - build_.picture(job)
    path.write_bytes(build_.encode(pixels, build_.text(job), "", 1))

    findings = verify(kept).findings

    assert [(each.kind, each.file) for each in findings] == [("altered", path)]
    assert "pixels" in findings[0].what


def test_a_picture_painted_over_together_with_its_records_is_altered_for_the_journal_knows_its_pixels(kept, build_):
    job = build_.job(0)
    pixels = 255 - build_.picture(job)
    picture(kept, 0).write_bytes(build_.png(job, pixels))
    kept.record(job.id).write_text(build_.text(job, pixels))

    (finding,) = verify(kept).findings
    assert (finding.kind, finding.file) == ("altered", picture(kept, 0))
    assert "its pixels are not those" in finding.what


def test_an_altered_record_is_found_also_if_it_is_still_a_record(kept, build_):
    path = kept.record(build_.job(1).id)
    path.write_text(path.read_text().replace('"3.11"', '"3.12"'))

    assert found(kept) == [("altered", path.name)]


def test_a_record_that_is_gone_is_missing_and_one_of_no_picture_is_unknown(kept, build_):
    gone = kept.record(build_.job(1).id)
    gone.rename(kept.records / "0123456789ab.json")

    assert found(kept) == [("missing", gone.name), ("unknown", "0123456789ab.json")]


def test_a_strangers_file_is_unknown_whatever_it_is(kept, build_):
    (kept.pictures / "notes.txt").write_text("mine")
    (kept.pictures / "sub").mkdir()
    (kept.pictures / "torn.png").write_bytes(b"\x89PNG")
    shutil.copyfile(picture(kept), kept.pictures / "copy.png")
    (kept.pictures / "new.png").write_bytes(build_.png(build_.job(9)))

    what = {each.file.name: each.what for each in verify(kept).findings if each.kind == "unknown"}

    assert what.keys() == {"notes.txt", "sub", "torn.png", "copy.png", "new.png"}
    assert picture(kept).name in what["copy.png"]
    assert "journal" in what["new.png"]
    assert len(verify(kept).findings) == 5


def test_a_journal_with_a_bad_line_says_which_and_its_pictures_become_unknown(kept):
    lines = kept.journal.read_bytes().splitlines(keepends=True)
    flip(kept.journal, len(lines[0]) + 20)

    findings = verify(kept).findings

    assert findings[0].kind == "torn"
    assert findings[0].file == kept.journal
    assert "line 2 " in findings[0].what
    assert {each.kind for each in findings[1:]} == {"unknown"}


def test_a_journal_that_is_gone_is_missing(kept):
    kept.journal.unlink()

    assert found(kept)[0] == ("missing", "journal.jsonl")


@pytest.mark.parametrize(("text", "kind"), [(None, "missing"), ('{"batch": 1', "torn")])
def test_a_plan_that_is_gone_or_torn_is_found(kept, text, kind):
    kept.plan.unlink()
    if text:
        kept.plan.write_text(text)

    assert found(kept) == [(kind, "plan.json")]


def test_a_record_without_an_output_is_no_crash(kept, build_):
    job = build_.job(0)
    record = json.loads(build_.text(job))
    record["output"] = None
    picture(kept).write_bytes(build_.encode(build_.picture(job), json.dumps(record), "", 1))

    assert ("altered", picture(kept).name) in found(kept)


def test_a_link_in_place_of_a_picture_is_altered_wherever_it_leads(kept):
    path = picture(kept)
    moved = path.rename(kept.root / "moved.png")
    path.symlink_to(moved)

    assert found(kept) == [("altered", path.name)]


def test_a_picture_whose_name_was_given_to_another_one_is_missing(kept, build_):
    first = build_.job(0)
    path = picture(kept)
    path.unlink()
    with hold(kept) as held:
        held.publish([build_.fresh(kept, build_.job(9), path.stem)])

    findings = verify(kept).findings

    assert [(each.kind, each.file) for each in findings] == [("missing", path)]
    assert first.id[:12] in findings[0].what
