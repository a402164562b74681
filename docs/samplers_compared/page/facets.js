/*
 * Filters: for every field what it can be, each with how many pictures are left; and what filters are set, as chips.
 */
(() => {
  'use strict';

  const { element, icon } = batchgen;
  const MOST_VALUES = 200;
  const OPEN_UP_TO = 16;
  const RANGED_FROM = 12;
  const LONG = 240;
  const by = (id) => document.getElementById(id);
  let built = null;

  /** @param {any} field @returns {number[]} Places of the values that there are, in order. */
  function placesOf(field) {
    if (field.of === null) return field.values.map((_, place) => place);
    const there = new Set(field.of);
    return field.values.map((_, place) => place).filter((place) => there.has(place));
  }

  /** @returns {[number, number]|null} Least and most finite number of a field; null: it does not vary. */
  function bounds(field) {
    let [least, most] = [Infinity, -Infinity];
    for (const value of field.numbers) {
      if (value === null || !Number.isFinite(value)) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    return least < most ? [least, most] : null;
  }

  const isFacet = (field) => {
    const places = field.values.length < 2 ? [] : placesOf(field);
    return places.length >= 2 && places.length <= MOST_VALUES && (field.name !== 'identical' || batchgen.data.same.some((group) => group >= 0));
  };
  const isRange = (field) => field.numbers && (field.kind === 'numbers' || field.values.length > RANGED_FROM) && bounds(field);

  /** Make the filters, when they are first seen, or with other data. */
  function build() {
    const own = ['state', 'marks', 'identical', 'environment'];
    const fields = [...own.slice(0, 2).map(batchgen.field), ...batchgen.fields().filter((field) => !own.includes(field.name)), ...own.slice(2).map(batchgen.field)];
    const parts = fields.flatMap((field) => [isFacet(field) ? facet(field) : null, isRange(field) ? range(field) : null]);
    by('filter-list').replaceChildren(...parts.filter(Boolean));
    built = batchgen.data;
  }

  function facet(field) {
    const places = placesOf(field);
    const options = places.map((place) =>
      element(
        'label',
        { class: 'option' },
        element('input', { type: 'checkbox', dataset: { key: place }, on: { change: () => toggle(field.name, place) } }),
        element('span', { class: 'value', dir: 'auto', dataset: { tip: field.values[place] }, text: batchgen.shortened(field.values[place], LONG) }),
        element('span', { class: 'count' }),
      ),
    );
    const title = element('summary', {}, element('span', { class: 'name', text: field.name }), element('span', { class: 'chosen' }));
    const list = element('div', { class: 'options', role: 'group', aria: { label: field.name } }, ...options);
    return element('details', { class: 'facet', open: places.length <= OPEN_UP_TO, dataset: { field: field.name } }, title, list);
  }

  function range(field) {
    const [least, most] = bounds(field);
    const input = (name, place, usual) =>
      element('input', {
        class: name,
        type: 'number',
        step: 'any',
        inputMode: 'decimal',
        placeholder: String(Number(usual.toPrecision(4))),
        aria: { label: `${field.name}, ${name}` },
        on: { change: (event) => setRange(field.name, place, event.target.value) },
      });
    const ends = element('div', { class: 'ends' }, input('least', 0, least), element('span', { text: 'to' }), input('most', 1, most), field.unit);
    const title = element('summary', {}, element('span', { class: 'name', text: field.name }), element('span', { class: 'chosen' }));
    return element('details', { class: 'range', open: field.kind === 'numbers', dataset: { field: field.name } }, title, ends);
  }

  function toggle(name, place) {
    const chosen = batchgen.own(batchgen.view.facets, name) ?? [];
    const now = chosen.includes(place) ? chosen.filter((each) => each !== place) : [...chosen, place].sort((one, other) => one - other);
    const { [name]: _old, ...rest } = batchgen.view.facets;
    batchgen.set({ facets: now.length > 0 ? { ...rest, [name]: now } : rest });
  }

  function setRange(name, place, text) {
    const { [name]: _old, ...rest } = batchgen.view.ranges;
    const now = [...(batchgen.own(batchgen.view.ranges, name) ?? [null, null])];
    now[place] = text === '' || Number.isNaN(Number(text)) ? null : Number(text);
    batchgen.set({ ranges: now[0] === null && now[1] === null ? rest : { ...rest, [name]: now } });
  }

  /** Show which filters are set and how many pictures each value would leave. Nothing while they are not seen. */
  batchgen.showFacets = () => {
    showChips();
    if (by('filters').hidden) return;
    if (built !== batchgen.data) build();
    by('filter-list').querySelectorAll('.facet').forEach(showFacet);
    by('filter-list').querySelectorAll('.range').forEach(showRange);
  };

  function showFacet(made) {
    const { field } = made.dataset;
    const chosen = batchgen.own(batchgen.view.facets, field) ?? [];
    const counts = batchgen.facetCounts(field);
    made.querySelector('.chosen').textContent = chosen.length > 0 ? String(chosen.length) : '';
    made.querySelectorAll('.option').forEach((option) => {
      const input = option.querySelector('input');
      const place = Number(input.dataset.key);
      input.checked = chosen.includes(place);
      option.querySelector('.count').textContent = counts[place].toLocaleString('en');
      option.classList.toggle('none', counts[place] === 0 && !input.checked);
    });
  }

  function showRange(made) {
    const ends = batchgen.own(batchgen.view.ranges, made.dataset.field) ?? [null, null];
    ['least', 'most'].forEach((name, place) => {
      made.querySelector(`.${name}`).value = ends[place] === null ? '' : String(ends[place]);
    });
    made.querySelector('.chosen').textContent = ends[0] === null && ends[1] === null ? '' : '1';
  }

  function showChips() {
    const { facets, ranges, text } = batchgen.view;
    const without = (map, name) => Object.fromEntries(Object.entries(map).filter(([each]) => each !== name));
    const chips = [
      ...(text ? [chip(`“${text}”`, () => batchgen.set({ text: '' }))] : []),
      ...Object.entries(facets).map(([name, places]) => chip(`${name}: ${valuesText(name, places)}`, () => batchgen.set({ facets: without(batchgen.view.facets, name) }))),
      ...Object.entries(ranges).map(([name, ends]) => chip(rangeText(name, ends), () => batchgen.set({ ranges: without(batchgen.view.ranges, name) }))),
    ];
    const set = Object.keys(facets).length + Object.keys(ranges).length;
    by('filters-number').textContent = set ? String(set) : '';
    by('chips').hidden = chips.length === 0;
    const clear = element('button', { id: 'clear-filters', class: 'link', type: 'button', text: 'Clear all', on: { click: batchgen.clearFilters } });
    by('chips').replaceChildren(element('span', { id: 'shown' }), ...chips, clear);
    const [shown, all] = [batchgen.passingCount(), batchgen.data.count].map((count) => count.toLocaleString('en'));
    by('shown').textContent = `${shown} of ${all}`;
  }

  /** Take every filter and the search away. */
  batchgen.clearFilters = () => batchgen.set({ facets: {}, ranges: {}, text: '' });

  const chip = (text, remove) => element('button', { class: 'chip', type: 'button', aria: { label: `Remove the filter ${text}` }, on: { click: remove } }, element('span', { dir: 'auto', text: batchgen.shortened(text, 80) }), icon('close'));

  function valuesText(name, places) {
    const { values } = batchgen.field(name);
    const words = places.slice(0, 3).map((place) => batchgen.shortened(values[place], 40));
    return words.join(', ') + (places.length > 3 ? ` and ${places.length - 3} more` : '');
  }

  function rangeText(name, [least, most]) {
    if (least === null) return `${name} ≤ ${most}`;
    return most === null ? `${name} ≥ ${least}` : `${name} ${least} to ${most}`;
  }
})();
