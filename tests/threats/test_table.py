"""The table of threats in docs/safety.md says nothing that no test shows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (ROOT / "docs" / "safety.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| What may")
]


@pytest.fixture(scope="module")
def there():
    """The names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_every_row_names_tests_that_are_there(row, there):
    _, _, what, shown, _ = re.split(r"(?<!\\)\|", row)

    named = re.findall(r"`(test_\w+)`", shown)

    assert what.strip()
    assert named
    assert set(named) <= there


def test_every_test_of_a_threat_is_in_the_table(there):
    page = "\n".join(ROWS)
    files = [file for file in Path(__file__).parent.glob("test_*.py") if file.name != Path(__file__).name]
    threats = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }

    silent = {name for name in threats if f"`{name}`" not in page}

    assert silent <= {
        "test_one_field_may_still_refer_to_another",
        "test_the_name_of_a_picture_has_nothing_of_it_but_letters",
    }
