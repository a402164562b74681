"""The gallery in docs/: it is what the page that ships shows of a real run, and of the machine nothing."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = ROOT / "docs/samplers_compared"


@pytest.fixture(scope="module")
def told():
    text = (EVIDENCE / "data.js").read_text(encoding="ascii")
    return json.loads(json.loads(text.partition("JSON.parse(")[2].rpartition(");")[0]))


def test_it_shows_every_sampler_schedule_and_step_count_of_its_manifest(told):
    axes = {axis["name"]: axis["values"] for axis in told["axes"]}

    assert told["count"] == 5040
    assert {told["states"][state] for state in told["state"]} == {"made"}
    assert len(axes["sampler"]) == 14
    assert axes["schedule"] == ["simple", "karras", "sgm_uniform"]
    assert axes["steps"] == [str(number) for number in range(2, 31, 2)]
    assert all(address.startswith("data:image/webp;base64,") for address in told["thumb"])


def test_its_page_is_the_one_that_ships():
    source = ROOT / "src/batchgen/compare"
    files = [source / "index.html", *(source / "page").iterdir()]
    shipped = {path.relative_to(source): path.read_bytes() for path in files}

    kept = {path: (EVIDENCE / path).read_bytes() for path in shipped}

    assert kept == shipped


def test_it_names_no_folder_of_the_machine_it_was_made_on():
    for path in EVIDENCE.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/work/", "file:///"))
