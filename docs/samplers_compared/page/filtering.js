/*
 * Which cells pass the filters, how many would with one filter less, and in which order they stand.
 */
(() => {
  'use strict';

  let passing = new Uint8Array(0);
  let failures = new Uint8Array(0);
  let failing = new Int16Array(0);
  /** @type {{name: string, test: (i: number) => boolean}[]} */
  let criteria = [];
  let shown = 0;

  /** Judge every cell anew. */
  batchgen.refilter = () => {
    const { count } = batchgen.data;
    criteria = [...textCriteria(), ...facetCriteria(), ...rangeCriteria()];
    [passing, failures, failing] = [new Uint8Array(count), new Uint8Array(count), new Int16Array(count).fill(-1)];
    criteria.forEach(({ test }, number) => {
      for (let i = 0; i < count; i += 1) {
        if (test(i)) continue;
        failures[i] += 1;
        failing[i] = number;
      }
    });
    shown = 0;
    for (let i = 0; i < count; i += 1) shown += passing[i] = failures[i] === 0 ? 1 : 0;
  };

  /** @param {number} i */
  batchgen.passes = (i) => passing[i] === 1;
  batchgen.passingCount = () => shown;
  batchgen.filtered = () => criteria.length > 0;

  /**
   * How many cells have each value of a field, among those that pass all filters but the field's own.
   * @param {string} name @returns {Int32Array}
   */
  batchgen.facetCounts = (name) => {
    const field = batchgen.field(name);
    const counts = new Int32Array(field.values.length);
    const own = criteria.findIndex((each) => each.name === name);
    for (let i = 0; i < passing.length; i += 1) {
      if (failures[i] > 1 || (failures[i] === 1 && failing[i] !== own)) continue;
      if (field.of === null) countMarks(counts, i);
      else if (field.of[i] >= 0) counts[field.of[i]] += 1;
    }
    return counts;
  };

  function countMarks(counts, i) {
    for (let kind = 0; kind < counts.length; kind += 1) if (batchgen.marks.are(batchgen.data.id[i], kind)) counts[kind] += 1;
  }

  function textCriteria() {
    const words = batchgen.view.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return [];
    const has = (text) => words.every((word) => text.includes(word));
    const found = new Map();
    const test = (i) => {
      const prompt = batchgen.prompt(i);
      if (!found.has(prompt)) found.set(prompt, has(prompt.toLowerCase()));
      return found.get(prompt);
    };
    return [{ name: 'q', test }];
  }

  function facetCriteria() {
    return Object.entries(batchgen.view.facets).map(([name, places]) => {
      const field = batchgen.field(name);
      const wanted = new Set(places);
      const test = field.of === null ? (i) => places.some((kind) => batchgen.marks.are(batchgen.data.id[i], kind)) : (i) => wanted.has(field.of[i]);
      return { name, test };
    });
  }

  function rangeCriteria() {
    return Object.entries(batchgen.view.ranges).map(([name, [least, most]]) => {
      const { numbers } = batchgen.field(name);
      const within = (value) => value !== null && !Number.isNaN(value) && value >= (least ?? -Infinity) && value <= (most ?? Infinity);
      return { name: `${name} range`, test: (i) => within(numbers[i]) };
    });
  }

  /**
   * Compare by the column that the view is sorted by. Cells without a number come last, whichever way it goes.
   * @returns {((one: number|null, other: number|null) => number)}
   */
  batchgen.byNumber = () => {
    const sign = batchgen.view.descending ? -1 : 1;
    const rankOf = (value) => (value === null || value === undefined || Number.isNaN(value) ? 1 : 0);
    return (one, other) => rankOf(one) - rankOf(other) || (one === other || rankOf(one) ? 0 : sign * (one < other ? -1 : 1));
  };

  /** @returns {number[]} Cells that pass, in the order that is asked for. */
  batchgen.ordered = () => {
    const found = [];
    for (let i = 0; i < passing.length; i += 1) if (passing[i]) found.push(i);
    const field = batchgen.view.sort ? batchgen.field(batchgen.view.sort) : null;
    if (!field) return batchgen.view.descending ? found.reverse() : found;
    const compare = batchgen.byNumber();
    return found.sort((one, other) => compare(field.numbers[one], field.numbers[other]) || one - other);
  };

  /** @param {(number|null)[]} numbers @returns {number|null} */
  batchgen.median = (numbers) => {
    const sorted = numbers.filter((value) => value !== null && !Number.isNaN(value)).sort((one, other) => (one < other ? -1 : 1));
    if (sorted.length === 0) return null;
    const middle = sorted.length >> 1;
    if (sorted.length % 2 || sorted[middle - 1] === sorted[middle]) return sorted[middle];
    return (sorted[middle - 1] + sorted[middle]) / 2;
  };
})();
