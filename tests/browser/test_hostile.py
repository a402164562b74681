"""Five hundred hostile prompts and names, and hostile words in every other place: shown as they are, and never run."""

import itertools
import json
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from batchgen.compare.charts.drawing import Chart
from batchgen.compare.facts import Extras, Numbers
from batchgen.compare.gallery import Wanted, write_gallery, write_live
from batchgen.compare.layout import Compare
from batchgen.compare.results import read_results
from batchgen.store.layout import RunDirectory
from trials.chromium import until

CARRIERS = (
    "<script>alert({})</script>",
    "</script><script>alert({})</script>",
    "<img src=x onerror=alert({})>",
    '"><svg onload=alert({})>',
    "' onmouseover='alert({})",
    "javascript:alert({})",
    "<iframe srcdoc='<script>parent.alert({})</script>'></iframe>",
    "<!--<script>{}-->",
    "]]>{}<![CDATA[",
    "&lt;b&gt;{} &amp;amp; &#60;b&#62; &nbsp;",
    "${{alert({})}} `{{{{constructor.constructor('alert({})')()}}}}`",
    "<style>*{{display:none}}</style>{}",
    "<template><script>alert({})</script></template>",
    "<a href='https://batchgen.invalid/{}'>a link</a> <base href='https://batchgen.invalid/'>",
    "<meta http-equiv=refresh content='0;url=https://batchgen.invalid/{}'>",
    "<b id=grid>{}</b><form id=batchgen><input name=attributes>",
    "__proto__ {}",
    "\u202eright to left {}\u202c and back",
    "\u2066\u2067שלום {} مرحبا",
    "line\u2028separator\u2029{} \ufeff\u200b",
    "# {} = + - & ? / \\ % %3Cscript%3E \\u003cscript\\u003e",
    "two\nlines\n\n  and\tspaces   {}  ",
    "{} " + "<b>long</b> " * 182,
    "{}" + "x" * 2000,
    "👩‍👩‍👧‍👦 {} e\u0301\u0489\u0489\u0489 ﷽",
)
COUNT = 500


@pytest.fixture(scope="module")
def prompts(hostile_prompts):
    """Return five hundred different ones: those that every layer is tried with, and what browsers are attacked with."""
    numbered = (carrier.format(number, number) for number in itertools.count() for carrier in CARRIERS)
    return [*hostile_prompts, *itertools.islice(numbered, COUNT - len(hostile_prompts))]


@pytest.fixture(scope="module")
def run(ran, prompts):
    entries = [{"prompt": prompt, "name": prompt} for prompt in prompts]
    return ran({"name": "hostile", "set": {"width": 16, "height": 16, "steps": 1}, "prompts": entries})


def unharmed(page):
    """Assert that nothing ran, and that nothing of a text became a part of the page."""
    assert page.evaluate("ran") == []
    strange = "script:not([src]), style, iframe, base, template, form#batchgen, svg[onload], [onerror], [onmouseover]"
    assert page.locator(strange).count() == 0
    assert page.locator("main b, main a[href^='http'], img[src='x']").count() == 0
    assert page.evaluate("({}).polluted") is None


@pytest.mark.parametrize("address", ["file", "http"], indirect=True)
def test_five_hundred_prompts_are_shown_exactly_and_none_runs(visit, address, run, prompts, told):
    page = visit(address(run))
    facts = told(run)
    assert facts.data["count"] == COUNT == len(set(prompts))

    seen = page.evaluate(
        """async count => {
            const texts = [];
            for (let cell = 0; cell < count; cell += 1) {
                batchgen.focusCell(cell);
                await new Promise(requestAnimationFrame);
                const details = document.querySelector('#details');
                const text = details.querySelector('.recipe .prompt-text');
                texts.push([details.dataset.cell, text.textContent, text.innerText]);
            }
            return texts;
        }""",
        COUNT,
    )

    assert [int(cell) for cell, _, _ in seen] == list(range(COUNT))
    assert [text for _, text, _ in seen] == prompts
    # As a person sees and would copy it: no space or line lost.
    assert [text for _, _, text in seen] == prompts
    unharmed(page)


def test_names_stand_in_headers_selectors_and_filters_as_text(visit, run, prompts, told, address):
    page = visit(address(run))
    facts = told(run)
    (values,) = (axis["values"] for axis in facts.data["axes"] if axis["name"] == "prompt")
    for side, headers in (("rows", "rowheader"), ("columns", "columnheader")):
        page.select_option("#rows", "")
        page.select_option("#columns", "")
        page.select_option(f"#{side}", "prompt")
        heads = page.locator(f"#grid [role={headers}]:not(.corner)")
        expect(heads.first).to_have_attribute("aria-label", f"prompt {values[0]}")
        assert heads.evaluate_all("(all, values) => all.every(each => values.includes(each.dataset.tip))", values)
    page.select_option(f"#{side}", "")

    options = page.locator('.selector[data-axis="prompt"] option')

    expect(options).to_have_count(len(values))
    page.click("#filters-toggle")
    page.click("#mode-wall")
    unharmed(page)


def test_the_viewer_shows_them_as_text(visit, run, prompts, address):
    page = visit(address(run))
    for cell in range(0, COUNT - 1, 25):
        page.evaluate("cell => batchgen.openViewer(cell, cell + 1)", cell)
        page.wait_for_selector(f'#viewer[open][data-a="{cell}"]')
        told = page.text_content('#viewer [data-differs] tr[data-field="prompt"]')

        assert prompts[cell] in told
        assert prompts[cell + 1] in told
    unharmed(page)


def test_search_finds_each_by_its_own_words(visit, run, prompts, address):
    page = visit(address(run))
    page.click("#mode-wall")
    for prompt in ("</script><script>alert(1)</script>", "שלום", "&lt;b&gt;", "__proto__ 3"):
        page.fill("#search", prompt)
        until(page, "document.querySelectorAll('#grid [data-cell]').length > 0")
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")

        assert page.input_value("#search") == prompt
        found = page.eval_on_selector_all("#grid [data-cell]", "all => all.map(each => Number(each.dataset.cell))")
        assert found
        assert all(word in prompts[cell].lower() for cell in found for word in prompt.lower().split())
    unharmed(page)


def test_the_address_keeps_a_hostile_choice(visit, run, address):
    page = visit(address(run))
    for cell in (45, 46, 47, 60):
        page.evaluate("cell => batchgen.set({x: null, y: null, at: {prompt: cell}, facets: {prompt: [cell]}})", cell)
        until(page, "location.hash.includes('prompt')")
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")

        assert page.evaluate("[batchgen.view.at.prompt, batchgen.view.facets.prompt]") == [cell, [cell]]
    unharmed(page)


@pytest.fixture
def everywhere(compared, tmp_path):
    """A gallery in which every text that is no prompt is hostile: reasons, machines, columns, charts, name."""
    said = [carrier.format(number, number) for number, carrier in enumerate(CARRIERS)]
    turn = itertools.cycle(said)
    results = read_results(RunDirectory(compared))
    places = tuple(replace(each, reason=next(turn) if each.state != "made" else "") for each in results.places)
    environments = {
        name: {**each, "device": next(turn), next(turn): next(turn)} for name, each in results.environments.items()
    }
    results = replace(results, name=said[1], places=places, environments=environments)
    numbers = [float(number) for number in range(len(places))]
    columns = [Numbers(name=name, kind="own", numbers=numbers, unit=next(turn)) for name in (*said[:6], "__proto__")]
    reference = [0] * len(places)
    extras = Extras(columns=columns, reference=reference, reference_text=said[0], findings=said)
    charts = [Chart(name=f"{n}", title=each, text=each, svg=SVG, png=b"") for n, each in enumerate(said[:4])]
    write_gallery(results, tmp_path / "run/gallery", Wanted(sides=Compare(x="steps", y="sampler")), extras, charts)
    write_live(tmp_path / "run/gallery", None)
    return tmp_path / "run", said


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10" onload="alert(9)"><script>alert(9)</script>'
    '<image href="https://batchgen.invalid/a.png"/></svg>'
)
"""In an image a drawing runs nothing and asks for nothing."""


def test_hostile_words_in_every_other_place_do_no_harm(everywhere, browser, visited, address):
    run, said = everywhere
    # Pictures are outside of the folder here; only what came in is of interest, and they are looked for elsewhere.
    with visited(browser, address(run)) as (page, guard):
        page.select_option('.selector[data-axis="seed"] select', label="7")
        for cell in page.locator("#grid [data-id]").evaluate_all("all => all.map(each => Number(each.dataset.cell))"):
            page.evaluate("cell => batchgen.focusCell(cell)", cell)
            page.evaluate("cell => batchgen.openViewer(cell, 0)", cell)
            page.keyboard.press("Escape")
        page.click("#filters-toggle")
        page.click("#mode-charts")
        page.wait_for_selector("#charts figure.chart")
        findings = page.eval_on_selector_all("#findings li", "all => all.map(each => each.textContent)")
        unharmed(page)

    assert findings == said
    assert [each for each in guard.complaints if "batchgen.invalid" in each or "policy" in each] == []
    assert [each for each in guard.complaints if "uncaught" in each] == []
    assert json.dumps(said) != ""
