import base64
import json
from urllib.parse import unquote

import pytest
from PIL import Image

from batchgen.compare.charts.drawing import Chart
from batchgen.compare.facts import Extras, Numbers
from batchgen.compare.gallery import Wanted, write_gallery, write_live
from batchgen.compare.layout import Compare
from batchgen.compare.results import read_results
from batchgen.errors import StoreError

WANTED = Wanted(sides=Compare(x="steps", y="sampler", page="prompt"))


def told(folder):
    text = (folder / "data.js").read_text()
    return json.loads(json.loads(text.partition("JSON.parse(")[2].rpartition(");")[0]))


def live_in(folder):
    return json.loads((folder / "live.js").read_text().partition("(")[2].rpartition(");")[0])


def inodes(folder):
    return {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def test_each_cell_leads_to_its_own_picture_and_thumbnail(evening):
    results = read_results(evening)

    write_gallery(results, evening.gallery, WANTED, Extras())

    found = told(evening.gallery)
    assert found["count"] == 16
    for number, each in enumerate(results.places):
        assert found["id"][number] == each.id[:16]
        assert (evening.gallery / unquote(found["picture"][number])).samefile(each.picture)
        with Image.open(evening.gallery / found["thumb"][number]) as thumb:
            assert thumb.format == "WEBP"
            assert thumb.size == (64, 64)


def test_axes_columns_and_constants_put_every_recipe_together_again(finished, tmp_path):
    results = read_results(finished)

    write_gallery(results, tmp_path / "g", WANTED, Extras())

    found = told(tmp_path / "g")
    recipes = [column for column in found["columns"] if column["kind"] == "recipe"]
    for number, each in enumerate(results.places):
        own = {c["name"]: c["table"][c["of"][number]] for c in recipes if c["of"][number] >= 0}
        assert found["constant"] | own == {name: value for name, value in each.recipe.items() if value is not None}
        for axis in found["axes"]:
            assert axis["values"][axis["at"][number]] == str(each.coordinates[axis["name"]])
    assert "steps" not in found["constant"]
    assert found["constant"]["model"] == "demo_shapes"


def test_the_same_again_writes_nothing(evening):
    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())
    before = inodes(evening.gallery)

    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())

    assert inodes(evening.gallery) == before


def test_thumbnails_of_pictures_that_nobody_asks_for_any_more_go_and_a_persons_files_stay(evening):
    results = read_results(evening)
    write_gallery(results, evening.gallery, WANTED, Extras())
    own = evening.gallery / "thumbs" / "holiday.webp"
    own.write_bytes(b"mine")
    stale = evening.gallery / "thumbs" / f"{'0' * 16}.webp"
    stale.write_bytes(b"old")

    write_gallery(results, evening.gallery, WANTED, Extras())

    assert own.exists()
    assert not stale.exists()


def test_a_torn_thumbnail_is_made_again(evening):
    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())
    torn = next((evening.gallery / "thumbs").iterdir())
    torn.write_bytes(b"")

    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())

    assert torn.stat().st_size


def test_a_torn_picture_has_no_thumbnail_and_costs_no_other_one(evening):
    victim = read_results(evening).places[5].picture
    data = bytearray(victim.read_bytes())
    data[-400:-300] = bytes(100)
    victim.write_bytes(data)

    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())

    thumbs = told(evening.gallery)["thumb"]
    assert [number for number, thumb in enumerate(thumbs) if not thumb] == [5]


def test_a_small_gallery_holds_its_thumbnails_and_names_no_other_file(finished, tmp_path):
    chart = Chart(name="convergence", title="Convergence", text="falls", svg="<svg/>", png=b"")

    write_gallery(read_results(finished), tmp_path / "g", Wanted(sides=Compare(), small=True), Extras(), charts=[chart])

    found = told(tmp_path / "g")
    assert not (tmp_path / "g" / "thumbs").exists()
    assert set(found["picture"]) == {""}
    assert base64.b64decode(found["thumb"][0].removeprefix("data:image/webp;base64,"))[:4] == b"RIFF"
    assert found["charts"][0]["file"].startswith("data:image/svg+xml;base64,")


def test_a_gallery_that_stands_alone_holds_the_very_pictures(finished, tmp_path):
    results = read_results(finished)

    write_gallery(results, tmp_path / "g", Wanted(sides=Compare(), copied=True), Extras())

    for address, each in zip(told(tmp_path / "g")["picture"], results.places, strict=True):
        assert not address.startswith("..")
        assert (tmp_path / "g" / unquote(address)).read_bytes() == each.picture.read_bytes()


def test_infinity_and_hostile_names_come_through_as_json(finished, tmp_path):
    results = read_results(finished)
    numbers = [float("inf"), None, *[1.23456] * 14]

    write_gallery(
        results,
        tmp_path / "g",
        WANTED,
        Extras(columns=[Numbers(name="__proto__", kind="own", numbers=numbers)], findings=["</script>\u2028"]),
    )

    text = (tmp_path / "g" / "data.js").read_text(encoding="ascii")
    found = told(tmp_path / "g")
    assert len(text.splitlines()) == 2
    assert found["columns"][-1]["numbers"][:3] == ["Infinity", None, 1.2346]
    assert found["columns"][-1]["name"] == "__proto__"
    assert found["findings"] == ["</script>\u2028"]


def test_pages_that_are_open_hear_which_data_is_the_newest_and_how_far_the_run_is(evening):
    write_gallery(read_results(evening), evening.gallery, WANTED, Extras())

    write_live(evening.gallery, {"asked": 20, "made": 16})
    running = live_in(evening.gallery)
    write_live(evening.gallery, None)
    ended = live_in(evening.gallery)

    version = told(evening.gallery)["version"]
    assert running == {"version": version, "running": True, "asked": 20, "made": 16}
    assert ended == {"version": version, "running": False}


@pytest.mark.parametrize("name", ["", "page", "thumbs", "charts"])
def test_a_link_in_place_of_a_folder_is_not_followed(evening, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{'0' * 16}.webp").write_bytes(b"mine")
    place = evening.gallery / name if name else evening.gallery
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)

    with pytest.raises(StoreError, match="symbolic link"):
        write_gallery(read_results(evening), evening.gallery, WANTED, Extras())
    assert [path.name for path in elsewhere.iterdir()] == [f"{'0' * 16}.webp"]
