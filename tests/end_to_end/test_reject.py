"""Pictures that a person does not want, and those that a person wants more of: by name, by id, by a gallery's marks."""

import fcntl
import json
import shutil

import pytest
import yaml

from batchgen.compare.results import read_results
from batchgen.store import images
from batchgen.store.layout import RunDirectory

FAKE = "runtime.engine=fake"
RENDER = (FAKE, "output.sheets=false", "output.gallery=false")
RUN = "outputs/herons"
MANIFEST = "name: herons\nset: {model: demo_shapes, steps: 3}\nprompts: [a heron]\nseeds: 0..5\n"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    """Somebody with six pictures, of which the last could not be made."""
    person = person_in(tmp_path_factory.mktemp("person"))
    person.writes("herons.yaml", MANIFEST)
    faults = json.dumps({"faults": [{"do": "error", "seed": 5}]})
    assert person.types("run", "herons.yaml", *RENDER, BATCHGEN_FAKE_FAULTS=faults).code == 1
    return person, None


@pytest.fixture
def ids(copied):
    """Of all places, by seed."""
    return [place.id for place in results(copied)]


def results(person):
    return read_results(RunDirectory(person.folder / RUN)).places


def picture(person, seed):
    (path,) = [path for path in person.pictures(RUN) if f"_s{seed}_" in path.name]
    return path


def goes_on(person):
    return person.types("run", RUN, *RENDER)


def types_while_it_is_held(person, *words):
    with (person.folder / RUN / ".batchgen/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return person.types(*words)


def journal(person):
    return (person.folder / RUN / ".batchgen/journal.jsonl").read_bytes()


def export(person, ids, *, run="herons", **marked):
    """Write the file that the gallery of a run exports, with a mark for each of some seeds: `s3={"stars": 4}`."""
    marks = {ids[int(seed[1:])][:16]: mark for seed, mark in marked.items()}
    document = {"batchgen": "marks", "format": 1, "run": run, "marks": marks}
    person.writes("marks.json", json.dumps(document))


KEEP, REJECT = {"verdict": "keep", "stars": 0}, {"verdict": "reject", "stars": 0}


def test_a_rejected_picture_that_was_deleted_is_not_made_again_and_the_run_is_complete(copied, ids):
    path = picture(copied, 2)

    said = copied.types("reject", RUN, ids[2][:6], ids[5][:12])
    path.unlink()
    again = goes_on(copied)

    assert said.code == again.code == 0, said.err + again.err
    assert said.out.splitlines() == [
        f"rejected: {path.name}",
        f"rejected: {ids[5][:12]} (failed)",
        "outputs/herons: 2 pictures rejected; 1 file stays where it is",
    ]
    assert again.out.splitlines()[0] == "outputs/herons: nothing to do, 4 of 6 pictures are there, 2 rejected"
    assert not path.exists()
    assert len(copied.pictures(RUN)) == 4


def test_everybody_who_is_asked_says_how_many_are_rejected(copied, ids):
    copied.types("reject", RUN, ids[0], ids[5])
    picture(copied, 0).unlink()

    plan = copied.types("plan", RUN, FAKE)
    status, facts = copied.types("status", RUN), json.loads(copied.types("status", RUN, "--json").out)
    verified = copied.types("verify", RUN)

    assert "6 pictures asked for, 4 there, 0 to make, 2 rejected" in plan.out
    assert json.loads(copied.types("plan", RUN, FAKE, "--json").out)["rejected"] == 2
    assert status.out.startswith("outputs/herons: 4 of 6 pictures are there, 0 left, 2 rejected\n")
    assert (facts["made"], facts["left"], facts["failed"], facts["rejected"]) == (4, 0, {}, 2)
    assert status.code == verified.code == 0
    assert verified.out == "outputs/herons: 4 pictures; all is well\n"


def test_the_summary_and_the_last_lines_tell_of_rejected_pictures_beside_those_that_were_made(copied, ids):
    summary = copied.folder / RUN / "summary.json"
    assert "rejected" not in json.loads(summary.read_bytes())
    copied.types("reject", RUN, ids[5])
    picture(copied, 0).unlink()

    said = goes_on(copied)
    told = json.loads(summary.read_bytes())

    assert said.code == 0
    assert "1 picture made in" in said.out
    assert "; 5 of 6 pictures are there, 1 rejected\n" in said.out
    assert {"asked": 6, "there_before": 4, "made": 1, "left": 0, "rejected": 1, "ended": "complete"}.items() <= (
        told.items()
    )


def test_what_is_missing_beside_rejected_pictures_is_still_missing(copied, ids):
    copied.types("reject", RUN, ids[5])
    for seed in (0, 1):
        picture(copied, seed).unlink()

    said = copied.types("run", RUN, *RENDER, "--limit", "1")

    assert said.code == 1
    assert "; 1 of 6 is missing (1 rejected), run the same command again" in said.out


def test_undo_makes_it_again(copied, ids):
    path = picture(copied, 2)
    before = images.record_in(path)
    copied.types("reject", RUN, path.name, ids[5])
    path.unlink()

    said = copied.types("reject", RUN, path.name, ids[5], ids[0], "--undo")
    again = goes_on(copied)

    assert said.code == again.code == 0
    assert said.out.splitlines()[-1] == "outputs/herons: 2 pictures no longer rejected, 1 was not rejected; 2 to make"
    assert "2 pictures made" in again.out
    assert "all 6 are there" in again.out
    assert images.record_in(path)["output"] == before["output"]


def test_what_was_never_begun_is_rejected_by_its_id(copied):
    copied.writes("more.yaml", MANIFEST.replace("0..5", "0..9"))
    copied.types("run", "more.yaml", *RENDER, "--limit", "1")
    never = [place.id for place in results(copied) if place.state == "missing"]
    assert len(never) == 4

    said = copied.types("reject", RUN, *(id_[:16] for id_ in never))

    assert f"rejected: {never[0][:12]} (never made)" in said.out
    assert goes_on(copied).code == 0
    assert len(copied.pictures(RUN)) == 6


def test_while_a_run_holds_the_directory_nothing_is_rejected(copied, ids):
    before = journal(copied)

    held = types_while_it_is_held(copied, "reject", RUN, ids[0])
    dry = types_while_it_is_held(copied, "reject", RUN, ids[0], "--dry-run")

    assert held.code == 75
    assert "held by" in held.err
    assert (dry.code, dry.out.splitlines()[-1]) == (
        0,
        "outputs/herons: 1 picture would be rejected; 1 file stays where it is",
    )
    assert journal(copied) == before


def test_a_second_rejection_writes_nothing(copied, ids):
    copied.types("reject", RUN, ids[0])
    before = journal(copied)

    said = copied.types("reject", RUN, ids[0][:8], picture(copied, 0).stem)

    assert (said.code, said.out) == (0, "outputs/herons: 0 pictures rejected, 1 was before\n")
    assert journal(copied) == before


def test_places_of_rejected_pictures_are_shown_as_such_with_what_there_is(copied, ids):
    copied.types("reject", RUN, ids[0], ids[1], ids[5])
    picture(copied, 1).unlink()

    found = results(copied)

    assert [place.state for place in found] == ["rejected", "rejected", "made", "made", "made", "rejected"]
    assert [place.reason for place in found] == [""] * 6
    assert found[0].picture == picture(copied, 0)
    assert found[0].recipe["seed"] == 0
    assert found[1].picture is found[5].picture is None


def test_reproducing_a_run_leaves_out_what_was_rejected_and_deleted(copied, ids):
    copied.types("reject", RUN, ids[0])
    picture(copied, 0).unlink()
    next((copied.folder / RUN / "records").glob(f"{ids[0][:12]}*")).unlink()

    said = copied.types("reproduce", RUN, FAKE)

    assert said.code == 0, said.out
    assert "4 of 4 pictures EXACT" in said.out


def test_a_first_pass_that_was_rejected_is_made_for_what_begins_with_it_and_stays_rejected(person):
    person.writes("m.yaml", MANIFEST.replace("0..5", "[0]") + "sweep: {hires: [none, {strength: 0.5}]}\n")
    assert person.types("run", "m.yaml", *RENDER, "--limit", "1").code == 1
    (first,) = person.pictures(RUN)
    person.types("reject", RUN, first.name)
    first.unlink()

    said = goes_on(person)

    assert said.code == 0, said.out
    assert len(person.pictures(RUN)) == 2
    assert first.exists()
    assert "nothing to do, 1 of 2 pictures is there, 1 rejected" in goes_on(person).out


def test_marks_of_the_gallery_drive_both_commands(copied, ids):
    export(copied, ids, s0=KEEP, s1=REJECT, s2={"verdict": None, "stars": 5}, s3=KEEP | {"stars": 2}, s5=REJECT)

    rejected = copied.types("reject", RUN, "--marks", "marks.json")
    promoted = copied.types("promote", RUN, "--marks", "marks.json", "steps=9", "-o", "more.yaml", FAKE)

    assert rejected.code == promoted.code == 0, rejected.err + promoted.err
    assert "2 pictures rejected" in rejected.out
    assert [place.state for place in results(copied)].count("rejected") == 2
    document = yaml.safe_load((copied.folder / "more.yaml").read_text())
    assert document["set"]["steps"] == 9
    assert [entry["seed"] for entry in document["prompts"]] == [0, 3], document
    assert "2 pictures asked for, 2 to make" in promoted.err
    undone = copied.types("reject", RUN, "--marks", "marks.json", "--undo")
    assert undone.out.splitlines()[-1] == "outputs/herons: 2 pictures no longer rejected; 1 to make"


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["--marks", "marks.json"], [0, 3]),
        (["--marks", "marks.json", "--stars", "2"], [2, 3]),
        (["--marks", "marks.json", "--stars", "5"], [2]),
        (["--marks", "marks.json", "--stars", "5", "--pick", "REJECTED"], [1, 2]),
        (["--pick", "REJECTED"], [1]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_a_dry_run_says_what_would_be_chosen_and_writes_nothing(copied, ids, words, seeds):
    export(
        copied, ids, s0=KEEP, s1=REJECT | {"stars": 5}, s2={"verdict": None, "stars": 5}, s3=KEEP | {"stars": 2}, s4={}
    )
    copied.types("reject", RUN, "--marks", "marks.json")
    before = {path: path.read_bytes() for path in copied.folder.rglob("*") if path.is_file()}

    chosen = [ids[1][:8] if word == "REJECTED" else word for word in words]
    said = copied.types("promote", RUN, *chosen, "steps=9", "--dry-run", FAKE)

    *names, count = said.out.splitlines()
    assert said.code == 0, said.err
    assert names == [picture(copied, seed).name for seed in seeds]
    assert count == f"{len(seeds)} picture{'s' if len(seeds) > 1 else ''} chosen"
    assert f"{len(seeds)} picture" in said.err
    assert "to make" in said.err
    assert {path: path.read_bytes() for path in copied.folder.rglob("*") if path.is_file()} == before


def test_what_was_rejected_is_not_among_what_a_promoted_manifest_makes_here(copied, ids):
    copied.types("reject", RUN, ids[0])

    said = copied.types("promote", RUN, "--pick", ids[0], "--dry-run", FAKE)

    assert said.code == 0
    assert "1 picture asked for, 0 to make, 1 rejected" in said.err


def test_marks_of_pictures_that_were_never_made_are_left_out_of_a_manifest_with_a_word(copied, ids):
    export(copied, ids, s0=KEEP, s5=KEEP)

    said = copied.types("promote", RUN, "--marks", "marks.json", "--dry-run", FAKE)

    assert said.out.splitlines() == [picture(copied, 0).name, "1 picture chosen"]
    assert f"marks.json: left out, for nothing was made yet: 1 picture, the first of {ids[5][:12]}" in said.err


def test_marks_of_another_run_are_refused_if_they_do_not_fit_and_else_told_of(copied, ids):
    export(copied, ids, run="storks", s0=REJECT)
    fits = copied.types("reject", RUN, "--marks", "marks.json", "--dry-run")
    export(copied, [*ids, "f" * 64, "e" * 64], run="storks", s0=REJECT, s6=KEEP, s7=KEEP)
    alien = [copied.types(name, RUN, "--marks", "marks.json") for name in ("reject", "promote")]

    assert fits.code == 0
    assert fits.err == "warning: marks.json: all marks fit; it is of the run 'storks', not 'herons'\n"
    for said in alien:
        assert said.code == 2
        assert said.err == (
            "batchgen: marks.json: 2 of 3 marks are of pictures that are not in this run, the first of "
            f"{'f' * 16}; it is of the run 'storks'\n"
        )
        assert not said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reject", "outputs/nothing", "1f2e"], "outputs/nothing: no run directory"),
        (["reject", RUN], "which pictures?"),
        (["reject", RUN, "abc"], "abc: an id is given by at least 4 digits"),
        (["reject", RUN, "0000000"], "0000000: no id in this run begins so"),
        (["reject", RUN, "stork.png"], "stork.png: no picture of this run has such a name"),
        (["reject", RUN, "--marks", "nowhere.json"], "nowhere.json: cannot be read"),
        (["reject", RUN, "--marks", "herons.yaml"], "herons.yaml: is no file of marks"),
        (["promote", RUN, "--marks", "herons.yaml"], "herons.yaml: is no file of marks"),
        (["promote", RUN, "--stars", "4"], "--stars: stars of which gallery?"),
        (["promote", RUN, "--stars", "6", "--marks", "marks.json"], "6 is not in the range"),
        (["promote", RUN, "--marks", "marks.json"], "marks.json: no picture is marked as kept"),
        (["promote", RUN, "--marks", "marks.json", "--stars", "3"], "marks.json: no picture is of 3 stars or more"),
        (["promote", RUN, "FAILED"], "was never made, so nothing can be made of it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_answered_in_a_line(copied, ids, words, said):
    export(copied, ids, s0=REJECT | {"stars": 4}, s1={"stars": 2})
    before = journal(copied)

    found = copied.types(*(ids[5][:8] if word == "FAILED" else word for word in words))

    assert found.code == 2
    assert said in found.err
    assert len(found.err.splitlines()) == 1
    assert not found.out
    assert journal(copied) == before


def test_a_directory_without_its_sweep_knows_what_its_journal_tells_of(copied, ids):
    (copied.folder / RUN / ".batchgen/sweep.json").unlink()

    said = copied.types("reject", RUN, ids[0][:6], ids[5][:6])

    assert said.code == 0, said.err
    assert "2 pictures rejected" in said.out


def test_a_run_directory_may_be_renamed_between_its_gallery_and_its_marks(copied, ids):
    export(copied, ids, s0=REJECT)
    shutil.move(copied.folder / RUN, copied.folder / "elsewhere")

    said = copied.types("reject", "elsewhere", "--marks", "marks.json")

    assert said.code == 0
    assert "1 picture rejected" in said.out
