"""The guard of these tests, shown to bark: pages that do what a gallery must not."""

import pytest

from trials.chromium import until

POLICY = "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data: blob:"


@pytest.fixture
def page_with(tmp_path):
    """Write a page whose one script is this, or whose text is that; return its directory."""

    def made(script="", text="<p>a page"):
        folder = tmp_path / "run/gallery"
        folder.mkdir(parents=True)
        (folder / "page.js").write_text(script)
        (folder / "index.html").write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>a page</title><link rel="icon" href="data:,">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            f'<script defer src="page.js"></script><main><h1>A page</h1>{text}</main></html>'
        )
        return tmp_path / "run"

    return made


@pytest.fixture
def complaints(browser, visited):
    def of(address):
        with visited(browser, address, ready="main") as (_, guard):
            pass
        return guard.complaints

    return of


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_a_page_that_does_nothing_wrong_is_let_be(page_with, complaints, address):
    assert complaints(address(page_with())) == []


@pytest.mark.parametrize(
    ("wrong", "heard"),
    [
        ({"script": "console.error('a fault')"}, "error: a fault"),
        ({"script": "console.warn('a doubt')"}, "warning: a doubt"),
        ({"script": "nowhere()"}, "uncaught: "),
        ({"script": "Promise.reject(new Error('left alone'))"}, "uncaught: left alone"),
        ({"script": "fetch('https://batchgen.invalid/')"}, "policy: connect-src"),
        ({"script": "eval('1')"}, "policy: script-src"),
        ({"script": "document.body.append(Object.assign(new Image(), {src: 'missing.png'}))"}, "missing.png"),
        ({"text": "<script>ran.push(1)</script>"}, "policy: script-src"),
        ({"text": '<p style="color: red">'}, "policy: style-src"),
        ({"text": '<b onclick="1">'}, "policy: script-src"),
        ({"text": '<img src="https://batchgen.invalid/a.png" alt="">'}, "policy: img-src"),
        ({"text": '<img src="../../secret.png" alt="">'}, "secret.png"),
    ],
)
def test_a_page_that_does_wrong_is_told_on(page_with, complaints, wrong, heard):
    found = complaints((page_with(**wrong) / "gallery/index.html").as_uri())

    assert any(heard in each for each in found), found


def test_a_request_that_no_policy_forbids_is_heard(page_with, complaints):
    run = page_with(text='<img src="https://batchgen.invalid/a.png" alt="">')
    page = run / "gallery/index.html"
    page.write_text(page.read_text().replace(POLICY, ""))

    found = complaints(page.as_uri())

    assert "asked for https://batchgen.invalid/a.png" in found


def test_a_script_in_a_prompt_would_leave_its_mark(page_with, visit):
    run = page_with(script="document.querySelector('main').innerHTML = '<img src=\"data:,\" onerror=\"alert(7)\">'")
    file = run / "gallery/index.html"
    file.write_text(file.read_text().replace(POLICY, ""))

    page = visit(file.as_uri(), ready="main")

    until(page, "ran.length")
    assert page.evaluate("ran") == ["7"]


def test_axe_sees_what_nobody_could_use(page_with, visit, axe):
    sound = page_with()
    assert axe(visit((sound / "gallery/index.html").as_uri(), ready="main")) == []
    page = sound / "gallery/index.html"
    page.write_text(page.read_text().replace("<p>a page", '<button></button><input><img src="data:,">'))

    found = axe(visit(page.as_uri(), ready="main"))

    assert {each.partition(":")[0] for each in found} >= {"button-name", "label", "image-alt"}
