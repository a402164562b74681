/*
 * What is said of A and B beside the pictures: a choice of every axis for each, what was measured, what differs in
 * their recipes.
 */
(() => {
  'use strict';

  const LETTERS = ['a', 'b'];
  /** Characters of a text that is shown whole. */
  const SHORT = 60;
  /** Words that are shown before and after what differs in a long text. */
  const NEAR = 4;

  /**
   * The cell with another value of one axis: all else equal if there is one, or else as much as possible.
   * @param {number} i @param {string} name Of an axis. @param {number} place Of the value wanted.
   * @returns {{index: number, exact: boolean}} index -1: no cell has that value.
   */
  batchgen.nearest = (i, name, place) => {
    const axes = batchgen.axes();
    const at = Object.fromEntries(axes.map((axis) => [axis.name, axis.at[i]]));
    const exact = batchgen.find({ ...at, [name]: place });
    if (exact >= 0) return { index: exact, exact: true };
    const likeness = (j) => axes.filter((axis) => axis.at[j] === axis.at[i]).length;
    let [best, most] = [-1, -1];
    batchgen.axis(name).at.forEach((each, j) => {
      if (each === place && likeness(j) > most) [best, most] = [j, likeness(j)];
    });
    return { index: best, exact: false };
  };

  /**
   * @param {(letter: 'a'|'b', axis: string, place: number) => void} choose
   * @returns {{element: HTMLElement, show: (a: number, b: number) => void}}
   */
  batchgen.pickers = (choose) => {
    const { element } = batchgen;
    const axes = batchgen.varying();
    const pick = (axis, letter) => element('select', {
      aria: { label: `${axis.name} of ${letter.toUpperCase()}` }, dataset: { pick: letter, axis: axis.name },
      on: { change: (event) => choose(letter, axis.name, Number(event.target.value)) },
    }, ...axis.values.map((value, place) => element('option', { value: String(place), text: batchgen.shortened(value, 80) })));
    const rows = axes.map((axis) => element('tr', { dataset: { axis: axis.name } },
      element('th', { scope: 'row', text: axis.name }), ...LETTERS.map((letter) => element('td', {}, pick(axis, letter)))));
    const table = element('table', { class: 'pickers', hidden: axes.length === 0 }, head(), element('tbody', {}, ...rows));
    const show = (a, b) => {
      for (const select of table.querySelectorAll('select')) {
        const [{ pick: letter, axis }, index] = [select.dataset, select.dataset.pick === 'a' ? a : b];
        const place = index < 0 ? -1 : batchgen.axis(axis).at[index];
        select.value = place < 0 ? '' : String(place);
        select.disabled = index < 0;
        select.closest('td').classList.toggle('differs', letter === 'b' && b >= 0 && place !== batchgen.axis(axis).at[a]);
      }
    };
    return { element: table, show };
  };

  function head() {
    const { element } = batchgen;
    const letters = LETTERS.map((letter) => element('th', { scope: 'col', text: letter.toUpperCase() }));
    return element('thead', {}, element('tr', {}, element('td', {}), ...letters));
  }

  function table(kind, caption, rows) {
    const { element } = batchgen;
    const body = rows.map(([name, ...cells]) => element('tr', { dataset: { field: name } },
      element('th', { scope: 'row', text: name }), ...cells.map((cell) => element('td', { dir: 'auto' }, ...[cell].flat()))));
    return element('table', { dataset: { [kind]: '' } }, element('caption', { text: caption }), head(), element('tbody', {}, ...body));
  }

  /** What was measured of A and B: times, denoiser evaluations, differences to the reference. @returns {HTMLElement|null} */
  batchgen.measured = (a, b) => {
    const rows = batchgen.data.columns.map(({ name }) => batchgen.column(name)).filter((column) => column.numbers).map((column) => {
      const [one, other] = [a, b].map((index) => (index < 0 ? null : column.numbers[index]));
      return one === null && other === null ? null : [column.name, read(column, one, other), read(column, other, one)];
    }).filter(Boolean);
    return rows.length > 0 ? table('measured', 'Measured', rows) : null;
  };

  function read(column, value, other) {
    if ((value ?? null) === null) return '–';
    const text = batchgen.number(value, column.unit);
    const better = (other ?? null) !== null && value !== other && column.better && (value > other) === (column.better === 'more');
    return better ? [text, ' ', batchgen.element('span', { class: 'better', text: 'better' })] : text;
  }

  /** Only what differs: fields of the recipes, and the environments they were rendered in. @returns {HTMLElement} */
  batchgen.differing = (a, b) => {
    const rows = [...differingRecipes(a, b), ...differingEnvironments(a, b)];
    if (rows.length > 0) return table('differs', 'What differs', rows);
    return batchgen.element('p', { class: 'quiet', dataset: { differs: '' }, text: 'Nothing differs in their recipes.' });
  };

  function differingRecipes(a, b) {
    // Of a cell that was never made, only its coordinates are known: what all others share is no difference.
    const [one, other] = [a, b].map((index) => ({ ...batchgen.data.constant, ...batchgen.cell(index).recipe }));
    return differingFields(one, other).map((name) => [name, ...marked(word(one[name]), word(other[name]))]);
  }

  function differingEnvironments(a, b) {
    const { environment, environments } = batchgen.data;
    if (environment[a] === environment[b] || environment[a] < 0 || environment[b] < 0) return [];
    const [one, other] = [environments[environment[a]], environments[environment[b]]];
    return differingFields(one, other).map((name) => [`${name} (environment)`, word(one[name]), word(other[name])]);
  }

  function differingFields(one, other) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]));
  }

  const word = (value) => (value === undefined ? '–' : batchgen.label(value));

  /** Two texts as nodes: short ones as they are; of long ones what differs, and a little of what is around it. */
  function marked(one, other) {
    if (Math.max(one.length, other.length) <= SHORT) return [one, other];
    const words = [one, other].map((text) => text.split(/(?<=\s)/));
    const least = Math.min(words[0].length, words[1].length);
    let before = 0;
    while (before < least && words[0][before] === words[1][before]) before += 1;
    let after = 0;
    while (after < least - before && words[0].at(-1 - after) === words[1].at(-1 - after)) after += 1;
    return words.map((each) => around(each, before, each.length - after));
  }

  function around(words, from, to) {
    const { element } = batchgen;
    const [first, last] = [Math.max(0, from - NEAR), Math.min(words.length, to + NEAR)];
    const [before, inside, after] = [[first, from], [from, to], [to, last]].map((range) => words.slice(...range).join(''));
    const [more, still] = [first > 0 ? '… ' : '', last < words.length ? '…' : ''];
    const different = inside ? element('mark', { text: inside }) : '';
    const properties = { class: 'long', tabIndex: 0, role: 'group', aria: { label: 'differing text' } };
    return element('div', properties, more, before, different, after, still);
  }
})();
