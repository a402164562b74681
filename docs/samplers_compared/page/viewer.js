/*
 * The viewer: a dialog with two cells, A and B, and five ways to compare them.
 *
 * A is steered by the arrow keys, B by the same with Shift. Until a person chooses B, it is A's neighbour along the
 * columns; "against the reference" makes it follow A's reference.
 */
(() => {
  'use strict';

  const KEYS = [
    ['← → ↑ ↓', 'A along columns and rows; with Shift, B'],
    ['a w b d l', 'A alone, slider, side by side, difference, flicker'],
    ['s, r', 'swap A and B; against the reference'],
    ['+ − f z', 'zoom, fit, 100 %; double click changes between the two'],
    ['Alt + arrows', 'move the picture while it is larger than the window'],
    ['Space', 'play and pause; t shows the other one of a flicker'],
    ['k x 0–5', 'keep, reject, stars for A'],
    ['Esc', 'close'],
  ];
  const ARROWS = { ArrowLeft: ['x', -1], ArrowRight: ['x', 1], ArrowUp: ['y', -1], ArrowDown: ['y', 1] };
  /** CSS pixels that one key press moves an enlarged picture. */
  const PAN = 60;

  /** The one viewer of the page, made when it is first needed. */
  let viewer = null;
  const state = { a: -1, b: -1, mode: 'single', pair: 'slider', chosen: false, reference: false, opened: -1, ids: [], before: null };

  /**
   * Open the viewer, or show other cells in it.
   *
   * @param {number} i A.
   * @param {number} [j] B; -1: A alone, to begin with.
   */
  batchgen.openViewer = (i, j = -1) => {
    viewer ??= build();
    const open = viewer.dialog.open;
    if (open && state.a === i && (j < 0 || state.b === j)) return;
    if (!open) Object.assign(state, { opened: i, before: document.activeElement, reference: false });
    Object.assign(state, { chosen: j >= 0, mode: j >= 0 ? state.pair : 'single' });
    // Opened before anything is laid out in it: what is not shown has no size.
    if (!open) viewer.dialog.showModal();
    show(i, j);
    if (!open) viewer.stage.element.focus();
  };

  function build() {
    const { element, icon } = batchgen;
    const stage = batchgen.createStage({ changed: () => refresh() });
    const parts = {
      stage,
      modes: batchgen.modeBar(setMode),
      zoom: batchgen.zoomBar(stage),
      amplifier: batchgen.amplifier(stage),
      flicker: batchgen.flicker(stage),
      marks: element('div', { class: 'viewer-marks' }),
      pickers: batchgen.pickers(pick),
      notes: element('p', { class: 'notes', role: 'status', dataset: { notes: '' } }),
      titles: element('h2', { id: 'viewer-title', class: 'viewer-titles', aria: { live: 'polite' } }),
      transport: batchgen.data.clip ? batchgen.transport() : null,
      swap: action('swap', 'swap', 'Swap (s)', swap),
      reference: action('reference', 'equal', 'Against the reference (r)', againstReference),
      numbers: element('div', { class: 'numbers' }),
      recipes: [recipeOf('A', () => state.a), recipeOf('B', () => state.b)],
      keys: element('details', { class: 'keys' }, element('summary', { text: 'Keys' }), keyList()),
    };
    const close = element('button', {
      type: 'button', class: 'button icon', dataset: { viewer: 'close' }, aria: { label: 'close' },
      on: { click: () => viewer.dialog.close() },
    }, icon('close'));
    parts.dialog = element('dialog', { id: 'viewer', tabIndex: -1, aria: { labelledby: 'viewer-title' } },
      element('header', {}, parts.titles, parts.modes.element, close),
      element('div', { class: 'viewer-body' }, mainOf(parts), panelOf(parts)));
    parts.dialog.addEventListener('close', closed);
    parts.dialog.addEventListener('keydown', pressed);
    document.body.append(parts.dialog);
    return parts;
  }

  const mainOf = (parts) => batchgen.element('div', { class: 'viewer-main' },
    parts.stage.element,
    batchgen.element('div', { class: 'viewer-tools' }, parts.zoom.element, parts.amplifier, parts.flicker.element, parts.notes),
    parts.transport);

  const panelOf = (parts) => batchgen.element('section', { class: 'viewer-panel', tabIndex: 0, aria: { label: 'about A and B' } },
    parts.marks,
    parts.pickers.element,
    batchgen.element('div', { class: 'viewer-actions' }, parts.swap, parts.reference),
    parts.numbers,
    ...parts.recipes.map((recipe) => recipe.element),
    parts.keys);

  const action = (name, sign, label, act) => batchgen.element('button', {
    type: 'button', class: 'button', dataset: { viewer: name }, on: { click: act },
  }, batchgen.icon(sign), label);

  function keyList() {
    const { element } = batchgen;
    return element('dl', {}, ...KEYS.flatMap(([keys, what]) => [element('dt', { text: keys }), element('dd', { text: what })]));
  }

  /** A recipe in full, made when it is unfolded. */
  function recipeOf(letter, index) {
    const { element } = batchgen;
    const place = element('div', {});
    const fold = element('details', { class: 'full-recipe' }, element('summary', { text: `Recipe of ${letter}` }), place);
    const refill = () => place.replaceChildren(...(fold.open && index() >= 0 ? [batchgen.recipePanel(index())] : []));
    fold.addEventListener('toggle', refill);
    return { element: fold, show: () => { fold.hidden = index() < 0; refill(); } };
  }

  /** Show A and B; -1 for B: whatever A is compared with by itself. */
  function show(a, b) {
    state.a = a;
    state.b = b >= 0 ? b : partner(a);
    if (state.b < 0) state.mode = 'single';
    state.ids = [state.a, state.b].map((index) => batchgen.data.id[index]);
    viewer.stage.show(state.a, state.b);
    enter();
    showTexts();
    // What had the focus may have been made anew; without a focus in it, the dialog hears no keys.
    if (!viewer.dialog.contains(document.activeElement)) viewer.stage.element.focus();
    batchgen.set({ open: [state.a, state.mode === 'single' ? -1 : state.b] });
  }

  /** What A is compared with until a person chooses: the next along the columns, or else along the rows, or whatever there is. */
  function partner(a) {
    if (state.reference) return referenceOf(a);
    for (const name of [axisOf('x'), axisOf('y')].filter(Boolean)) {
      for (const step of [1, -1]) {
        const found = batchgen.neighbour(a, name, step);
        if (found >= 0) return found;
      }
    }
    const reference = referenceOf(a);
    if (reference >= 0 && reference !== a) return reference;
    return batchgen.visible().find((index) => index !== a) ?? -1;
  }

  const axisOf = (side) => batchgen.view[side] ?? null;
  const referenceOf = (a) => batchgen.data.reference?.of[a] ?? -1;

  function setMode(mode) {
    if (mode === state.mode || (state.b < 0 && mode !== 'single')) return;
    state.mode = mode;
    // Nothing begins to flicker without being asked for.
    if (mode !== 'single' && mode !== 'flicker') state.pair = mode;
    show(state.a, state.b);
  }

  /** Bring bars and stage into the mode. */
  function enter() {
    const { dialog, stage, modes, flicker } = viewer;
    const changed = dialog.dataset.mode !== state.mode;
    Object.assign(dialog.dataset, { mode: state.mode, a: state.a, b: state.b });
    modes.show(state.mode, state.b >= 0);
    if (!changed) return;
    stage.set({ mode: state.mode, turn: 'a' });
    if (state.mode === 'flicker') flicker.enter();
    else flicker.leave();
  }

  function showTexts() {
    const { titles, pickers, marks, numbers, recipes, reference, transport, swap: exchange } = viewer;
    const { a, b, mode } = state;
    if (transport) transport.hidden = ![a, b].some((index) => index >= 0 && batchgen.cell(index).film);
    titles.replaceChildren(titleOf('A', a), ...(mode === 'single' ? [] : [titleOf('B', b)]));
    pickers.show(a, b);
    marks.replaceChildren(batchgen.markButtons(a));
    numbers.replaceChildren(...[batchgen.measured(a, b), b >= 0 ? batchgen.differing(a, b) : null].filter(Boolean));
    recipes.forEach((recipe) => recipe.show());
    exchange.hidden = b < 0;
    reference.hidden = !batchgen.data.reference;
    reference.title = batchgen.data.reference?.text ?? '';
    reference.setAttribute('aria-pressed', String(state.reference));
  }

  /** What tells A and B apart comes first. */
  function titleOf(letter, index) {
    const { element } = batchgen;
    const apart = state.mode === 'single' ? [] : batchgen.differences(state.a, state.b);
    const common = batchgen.varying().map((axis) => axis.name).filter((name) => !apart.includes(name));
    const first = apart.length > 0 ? element('strong', { dir: 'auto', text: batchgen.title(index, common) }) : null;
    const others = first && common.length === 0 ? '' : batchgen.title(index, apart);
    const rest = others ? element('span', { class: first ? 'quiet' : '', dir: 'auto', text: others }) : null;
    return element('span', { class: 'viewer-title', title: batchgen.title(index), dataset: { title: letter.toLowerCase() } },
      element('span', { class: 'letter', text: letter }), first, first && rest ? ' · ' : null, rest);
  }

  /** What changes with loading, zooming and sliding. */
  function refresh() {
    if (!viewer?.dialog.open) return;
    viewer.zoom.show();
    const text = viewer.stage.notes().join(' · ');
    if (viewer.notes.textContent !== text) viewer.notes.textContent = text;
  }

  function pick(letter, axis, place) {
    const from = letter === 'a' ? state.a : state.b;
    const { index, exact } = batchgen.nearest(from, axis, place);
    if (index < 0) {
      viewer.pickers.show(state.a, state.b);
      return;
    }
    go(letter, index);
    if (!exact) viewer.notes.textContent = `${letter.toUpperCase()}: nothing was asked for there; this is the nearest`;
  }

  /** Let A or B be another cell. */
  function go(letter, index) {
    if (index < 0) return;
    if (letter === 'a') {
      show(index, state.reference || (!state.chosen && state.mode === 'single') ? -1 : state.b);
    } else {
      Object.assign(state, { chosen: true, reference: false, mode: state.mode === 'single' ? state.pair : state.mode });
      show(state.a, index);
    }
  }

  function step(letter, side, way) {
    const from = letter === 'a' ? state.a : state.b;
    const name = axisOf(side);
    if (name && batchgen.view.mode !== 'wall') {
      go(letter, batchgen.neighbour(from, name, way));
    } else if (side === 'x') {
      const seen = batchgen.visible();
      go(letter, seen[seen.indexOf(from) + way] ?? -1);
    }
  }

  function swap() {
    if (state.b < 0) return;
    Object.assign(state, { chosen: true, reference: false });
    show(state.b, state.a);
  }

  function againstReference() {
    if (!batchgen.data.reference) return;
    state.reference = !state.reference && referenceOf(state.a) >= 0;
    if (state.reference && state.mode === 'single') state.mode = state.pair;
    show(state.a, state.reference ? referenceOf(state.a) : state.b);
  }

  function playOrPause() {
    if (state.mode === 'flicker') viewer.flicker.toggle();
    else if (viewer.transport) batchgen.clock.toggle();
  }

  const actions = {
    s: swap,
    r: againstReference,
    f: () => viewer.stage.view.fit(),
    z: () => viewer.stage.view.to(1),
    '+': () => viewer.stage.view.nearer(),
    '=': () => viewer.stage.view.nearer(),
    '-': () => viewer.stage.view.farther(),
    t: () => { if (state.mode === 'flicker') viewer.flicker.other(); },
    ' ': playOrPause,
    '?': () => {
      viewer.keys.open = !viewer.keys.open;
      viewer.keys.scrollIntoView({ block: 'nearest' });
    },
  };

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || isTyping(event)) return;
    const { key } = event;
    const mode = batchgen.modeKeys()[key];
    if (key in ARROWS) arrow(event, ...ARROWS[key]);
    else if (event.altKey) return;
    else if (mode) setMode(mode);
    else if (Object.hasOwn(actions, key)) actions[key]();
    else if (!batchgen.markByKey(key, state.a)) return;
    event.preventDefault();
  }

  /** Whether a key belongs to the control that has the focus. */
  function isTyping({ target, key }) {
    if (target.matches('select, textarea, input:not([type=range], [type=checkbox])')) return true;
    if (target.matches('input[type=range]')) return key.startsWith('Arrow');
    return (key === ' ' || key === 'Enter') && target.matches('button, summary, input, a');
  }

  function arrow({ altKey, shiftKey }, side, way) {
    if (!altKey) step(shiftKey ? 'b' : 'a', side, way);
    else viewer.stage.view.move(side === 'x' ? -way * PAN : 0, side === 'y' ? -way * PAN : 0);
  }

  function closed() {
    viewer.flicker.leave();
    viewer.stage.close();
    viewer.dialog.removeAttribute('data-mode');
    batchgen.set({ open: null });
    batchgen.focusCell(state.opened);
    if (document.activeElement === document.body) state.before?.focus?.();
  }

  /** New data may have cells at other places: ids say which they were. */
  batchgen.events.addEventListener('data', () => {
    if (!viewer) return;
    viewer.pickers.element.replaceWith((viewer.pickers = batchgen.pickers(pick)).element);
    if (!viewer.dialog.open) return;
    const { id } = batchgen.data;
    const [a, b] = state.ids.map((each, at) => (id[state[at ? 'b' : 'a']] === each ? state[at ? 'b' : 'a'] : id.indexOf(each)));
    viewer.stage.close();
    if (a < 0) viewer.dialog.close();
    else show(a, b);
  });
})();
