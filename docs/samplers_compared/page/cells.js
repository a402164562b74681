/*
 * Cells: what data.js says of each, by its number. Nothing here touches the document.
 *
 * A cell is a place of the sweep; the picture that belongs there may be missing. Its coordinates say where it is, its
 * recipe how its picture was made.
 */
(() => {
  'use strict';

  /**
   * @typedef {object} Field  Something to filter or sort by.
   * @property {string} name
   * @property {'axis'|'table'|'numbers'|'own'} kind
   * @property {string[]} values  Labels of what it can be; none of numbers.
   * @property {ArrayLike<number>|null} of  Per cell: place in values, or -1.
   * @property {(number|null)[]|null} numbers  Per cell.
   * @property {string} unit
   */

  /** What can be said of a cell by a person, as values to filter by. */
  batchgen.MARKS = ['kept', 'rejected', 'not marked', '1 star or more', '2 stars or more', '3 stars or more', '4 stars or more', '5 stars'];

  /** @type {Map<string, Field>} */
  let fields = new Map();
  /** @type {Map<string, any>} */
  let axes = new Map();
  let columns = new Map();
  let places = null;
  let groups = new Map();
  let commonest = -1;

  /** Take new data. @param {any} data */
  batchgen.load = (data) => {
    batchgen.data = data;
    axes = new Map(data.axes.map((axis) => [axis.name, axis]));
    columns = new Map(data.columns.map(readColumn).map((column) => [column.name, column]));
    fields = new Map(allFields(data).map((field) => [field.name, field]));
    places = null;
    groups = Map.groupBy ? Map.groupBy(indices(), (i) => data.same[i]) : grouped(data.same);
    groups.delete(-1);
    commonest = mostFrequent(data.environment);
  };

  /** JSON has no infinity: it comes as a word. */
  const readNumber = (value) => (typeof value === 'string' ? Number(value) : value);
  const readColumn = (column) => (column.numbers ? { ...column, numbers: column.numbers.map(readNumber) } : column);
  const indices = () => Array.from({ length: batchgen.data.count }, (_, i) => i);

  function grouped(keys) {
    const found = new Map();
    keys.forEach((key, i) => found.set(key, [...(found.get(key) ?? []), i]));
    return found;
  }

  function mostFrequent(of) {
    const counts = new Map();
    for (const each of of) if (each >= 0) counts.set(each, (counts.get(each) ?? 0) + 1);
    return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best), [-1, 0])[0];
  }

  /** @returns {Field[]} */
  function allFields(data) {
    const own = [
      { name: 'state', kind: 'own', values: data.states, of: data.state },
      { name: 'identical', kind: 'own', values: ['same pixels as another recipe', 'pixels of its own'], of: data.same.map(sameness) },
      { name: 'marks', kind: 'own', values: batchgen.MARKS },
      { name: 'environment', kind: 'own', values: data.environments.map(batchgen.environmentLabel), of: data.environment },
    ];
    const ofAxes = data.axes.map((axis) => ({ name: axis.name, kind: 'axis', values: axis.values, of: axis.at, numbers: axisNumbers(axis) }));
    const ofColumns = [...columns.values()].filter((column) => !axes.has(column.name)).map(columnField);
    return [...ofAxes, ...ofColumns, ...own].map((field) => ({ unit: '', numbers: null, of: null, ...field }));
  }

  const sameness = (group, i) => (batchgen.data.state[i] !== 0 ? -1 : group < 0 ? 1 : 0);
  const axisNumbers = (axis) => (axis.numeric ? axis.at.map((place) => (place < 0 ? null : Number(axis.values[place]))) : null);

  function columnField(column) {
    if (column.numbers) return { name: column.name, kind: 'numbers', values: [], numbers: column.numbers, unit: column.unit ?? '' };
    const numeric = column.table.length > 0 && column.table.every((value) => typeof value === 'number');
    const numbers = numeric ? column.of.map((place) => (place < 0 ? null : column.table[place])) : null;
    return { name: column.name, kind: 'table', values: column.table.map(batchgen.label), of: column.of, numbers };
  }

  /**
   * What is read of a value of a table: a text as it is, a list by its parts.
   * @param {any} value @returns {string}
   */
  batchgen.label = (value) => {
    if (value === null || value === undefined) return 'none';
    if (Array.isArray(value)) return value.map(batchgen.label).join(' + ') || 'none';
    if (typeof value !== 'object') return String(value);
    const { name, scale, ...rest } = value;
    const others = Object.entries(rest).map(([key, each]) => `${key} ${batchgen.label(each)}`);
    const first = name === undefined ? [] : [scale === undefined || scale === 1 ? String(name) : `${name}:${scale}`];
    return [...first, ...(name === undefined && scale !== undefined ? [`scale ${scale}`] : []), ...others].join(' ');
  };

  /** @param {Record<string, any>} environment */
  batchgen.environmentLabel = (environment) => {
    const torch = environment.libraries?.torch ?? environment.torch;
    const device = environment.device_name ?? environment.device;
    const { python } = environment;
    return [torch && `torch ${torch}`, device, !torch && python && `python ${python}`].filter(Boolean).join(' · ') || 'an unnamed environment';
  };

  /** @param {string} name @returns {any} The axis, or undefined. */
  batchgen.axis = (name) => axes.get(name);
  /** @returns {any[]} */
  batchgen.axes = () => [...axes.values()];
  /** @returns {any[]} Axes with more than one value. */
  batchgen.varying = () => batchgen.axes().filter((axis) => axis.values.length > 1);
  /** @param {string} name @returns {Field|undefined} */
  batchgen.field = (name) => fields.get(name);
  /** @returns {Field[]} */
  batchgen.fields = () => [...fields.values()];
  /** @returns {Field[]} Those by whose numbers cells can be put in order. */
  batchgen.sortable = () => batchgen.fields().filter((field) => field.numbers?.some((value) => value !== null));
  /** @param {string} name */
  batchgen.column = (name) => columns.get(name);

  /** @returns {{x: string|null, y: string|null, grid: boolean}} How the page begins. */
  batchgen.usualSides = () => {
    const { compare } = batchgen.data;
    const [x, y] = [compare.x, compare.y].map((name) => (axes.has(name) ? name : null));
    const grid = compare.grid !== false && batchgen.data.count > 1 && batchgen.varying().length > 0;
    if (x || y) return { x, y, grid };
    const free = batchgen.varying().filter((axis) => axis.name !== compare.page).sort((one, other) => rank(one) - rank(other));
    return { x: free[0]?.name ?? null, y: free[1]?.name ?? null, grid };
  };

  /** What was swept on purpose comes first. */
  const LAST = new Map([['seed', 1], ['prompt', 2]]);
  const rank = (axis) => LAST.get(axis.name) ?? (axis.numeric ? -1 : 0);

  /**
   * All about a cell.
   * @param {number} i
   */
  batchgen.cell = (i) => {
    const { data } = batchgen;
    const [width, height] = data.size_of[i] < 0 ? [0, 0] : data.size[data.size_of[i]];
    const film = data.clip && data.clip.of[i] >= 0 ? data.clip.film[data.clip.of[i]] : null;
    const coordinates = Object.fromEntries(data.axes.filter((axis) => axis.at[i] >= 0).map((axis) => [axis.name, axis.values[axis.at[i]]]));
    return {
      index: i,
      id: data.id[i],
      state: data.states[data.state[i]],
      reason: data.reasons[i] ?? '',
      picture: data.picture[i],
      thumb: data.thumb[i],
      width,
      height,
      film,
      coordinates,
      recipe: recipe(i),
      facts: facts(i),
    };
  };

  function recipe(i) {
    const found = Object.create(null);
    for (const column of columns.values()) {
      if (column.kind === 'recipe' && column.of[i] >= 0) found[column.name] = column.table[column.of[i]];
    }
    const { data } = batchgen;
    // What all made cells share says nothing of one that was never made.
    if (data.picture[i] || data.thumb[i] || data.state[i] === 0) Object.assign(found, data.constant);
    if ('seed' in found) found.seed = exactSeed(i, found.seed);
    return found;
  }

  /** A large seed is no number that JavaScript has; the axis has its digits. */
  function exactSeed(i, seed) {
    const axis = axes.get('seed');
    const label = axis && axis.at[i] >= 0 ? axis.values[axis.at[i]] : '';
    return Number.isSafeInteger(seed) || Number(label) !== seed ? seed : label;
  }

  function facts(i) {
    const found = Object.create(null);
    for (const column of columns.values()) {
      if (column.numbers && column.numbers[i] !== null) found[column.name] = column.numbers[i];
      else if (!column.numbers && column.kind !== 'recipe' && column.of[i] >= 0) found[column.name] = column.table[column.of[i]];
    }
    return found;
  }

  /** @param {number} i @returns {string} The whole prompt. */
  batchgen.prompt = (i) => {
    const column = columns.get('prompt');
    if (column && column.of[i] >= 0) return String(column.table[column.of[i]]);
    const axis = axes.get('prompt');
    return String(batchgen.data.constant.prompt ?? (axis && axis.at[i] >= 0 ? axis.values[axis.at[i]] : ''));
  };

  /**
   * What tells a cell from the others, in short: "heun · karras · steps 12 · seed 0".
   * @param {number} i @param {readonly string[]} [without]  Axes that are said elsewhere.
   */
  batchgen.title = (i, without = []) => {
    const told = batchgen.varying().filter((axis) => axis.at[i] >= 0 && !without.includes(axis.name));
    told.sort((one, other) => (one.name === 'prompt') - (other.name === 'prompt'));
    const words = told.map((axis) => {
      const text = batchgen.shortened(axis.values[axis.at[i]], 60);
      return axis.numeric || axis.name === 'seed' ? `${axis.name} ${text}` : text;
    });
    return words.join(' · ') || batchgen.shortened(batchgen.prompt(i), 60) || batchgen.data.id[i];
  };

  /** @param {number} i @param {number} j @returns {string[]} Axes in which two cells differ. */
  batchgen.differences = (i, j) => batchgen.data.axes.filter((axis) => axis.at[i] !== axis.at[j]).map((axis) => axis.name);

  /**
   * The cell at a place.
   * @param {Record<string, number>} at  Axis -> place of its value; axes that are not named may be anywhere.
   * @returns {number} -1: there is none.
   */
  batchgen.find = (at) => {
    const all = batchgen.data.axes;
    places ??= new Map(indices().reverse().map((i) => [all.map((axis) => axis.at[i]).join(), i]));
    if (all.every((axis) => Object.hasOwn(at, axis.name))) return places.get(all.map((axis) => at[axis.name]).join()) ?? -1;
    const wanted = all.filter((axis) => Object.hasOwn(at, axis.name));
    return indices().find((i) => wanted.every((axis) => axis.at[i] === at[axis.name])) ?? -1;
  };

  /**
   * The next cell along an axis that exists, all other coordinates equal.
   * @param {number} i @param {string} name @param {number} step  1 or -1.
   * @returns {number} -1: there is none.
   */
  batchgen.neighbour = (i, name, step) => {
    const axis = axes.get(name);
    if (!axis || axis.at[i] < 0) return -1;
    const at = Object.fromEntries(batchgen.data.axes.map((each) => [each.name, each.at[i]]));
    for (let place = axis.at[i] + step; place >= 0 && place < axis.values.length; place += step) {
      const found = batchgen.find({ ...at, [name]: place });
      if (found >= 0) return found;
    }
    return -1;
  };

  /** Of a group of identical pictures so many are looked at: a run of black ones must not slow the page down. */
  const LOOKED_AT = 48;

  /** @param {number} i @returns {number[]} Cells of other recipes with the very same pixels, the most alike first. */
  batchgen.same = (i) => {
    const group = groups.get(batchgen.data.same[i]) ?? [];
    const others = group.filter((j) => batchgen.data.id[j] !== batchgen.data.id[i]).slice(0, LOOKED_AT);
    const far = new Map(others.map((j) => [j, batchgen.differences(i, j).length]));
    return others.sort((one, other) => far.get(one) - far.get(other) || one - other);
  };

  /** @param {number} i @returns {boolean} Whether it was made in another environment than most. */
  batchgen.foreign = (i) => batchgen.data.environment[i] >= 0 && batchgen.data.environment[i] !== commonest;

  /** @returns {Record<string, any>|null} The environment most were made in. */
  batchgen.usualEnvironment = () => batchgen.data.environments[commonest] ?? null;

  /**
   * A number as it is read, with its unit.
   * @param {number} value @param {string} [unit]
   */
  batchgen.number = (value, unit = '') => {
    const size = Math.abs(value);
    const digits = Number.isInteger(value) && !unit ? 0 : size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const text = Number.isFinite(value) ? value.toLocaleString('en', options) : value > 0 ? '∞' : String(value);
    return unit ? `${text} ${unit}` : text;
  };
})();
