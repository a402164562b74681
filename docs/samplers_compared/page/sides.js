/*
 * The controls above the pictures: which axis goes down and which across, the value of each other one, order and size.
 */
(() => {
  'use strict';

  const { element, icon } = batchgen;
  const LONG = 72;
  const by = (id) => document.getElementById(id);

  /** Bring the controls to life; `showSides` fills them. */
  batchgen.startSides = () => {
    by('rows').addEventListener('change', (event) => choose('y', event.target.value || null));
    by('columns').addEventListener('change', (event) => choose('x', event.target.value || null));
    by('swap').addEventListener('click', () => batchgen.set({ x: batchgen.view.y, y: batchgen.view.x }));
    by('sort').addEventListener('change', (event) => batchgen.set({ sort: event.target.value }));
    by('direction').addEventListener('click', () => batchgen.set({ descending: !batchgen.view.descending }));
    by('size').addEventListener('input', (event) => batchgen.set({ size: Number(event.target.value) }));
    by('fit').addEventListener('click', () => batchgen.set({ size: 0 }));
  };

  /** An axis that is already on the other side changes places with this one. */
  function choose(side, name) {
    const other = side === 'x' ? 'y' : 'x';
    const { view } = batchgen;
    batchgen.set({ [side]: name, ...(name !== null && view[other] === name ? { [other]: view[side] } : {}) });
  }

  /** Show the view in the controls. @param {number} size  Width of cells as it is now. */
  batchgen.showSides = (size) => {
    const { view } = batchgen;
    fillSelect(by('rows'), sideOptions(view.y), view.y ?? '');
    fillSelect(by('columns'), sideOptions(view.x), view.x ?? '');
    showSelectors();
    fillSelect(by('sort'), sortOptions(), view.sort);
    const direction = by('direction');
    direction.setAttribute('aria-pressed', String(view.descending));
    direction.title = view.descending ? 'Descending' : 'Ascending';
    by('size').value = String(Math.round(size));
    by('fit').setAttribute('aria-pressed', String(view.size === 0));
    showTransport();
    by('controls').hidden = view.mode === 'charts';
    by('controls').dataset.mode = view.mode;
  };

  /** One for all clips of the page. */
  function showTransport() {
    const box = by('playing');
    box.hidden = batchgen.data.clip === null;
    if (!box.hidden && box.children.length === 0 && batchgen.transport) box.append(batchgen.transport());
  }

  function sideOptions(chosen) {
    const axes = batchgen.axes().filter((axis) => axis.values.length > 1 || axis.name === chosen);
    return [['', 'none'], ...axes.map((axis) => [axis.name, axis.name])];
  }

  function sortOptions() {
    return [['', 'as asked for'], ...batchgen.sortable().map((field) => [field.name, `${field.name}${field.unit ? ` (${field.unit})` : ''}`])];
  }

  function fillSelect(select, options, value) {
    const key = JSON.stringify(options);
    if (select.dataset.options !== key) {
      select.replaceChildren(...options.map(([each, text]) => element('option', { value: each, text })));
      select.dataset.options = key;
    }
    select.value = value;
  }

  function showSelectors() {
    const wanted = batchgen.view.mode === 'grid' ? batchgen.otherAxes() : [];
    const box = by('selectors');
    const kept = new Map([...box.children].map((selector) => [selector.dataset.axis, selector]));
    const shown = wanted.map((axis) => {
      const old = kept.get(axis.name);
      return old && Number(old.dataset.count) === axis.values.length ? old : selectorOf(axis);
    });
    if (shown.length !== box.children.length || shown.some((each, n) => box.children[n] !== each)) box.replaceChildren(...shown);
    wanted.forEach((axis, n) => showPlace(shown[n], axis));
  }

  function selectorOf(axis) {
    const options = axis.values.map((text, place) => element('option', { value: String(place), text: batchgen.shortened(text, LONG) }));
    const go = (step) => () => batchgen.step(axis.name, step);
    const select = element('select', { aria: { label: axis.name }, on: { change: (event) => batchgen.goTo(axis.name, Number(event.target.value)) } }, ...options);
    return element(
      'div',
      { class: 'selector', role: 'group', aria: { label: axis.name }, dataset: { axis: axis.name, count: axis.values.length } },
      element('span', { class: 'what', aria: { hidden: 'true' }, text: axis.name }),
      element('button', { class: 'button icon previous', type: 'button', aria: { label: `Previous ${axis.name}` }, on: { click: go(-1) } }, icon('left')),
      select,
      element('button', { class: 'button icon next', type: 'button', aria: { label: `Next ${axis.name}` }, on: { click: go(1) } }, icon('right')),
    );
  }

  function showPlace(selector, axis) {
    const place = batchgen.placeShown(axis);
    const select = selector.querySelector('select');
    select.value = String(place);
    select.dataset.tip = axis.values[place];
    selector.querySelector('.previous').disabled = place === 0;
    selector.querySelector('.next').disabled = place === axis.values.length - 1;
  }

  /** Show another value of an axis. @param {string} name @param {number} place */
  batchgen.goTo = (name, place) => batchgen.set({ at: { ...batchgen.view.at, [name]: place } });

  /** Go to the next or last value of an axis. @param {string} name @param {number} step  1 or -1. */
  batchgen.step = (name, step) => {
    const axis = batchgen.axis(name);
    const place = batchgen.placeShown(axis) + step;
    if (place < 0 || place >= axis.values.length) return;
    batchgen.goTo(name, place);
    batchgen.announce(`${name} ${axis.values[place]}`);
  };

  /** As `step`, of the selector at a place. @param {number} number @param {number} step */
  batchgen.stepSelector = (number, step) => {
    const axis = batchgen.view.mode === 'grid' ? batchgen.otherAxes()[number] : undefined;
    if (axis) batchgen.step(axis.name, step);
  };
})();
