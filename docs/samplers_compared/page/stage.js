/*
 * The stage: one or two cells, seen alone, under a slider, beside each other, as a difference, or in turn.
 *
 * No pixel is read anywhere, for a page from file:// may not: the difference is `mix-blend-mode`, its amplification a
 * `brightness()` over both. All modes show the same view, so that zooming in one is zooming in all.
 */
(() => {
  'use strict';

  const COARSE = 10;

  /** Whether two cells are known to have the very same pixels. */
  batchgen.sameIn = (i, j) => {
    const { id, same } = batchgen.data;
    return i === j || id[i] === id[j] || (same[i] >= 0 && same[i] === same[j]);
  };

  /**
   * @param {{blind?: boolean, changed?: () => void}} how `blind`: nothing on it says which cells it shows.
   *   `changed` is called when something else is to be seen or to be said about it.
   */
  batchgen.createStage = ({ blind = false, changed = () => {} } = {}) => {
    const { element } = batchgen;
    const stage = { mode: 'single', wipe: 0.5, amplify: 8, turn: 'a', frame: null };
    const later = () => {
      // What is loaded at once, or moves while it is drawn, is laid out once a frame.
      stage.frame ??= requestAnimationFrame(() => { stage.frame = null; layOut(stage); changed(); });
    };
    stage.changed = later;
    stage.sides = { a: batchgen.createSide('a', { blind, changed: later }), b: batchgen.createSide('b', { blind, changed: later }) };
    stage.handle = element('div', { class: 'stage-wipe', role: 'slider', tabIndex: 0, aria: { label: 'divider between A and B' } });
    stage.panes = [pane(stage.sides.a, stage.sides.b), pane()];
    stage.panes[0].append(badge('a'), badge('b'), stage.handle);
    stage.panes[1].append(badge('b'));
    stage.element = element(
      'div', { class: 'stage', tabIndex: 0, role: 'group', aria: { label: 'pictures' } }, ...stage.panes,
    );
    stage.view = new batchgen.View(later);
    stage.element.addEventListener('scroll', () => stage.element.scrollTo(0, 0));
    batchgen.steerView(stage.element, stage.view, (point) => wipeTo(stage, point));
    steerWipe(stage);
    new ResizeObserver(() => measure(stage)).observe(stage.element);
    return Object.assign(stage, {
      show: (a, b) => show(stage, a, b),
      set: (what) => { Object.assign(stage, what); measure(stage); },
      notes: () => notes(stage),
      close: () => show(stage, -1, -1),
    });
  };

  function pane(...sides) {
    const { element } = batchgen;
    const stack = element('div', { class: 'stage-stack' }, ...sides.map((side) => side.element));
    return element('div', { class: 'stage-pane' }, stack);
  }

  const badge = (letter) => batchgen.element('span', { class: 'stage-badge', text: letter.toUpperCase(), dataset: { badge: letter } });

  function show(stage, a, b) {
    const { sides } = stage;
    if (sides.a.index === b && sides.b.index === a && a !== b) {
      exchange(stage);
    } else {
      if (sides.a.index !== a) sides.a.show(a);
      if (sides.b.index !== b) sides.b.show(b);
    }
    const films = [a, b].filter((index) => index >= 0).map((index) => batchgen.cell(index).film).filter(Boolean);
    batchgen.clock.lasting(films);
    stage.changed();
  }

  /** A becomes B and B becomes A, without loading anything anew. */
  function exchange({ sides }) {
    [sides.a, sides.b] = [sides.b, sides.a];
    sides.a.element.dataset.side = 'a';
    sides.b.element.dataset.side = 'b';
  }

  /** The box that both pictures are fitted into: as wide as the wider and as high as the higher one. */
  function box({ sides, mode }) {
    const sizes = (mode === 'single' ? [sides.a] : [sides.a, sides.b]).map(sizeOf).filter(Boolean);
    if (sizes.length === 0) return { width: 512, height: 512 };
    return { width: Math.max(...sizes.map((size) => size.width)), height: Math.max(...sizes.map((size) => size.height)) };
  }

  function sizeOf(side) {
    if (side.index < 0) return null;
    const { width, height } = batchgen.cell(side.index);
    return width > 0 ? { width, height } : side.natural;
  }

  function measure(stage) {
    const { clientWidth: width, clientHeight: height } = stage.panes[0];
    if (width > 0 && height > 0) stage.view.through({ width, height });
    stage.changed();
  }

  function layOut(stage) {
    const { element, view, panes, sides, mode } = stage;
    Object.assign(element.dataset, { mode, flicker: stage.turn, lacking: lacking(stage).join(' ') });
    const stacks = panes.map((each) => each.firstElementChild);
    const upper = mode === 'side' ? stacks[1] : stacks[0];
    if (sides.a.element.parentElement !== stacks[0]) stacks[0].prepend(sides.a.element);
    if (sides.b.element.parentElement !== upper || sides.b.element.previousSibling !== (mode === 'side' ? null : sides.a.element)) {
      upper.append(sides.b.element);
    }
    const wanted = box(stage);
    if (wanted.width !== view.box.width || wanted.height !== view.box.height) view.show(wanted);
    element.dataset.arranged = arrangement(element, wanted);
    const through = { width: panes[0].clientWidth, height: panes[0].clientHeight };
    if (through.width > 0 && (through.width !== view.pane.width || through.height !== view.pane.height)) view.through(through);
    draw(stage);
  }

  /** The sides that have no picture to show. */
  const lacking = ({ sides }) => ['a', 'b'].filter((letter) => ['reason', 'failed', 'none'].includes(sides[letter].shown));

  /** Two panes stand beside each other or above, whichever leaves more of the pictures to be seen. */
  function arrangement({ clientWidth, clientHeight }, { width, height }) {
    const beside = Math.min(clientWidth / 2 / width, clientHeight / height);
    const above = Math.min(clientWidth / width, clientHeight / 2 / height);
    return above > beside ? 'above' : 'beside';
  }

  function draw(stage) {
    const { element, view, panes, sides, mode } = stage;
    const seen = view.place();
    element.dataset.scale = seen.scale.toFixed(3);
    element.dataset.fit = view.fitted;
    element.dataset.movable = view.movable;
    for (const side of Object.values(sides)) drawSide(side, view.box, seen);
    const edge = drawWipe(stage, seen);
    sides.a.element.style.clipPath = '';
    sides.b.element.style.clipPath = mode === 'slider' ? `inset(0 0 0 ${edge}px)` : '';
    panes[0].firstElementChild.style.filter = mode === 'difference' && lacking(stage).length === 0 ? `brightness(${stage.amplify})` : '';
  }

  function drawSide(side, size, { left, top, scale }) {
    const { style } = side.sheet;
    style.width = `${size.width}px`;
    style.height = `${size.height}px`;
    style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    const times = side.natural ? scale * Math.min(size.width / side.natural.width, size.height / side.natural.height) : 1;
    side.sheet.classList.toggle('pixelated', times > 2 && batchgen.hasAllPixels(side));
  }

  /** The part of a pane that the pictures cover, from left to right. */
  function covered(stage, { left, width } = stage.view.place()) {
    const from = Math.max(0, left);
    return { from, to: Math.max(from, Math.min(stage.view.pane.width, left + width)) };
  }

  function drawWipe(stage, seen) {
    const { from, to } = covered(stage, seen);
    const edge = Math.round(from + stage.wipe * (to - from));
    const percent = Math.round(stage.wipe * 100);
    stage.handle.style.left = `${edge}px`;
    const said = { valuemin: 0, valuemax: 100, valuenow: percent, valuetext: `A ${percent} %` };
    for (const [name, value] of Object.entries(said)) {
      stage.handle.setAttribute(`aria-${name}`, value);
    }
    return edge;
  }

  function wipeTo(stage, { x }) {
    if (stage.mode !== 'slider') return;
    const { from, to } = covered(stage);
    stage.wipe = to > from ? Math.min(1, Math.max(0, (x - from) / (to - from))) : 0.5;
    stage.changed();
  }

  function steerWipe(stage) {
    const { handle } = stage;
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId) || stage.view.fingers > 1) return;
      wipeTo(stage, { x: event.clientX - stage.panes[0].getBoundingClientRect().left });
    });
    handle.addEventListener('keydown', (event) => {
      const percent = Math.round(stage.wipe * 100);
      const to = { ArrowLeft: percent - 1, ArrowDown: percent - 1, ArrowRight: percent + 1, ArrowUp: percent + 1,
        PageDown: percent - COARSE, PageUp: percent + COARSE, Home: 0, End: 100 }[event.key];
      if (to === undefined || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      stage.wipe = Math.min(100, Math.max(0, to)) / 100;
      stage.changed();
    });
  }

  /** What a person has to know to judge what is to be seen: a list of sentences. */
  function notes(stage) {
    const { a, b } = stage.sides;
    if (stage.mode === 'single' || b.index < 0) return a.note ? [a.note] : [];
    const said = [];
    if (stage.mode === 'difference' && lacking(stage).length > 0) said.push('no difference: one of the two is not there');
    else if (batchgen.sameIn(a.index, b.index)) said.push(a.index === b.index ? 'A and B are the same cell' : 'identical pixels');
    const [first, second] = [sizeOf(a), sizeOf(b)];
    if (first && second && (first.width !== second.width || first.height !== second.height)) {
      said.push(`sizes differ (${first.width} × ${first.height}, ${second.width} × ${second.height}): fitted to the same box`);
    }
    if (a.note && a.note === b.note) said.push(`A and B: ${a.note}`);
    else for (const [letter, side] of [['A', a], ['B', b]]) if (side.note) said.push(`${letter}: ${side.note}`);
    const thumbs = stage.mode === 'difference' && [a, b].some((side) => side.shown === 'thumb' && side.note);
    if (thumbs) said.push('a difference of thumbnails is not one of pixels');
    return said;
  }
})();
