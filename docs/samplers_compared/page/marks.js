/*
 * Marks: what a person thinks of pictures. They belong to ids, so they hold in every view, and when a run has grown.
 *
 * The browser keeps them; what `batchgen promote` and `batchgen reject` read is the file that is exported.
 */
(() => {
  'use strict';

  /** @typedef {{verdict: 'keep'|'reject'|null, stars: number}} Mark */

  /** @type {Readonly<Mark>} */
  const NONE = Object.freeze({ verdict: null, stars: 0 });
  const ID = /^[0-9a-f]{16}$/;
  const MOST_STARS = 5;

  /** @type {Map<string, Mark>} */
  let marks = new Map();
  let lasting = true;

  const place = () => `batchgen.marks.${batchgen.data.name}`;

  /** @param {any} value @returns {Mark|null} What a stranger's file says, if it is a mark. */
  function readMark(value) {
    if (typeof value !== 'object' || value === null) return null;
    const { verdict = null, stars = 0 } = value;
    const right = [null, 'keep', 'reject'].includes(verdict) && Number.isInteger(stars) && stars >= 0 && stars <= MOST_STARS;
    return right && (verdict !== null || stars > 0) ? Object.freeze({ verdict, stars }) : null;
  }

  function readMarks(value) {
    const entries = Object.entries(value ?? {}).map(([id, mark]) => [id, ID.test(id) ? readMark(mark) : null]);
    return new Map(entries.filter((entry) => entry[1] !== null));
  }

  function keep() {
    const text = JSON.stringify(Object.fromEntries(marks));
    const kept = batchgen.kept.set(place(), text);
    if (!kept && lasting) batchgen.toast('This browser keeps nothing for the page: export marks before you leave');
    lasting = kept;
  }

  batchgen.marks = {
    /** @param {string} id @returns {Readonly<Mark>} */
    get: (id) => marks.get(id) ?? NONE,

    /**
     * Change what is thought of a picture; what is left out stays as it is.
     * @param {string} id @param {Partial<Mark>} change
     */
    set(id, change) {
      const mark = readMark({ ...batchgen.marks.get(id), ...change });
      if (mark) marks.set(id, mark);
      else marks.delete(id);
      keep();
      batchgen.emit('marks', { id });
    },

    /** @returns {Map<string, Mark>} */
    all: () => new Map(marks),

    /** @returns {{keep: number, reject: number, starred: number, marked: number}} */
    counts() {
      const all = [...marks.values()];
      const count = (test) => all.filter(test).length;
      const [kept, rejected] = ['keep', 'reject'].map((verdict) => count((mark) => mark.verdict === verdict));
      return { keep: kept, reject: rejected, starred: count((mark) => mark.stars > 0), marked: all.length };
    },

    /** Take what the browser kept of this run. */
    load() {
      try {
        marks = readMarks(JSON.parse(batchgen.kept.get(place()) ?? '{}'));
      } catch {
        marks = new Map();
      }
    },

    clear() {
      marks = new Map();
      keep();
      batchgen.emit('marks');
    },

    /**
     * Add the marks of an exported file; where both say something, the file wins.
     * @param {string} text
     * @returns {{taken: number, strangers: number}}  How many were taken; how many of them this run has no picture for.
     * @throws {Error} It is no file of marks; the message says why.
     */
    take(text) {
      const found = readMarks(marksIn(text));
      const known = new Set(batchgen.data.id);
      marks = new Map([...marks, ...found]);
      keep();
      batchgen.emit('marks');
      return { taken: found.size, strangers: [...found.keys()].filter((id) => !known.has(id)).length };
    },

    /**
     * Whether a picture is among those that one of `batchgen.MARKS` speaks of.
     * @param {string} id @param {number} kind
     */
    are(id, kind) {
      const mark = batchgen.marks.get(id);
      if (kind === 0) return mark.verdict === 'keep';
      if (kind === 1) return mark.verdict === 'reject';
      return kind === 2 ? mark.verdict === null && mark.stars === 0 : mark.stars >= kind - 2;
    },
  };

  function marksIn(text) {
    let document;
    try {
      document = JSON.parse(text);
    } catch {
      throw new Error('is not JSON');
    }
    if (document?.batchgen !== 'marks') throw new Error('is no file of marks');
    if (document.format !== 1) throw new Error('is of a newer batchgen');
    return document.marks;
  }

  /** @returns {string} The file that is exported. */
  batchgen.marksFile = () => {
    const sorted = [...marks].sort(([one], [other]) => (one < other ? -1 : 1));
    const document = { batchgen: 'marks', format: 1, run: batchgen.data.name, marks: Object.fromEntries(sorted) };
    return `${JSON.stringify(document, null, 2)}\n`;
  };

  addEventListener('storage', (event) => {
    if (!batchgen.data || event.key !== place()) return;
    batchgen.marks.load();
    batchgen.emit('marks');
  });
})();
