/*
 * The page as a whole: which part is shown, what keys mean everywhere, and what happens when the view, the marks or
 * the data change. Loaded last; it starts everything.
 */
(() => {
  'use strict';

  const by = (id) => document.getElementById(id);
  const MODES = ['grid', 'wall', 'charts'];
  /** Below this width the recipe is a sheet at the bottom, which a tap brings. */
  const NARROW = matchMedia('(max-width: 999px)');
  /** Milliseconds that a pointer rests on a cell before the recipe changes: crossing the grid must not flicker. */
  const REST = 60;
  /** Milliseconds between what is to be seen and what is a screen away. */
  const SOON = 100;
  const DETAILS_KEY = 'batchgen.details';

  let pane = null;
  let chosen = -1;
  let hovered = -1;
  let resting = 0;
  let drawing = 0;
  /** How much room there was when the pictures were laid out last. */
  let room = '';

  /** Show the view: everything that depends on it. */
  function show() {
    const { mode } = batchgen.view;
    batchgen.refilter();
    MODES.forEach((each) => by(`mode-${each}`).setAttribute('aria-selected', String(each === mode)));
    MODES.forEach((each) => (by(`mode-${each}`).tabIndex = each === mode ? 0 : -1));
    by('pictures').hidden = mode === 'charts';
    by('pictures').setAttribute('aria-labelledby', mode === 'wall' ? 'mode-wall' : 'mode-grid');
    by('charts').hidden = mode !== 'charts';
    by('search').value = batchgen.view.text;
    batchgen.showFacets();
    if (mode === 'charts') batchgen.showCharts();
    showPictures(mode);
    showDetails();
  }

  function showPictures(mode) {
    const root = by('grid');
    if (mode === 'charts') {
      batchgen.showSides(batchgen.view.size || batchgen.fittingSize(0));
      return;
    }
    const changed = root.dataset.mode !== mode;
    root.dataset.mode = mode;
    // Selectors may take a line more: they come before the room is measured.
    batchgen.showSides(batchgen.view.size || Number(by('size').value));
    const model = mode === 'grid' ? batchgen.gridModel(root) : batchgen.wallModel(root);
    room = roomOf(root);
    const before = pane.model;
    by('size').value = String(Math.round(model.size));
    root.classList.toggle('small-cells', model.size < 88);
    root.hidden = model.rows === 0;
    pane.show(model);
    batchgen.sharpen(root);
    if (changed) root.scrollTo(0, 0);
    else if (before && before.size !== model.size) keepInSight(root, before, model);
    showEmpty(model);
  }

  const roomOf = (root) => `${root.clientWidth} ${root.clientHeight}`;

  /** When cells get another size, what was in the middle stays there. */
  function keepInSight(root, before, model) {
    const middle = (at, size, old, now) => (at === 0 ? 0 : ((at + size / 2) * now) / Math.max(1, old) - size / 2);
    root.scrollTo(middle(root.scrollLeft, root.clientWidth, before.width, model.width), middle(root.scrollTop, root.clientHeight, before.height, model.height));
    pane.render();
  }

  function showEmpty(model) {
    const box = by('empty');
    box.hidden = model.rows > 0;
    if (!box.hidden) box.replaceChildren(...emptyWords());
  }

  function emptyWords() {
    const { element } = batchgen;
    const button = (text, act) => element('button', { class: 'button primary', type: 'button', text, on: { click: act } });
    if (batchgen.data.count === 0) return [element('p', { text: 'Nothing was asked for in this run.' })];
    const elsewhere = batchgen.ordered()[0];
    if (elsewhere !== undefined) {
      const go = button(`Go to ${batchgen.title(elsewhere)}`, () => batchgen.focusCell(elsewhere));
      return [element('p', { text: 'Nothing here, with these values of the other axes.' }), go];
    }
    return [element('p', { text: 'No picture passes all filters.' }), button('Clear all filters', batchgen.clearFilters)];
  }

  function showHead() {
    const { data } = batchgen;
    document.title = `${data.name} – batchgen`;
    by('name').textContent = data.name;
    const counts = data.states.map((name, state) => [name, data.state.reduce((sum, each) => sum + (each === state ? 1 : 0), 0)]);
    const words = counts.filter(([name, count]) => count > 0 || name === 'made').map(([name, count]) => [`${count.toLocaleString('en')} ${name}`, name]);
    const fixed = batchgen.axes().filter((axis) => axis.values.length === 1 && axis.name !== 'prompt');
    by('counts').replaceChildren(
      ...words.map(([text, name]) => batchgen.element('span', { class: `count ${name}`, text })),
      ...fixed.map((axis) => batchgen.element('span', { class: 'count fixed', dir: 'auto', text: `${axis.name} ${batchgen.shortened(axis.values[0], 60)}` })),
    );
  }

  /* The recipe beside the grid. */

  const detailsWanted = () => (NARROW.matches ? by('details').dataset.called === 'true' : batchgen.kept.get(DETAILS_KEY) !== 'closed');

  function showDetails() {
    const box = by('details');
    const wanted = detailsWanted() && batchgen.view.mode !== 'charts';
    box.hidden = !wanted;
    by('details-toggle').setAttribute('aria-expanded', String(wanted));
    if (!wanted) return;
    const cell = hovered >= 0 ? hovered : chosen;
    if (box.dataset.cell === String(cell) && box.dataset.version === batchgen.data.version) return;
    Object.assign(box.dataset, { cell: String(cell), version: batchgen.data.version });
    by('details-body').replaceChildren(cell < 0 ? batchgen.runPanel() : batchgen.recipePanel(cell));
    by('details-body').scrollTop = 0;
  }

  function toggleDetails(open = by('details').hidden) {
    by('details').dataset.called = String(open);
    if (!NARROW.matches) batchgen.kept.set(DETAILS_KEY, open ? 'open' : 'closed');
    showDetails();
  }

  const ear = {
    hover(i) {
      clearTimeout(resting);
      resting = setTimeout(() => {
        hovered = i;
        showDetails();
        showKin(i >= 0 ? i : chosen);
      }, REST);
    },
    choose(i, how) {
      clearTimeout(resting);
      [chosen, hovered] = [i, -1];
      by('grid').classList.add('used');
      if (how === 'touch' && NARROW.matches) by('details').dataset.called = 'true';
      showDetails();
      showKin(i);
      if (how === 'touch') pane.reveal(pane.active.row, pane.active.column);
    },
    open(i) {
      const there = batchgen.data.picture[i] || batchgen.data.thumb[i];
      if (there) batchgen.openViewer?.(i);
      else batchgen.toast(`There is no picture: ${batchgen.stateText(i)}`);
    },
  };

  /** Point out the tiles whose pixels are the very same as a cell's. */
  function showKin(i) {
    const group = i < 0 ? -1 : batchgen.data.same[i];
    pane.forEachTile((cell, tile) => tile.classList.toggle('kin', group >= 0 && cell !== i && batchgen.data.same[cell] === group));
  }

  /**
   * Go to a cell, wherever it is, and give it the focus.
   * @param {number} i
   */
  batchgen.focusCell = (i) => {
    if (batchgen.view.mode === 'charts') batchgen.set({ mode: 'grid' });
    if (!batchgen.passes(i)) batchgen.clearFilters();
    if (batchgen.view.mode === 'grid' && !pane.model.where(i)) {
      const at = Object.fromEntries(batchgen.otherAxes().filter((axis) => axis.at[i] >= 0).map((axis) => [axis.name, axis.at[i]]));
      batchgen.set({ at: { ...batchgen.view.at, ...at } });
    }
    if (pane.go(i)) ear.choose(i, 'key');
  };

  /** @returns {number} The cell that has or had the focus; -1: none. */
  batchgen.activeCell = () => pane.activeCell();

  /**
   * Take data that a run has written anew; what is looked at stays.
   * @param {any} data
   */
  batchgen.takeData = (data) => {
    const coordinates = chosen < 0 ? null : batchgen.cell(chosen).coordinates;
    const hash = batchgen.addressOf(batchgen.view);
    batchgen.load(data);
    if (`#${hash}` !== location.hash) history.replaceState(null, '', `#${hash}`);
    batchgen.readAddress();
    chosen = coordinates ? batchgen.find(placesOf(coordinates)) : -1;
    showHead();
    show();
    batchgen.emit('data');
  };

  const placesOf = (coordinates) => Object.fromEntries(batchgen.axes().map((axis) => [axis.name, axis.values.indexOf(coordinates[axis.name])]));

  /* Keys that mean the same everywhere. */

  const KEYS = {
    '/': () => by('search').focus(),
    '?': () => by('help').showModal(),
    f: () => toggleFilters(),
    i: () => toggleDetails(),
    g: () => batchgen.set({ mode: 'grid' }),
    w: () => batchgen.set({ mode: 'wall' }),
    '[': () => batchgen.stepSelector(0, -1),
    ']': () => batchgen.stepSelector(0, 1),
    '{': () => batchgen.stepSelector(1, -1),
    '}': () => batchgen.stepSelector(1, 1),
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const typing = event.target instanceof Element && event.target.closest('input:not([type=range]):not([type=checkbox]), select, textarea');
    if (event.key === 'Escape') onEscape(typing);
    else if (!typing && (KEYS[event.key] || byCell(event.key))) {
      event.preventDefault();
      KEYS[event.key]?.();
    } else if (event.target === document.body && batchgen.view.mode !== 'charts') batchgen.steerByKey(pane, ear, event);
  }

  /** Keys that do something to the cell in focus. */
  function byCell(key) {
    const cell = chosen >= 0 && !by('grid').contains(document.activeElement) ? chosen : pane.activeCell();
    if (cell < 0 || batchgen.view.mode === 'charts') return false;
    if (key === 'c' || key === 'y') batchgen.copyRecipe(cell, key === 'c' ? 'command' : 'yaml');
    else return batchgen.markByKey(key, cell);
    return true;
  }

  function onEscape(typing) {
    if (batchgen.hideTip()) return;
    if (typing) by('grid').querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
    else if (NARROW.matches && !by('filters').hidden) toggleFilters(false);
    else if (NARROW.matches && !by('details').hidden) toggleDetails(false);
  }

  function toggleFilters(open = by('filters').hidden) {
    by('filters').hidden = !open;
    by('filters-toggle').setAttribute('aria-expanded', String(open));
    if (!open) by('filters-toggle').focus();
    batchgen.showFacets();
    if (open) (by('filter-list').querySelector('summary') ?? by('filters-close')).focus();
  }

  function onTabKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const mode = MODES[(MODES.indexOf(batchgen.view.mode) + step + MODES.length) % MODES.length];
    batchgen.set({ mode });
    by(`mode-${mode}`).focus();
  }

  function listen() {
    const clicks = {
      'filters-toggle': () => toggleFilters(),
      'filters-close': () => toggleFilters(false),
      'details-toggle': () => toggleDetails(),
      'details-close': () => toggleDetails(false),
      'theme': globalThis.batchgenOtherTheme,
      'help-toggle': () => by('help').showModal(),
      blind: () => batchgen.openBlind?.(),
    };
    for (const [id, act] of Object.entries(clicks)) by(id).addEventListener('click', act);
    for (const mode of MODES) by(`mode-${mode}`).addEventListener('click', () => batchgen.set({ mode }));
    by('modes').addEventListener('keydown', onTabKey);
    by('search').addEventListener('input', (event) => batchgen.set({ text: event.target.value.trim() ? event.target.value : '' }));
    document.addEventListener('keydown', onKey);
    NARROW.addEventListener('change', showDetails);
    batchgen.events.addEventListener('view', (event) => onView(event.detail.changed));
    batchgen.events.addEventListener('marks', (event) => onMarks(event.detail));
    new ResizeObserver(() => roomOf(by('grid')) === room || redraw()).observe(by('pictures'));
  }

  function onView(changed) {
    if (changed.length !== 1 || changed[0] !== 'open') show();
    const { open } = batchgen.view;
    if (open && changed.includes('open')) batchgen.openViewer?.(...open);
  }

  function onMarks(detail) {
    if (batchgen.view.facets.marks) redraw();
    else if (!by('filters').hidden) batchgen.showFacets();
    pane.forEachTile((cell, tile) => {
      if (!detail || tile.dataset.id === detail.id) batchgen.dress(tile, cell);
    });
  }

  /** Show the view again, once a frame at most. */
  function redraw() {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(show);
  }

  /** The first pictures are to be seen, and the page can be used. Those a screen away come when these are loaded. */
  function ready(milliseconds) {
    document.documentElement.dataset.ready = String(milliseconds);
    const others = () => setTimeout(() => pane.render(), SOON);
    if (document.readyState === 'complete') others();
    else addEventListener('load', others, { once: true });
  }

  function start() {
    if (!globalThis.batchgenData) {
      by('empty').hidden = false;
      by('empty').textContent = 'data.js, which belongs beside this page, is not there or cannot be read.';
      return;
    }
    batchgen.load(globalThis.batchgenData);
    batchgen.readAddress();
    batchgen.marks.load();
    pane = new batchgen.Pane(by('grid'));
    batchgen.steer(pane, ear);
    batchgen.startSides();
    batchgen.startMarking();
    showHead();
    showDetails();
    show();
    listen();
    batchgen.startProgress();
    requestAnimationFrame(() => setTimeout(ready, 0, Math.round(performance.now())));
    if (batchgen.view.open) batchgen.openViewer?.(...batchgen.view.open);
  }

  start();
})();
