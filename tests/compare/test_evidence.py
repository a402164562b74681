"""The gallery in docs/: it is what the page that ships shows of a real run, and of the machine nothing."""

import json
from pathlib import Path

import pytest

from batchgen.compare.facts import FORMAT

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

    assert (EVIDENCE / "index.html").samefile(source / "index.html")
    assert (EVIDENCE / "page").samefile(source / "page")


def test_it_is_told_what_the_page_of_today_reads(told):
    assert told["format"] == FORMAT
    assert told["small"]


def test_it_names_no_folder_of_the_machine_it_was_made_on():
    for path in EVIDENCE.glob("*.js"):
        assert not any(place in path.read_text(encoding="utf-8") for place in ("/home/", "/root/", "/tmp/", "file:///"))
