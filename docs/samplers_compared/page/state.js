/*
 * The namespace of the page, what is looked at, and the address that says it.
 *
 * Everything that a person chose to see is in `batchgen.view`, and the view is in the address: whoever is sent the
 * address sees the same. Marks, theme and open panels are the person's own and are not in it.
 */
(() => {
  'use strict';

  /** @typedef {'grid'|'wall'|'charts'} Mode */
  /**
   * @typedef {object} View
   * @property {Mode} mode
   * @property {string|null} x  Axis of the columns.
   * @property {string|null} y  Axis of the rows.
   * @property {Record<string, number>} at  Other axes: the place of the value that is shown.
   * @property {Record<string, number[]>} facets  Field -> places of the values that pass; no entry: all pass.
   * @property {Record<string, [number|null, number|null]>} ranges  Column -> least and most.
   * @property {string} text  Words that a prompt must have.
   * @property {string} sort  Name of a column; "": the manifest's order.
   * @property {boolean} descending
   * @property {number} size  Width of a cell in CSS pixels; 0: as fits.
   * @property {[number, number]|null} open  The cells in the viewer; the second may be -1.
   */

  const MODES = ['grid', 'wall', 'charts'];
  /** Texts that are longer stand in the address as their place. */
  const LONG = 48;
  /** Safari refuses a hundred new addresses in thirty seconds; a slider makes that many. Milliseconds. */
  const [AT_ONCE, WITHIN, PATIENCE] = [60, 30_000, 500];

  const batchgen = (globalThis.batchgen = {
    events: new EventTarget(),
    data: globalThis.batchgenData ?? null,
    /** @type {View} */
    view: null,
    SMALLEST: 40,
    LARGEST: 512,
  });

  /** When addresses were written. @type {number[]} */
  let written = [];
  let waiting = 0;

  /**
   * Change what is looked at, say it in the address, and tell everybody.
   * @param {Partial<View>} changes
   */
  batchgen.set = (changes) => {
    batchgen.view = Object.freeze({ ...batchgen.view, ...changes });
    scheduleAddress();
    batchgen.emit('view', { changed: Object.keys(changes) });
  };

  /**
   * What stands under a name that a stranger chose: `constructor` is a name like any other.
   * @template T @param {Record<string, T>} map @param {string} name @returns {T|undefined}
   */
  batchgen.own = (map, name) => (Object.hasOwn(map, name) ? map[name] : undefined);

  /** @param {string} name @param {object|null} [detail] */
  batchgen.emit = (name, detail = null) => batchgen.events.dispatchEvent(new CustomEvent(name, { detail }));

  /** Take the view from the address; what it does not say is as the run's author wants it. */
  batchgen.readAddress = () => {
    batchgen.view = Object.freeze(fromAddress(location.hash.slice(1)));
  };

  /** @param {View} view @returns {string} What follows the # of the address. */
  batchgen.addressOf = (view) => toAddress(view).toString();

  function scheduleAddress() {
    clearTimeout(waiting);
    written = written.filter((time) => time > performance.now() - WITHIN);
    if (written.length < AT_ONCE) writeAddress();
    else waiting = setTimeout(writeAddress, PATIENCE);
  }

  function writeAddress() {
    const hash = `#${batchgen.addressOf(batchgen.view)}`;
    if (hash === (location.hash || '#')) return;
    written.push(performance.now());
    try {
      history.replaceState(null, '', hash);
    } catch {
      location.replace(hash);
    }
  }

  addEventListener('hashchange', () => {
    if (!batchgen.view || location.hash === `#${batchgen.addressOf(batchgen.view)}`) return;
    batchgen.readAddress();
    batchgen.emit('view', { changed: Object.keys(batchgen.view) });
  });

  /** @param {View} view @returns {URLSearchParams} */
  function toAddress(view) {
    const usual = usualView();
    const said = new URLSearchParams();
    if (view.mode !== usual.mode) said.set('mode', view.mode);
    if (view.y !== usual.y) said.set('rows', view.y ?? '');
    if (view.x !== usual.x) said.set('columns', view.x ?? '');
    for (const [name, place] of Object.entries(view.at)) {
      if (place !== 0 && name !== view.x && name !== view.y) said.set(`at.${name}`, wordOf(name, place));
    }
    sayFilters(view, said);
    if (view.sort) said.set('sort', view.sort);
    if (view.descending) said.set('order', 'descending');
    if (view.size) said.set('size', String(view.size));
    if (view.open) said.set('open', view.open[1] < 0 ? String(view.open[0]) : view.open.join('-'));
    return said;
  }

  function sayFilters(view, said) {
    for (const [name, places] of Object.entries(view.facets)) {
      for (const place of places) said.append(`is.${name}`, wordOf(name, place));
    }
    for (const [name, [least, most]] of Object.entries(view.ranges)) said.set(`in.${name}`, `${least ?? ''}..${most ?? ''}`);
    if (view.text) said.set('q', view.text);
  }

  /** @param {string} text @returns {View} */
  function fromAddress(text) {
    const said = new URLSearchParams(text);
    const view = usualView();
    if (MODES.includes(said.get('mode'))) view.mode = /** @type {Mode} */ (said.get('mode'));
    if (said.has('rows')) view.y = axisOrNone(said.get('rows'));
    if (said.has('columns')) view.x = axisOrNone(said.get('columns'));
    if (view.x !== null && view.x === view.y) view.y = null;
    for (const [key, word] of said) readEntry(view, key, word);
    view.text = said.get('q') ?? '';
    view.sort = batchgen.sortable().some((field) => field.name === said.get('sort')) ? said.get('sort') : '';
    view.descending = said.get('order') === 'descending';
    view.size = readSize(said.get('size'));
    view.open = readOpen(said.get('open'));
    return view;
  }

  function readEntry(view, key, word) {
    const [kind, name] = [key.slice(0, 3), key.slice(3)];
    if (kind === 'at.' && batchgen.axis(name)) {
      const place = placeOf(name, word);
      if (place >= 0) view.at = { ...view.at, [name]: place };
    } else if (kind === 'is.' && batchgen.field(name)) {
      const place = placeOf(name, word);
      if (place >= 0) view.facets = { ...view.facets, [name]: [...(batchgen.own(view.facets, name) ?? []), place] };
    } else if (kind === 'in.' && batchgen.field(name)?.numbers) {
      const [least, most] = word.split('..').map((each) => (each === '' || Number.isNaN(Number(each)) ? null : Number(each)));
      if ((least ?? most ?? null) !== null) view.ranges = { ...view.ranges, [name]: [least ?? null, most ?? null] };
    }
  }

  const axisOrNone = (name) => (batchgen.axis(name) ? name : null);

  function readSize(word) {
    const size = Math.round(Number(word));
    return size > 0 ? Math.min(batchgen.LARGEST, Math.max(batchgen.SMALLEST, size)) : 0;
  }

  function readOpen(word) {
    const [one, other = -1] = (word ?? '').split('-').map(Number);
    const there = (i) => Number.isInteger(i) && i >= 0 && i < batchgen.data.count;
    return word && there(one) ? [one, there(other) ? other : -1] : null;
  }

  /** A value as a word of the address: its text, or its place where the text is long or stands for several. */
  function wordOf(name, place) {
    const { values } = batchgen.field(name);
    const text = values[place];
    const plain = text.length <= LONG && !text.startsWith('~') && values.indexOf(text) === place && values.lastIndexOf(text) === place;
    return plain ? text : `~${place}`;
  }

  function placeOf(name, word) {
    const { values } = batchgen.field(name);
    if (!word.startsWith('~')) return values.indexOf(word);
    const place = Number(word.slice(1));
    return Number.isInteger(place) && place < values.length ? place : -1;
  }

  /** @returns {View} What is shown to whoever comes with nothing in the address. */
  function usualView() {
    const { x, y, grid } = batchgen.usualSides();
    const view = { x, y, mode: grid ? 'grid' : 'wall', at: {}, facets: {}, ranges: {} };
    return { ...view, text: '', sort: '', descending: false, size: 0, open: null };
  }
})();
