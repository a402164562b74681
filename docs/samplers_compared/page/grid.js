/*
 * The grid: one axis down, one across, one value of each of the others. Rows and columns of which nothing passes the
 * filters are left out; between those that are left, a cell that does not pass keeps its place, faded.
 */
(() => {
  'use strict';

  const GAP = 2;
  const CAPTION = 18;
  /** Of the heads of rows, in pixels: least and most, on a phone and elsewhere. */
  const HEAD = { narrow: [56, 104], wide: [72, 232] };
  const LETTER = 6.8;
  const LINE = 17;
  const MOST_LINES = 3;
  const FITTING = { least: 64, most: 256 };
  /** Pictures that are no wider are shown at multiples of half their size, so that pixels stay even. */
  const SMALL_PICTURE = 128;

  /**
   * Which cells stand where.
   * @returns {{rows: number[], columns: number[], at: (row: number, column: number) => number, stacked: number}}  Places
   *   of the values shown, in order; the number of values stands for cells that the axis does not touch.
   */
  function table() {
    const [x, y] = [batchgen.axis(batchgen.view.x), batchgen.axis(batchgen.view.y)];
    const cells = new Map();
    const [rows, columns] = [new Set(), new Set()];
    for (const i of batchgen.onPage()) {
      const [row, column] = [placeOn(y, i), placeOn(x, i)];
      if (!cells.has(row)) cells.set(row, new Map());
      const across = cells.get(row);
      if (!across.has(column) || (batchgen.passes(i) && !batchgen.passes(across.get(column)))) across.set(column, i);
      if (!batchgen.passes(i)) continue;
      rows.add(row);
      columns.add(column);
    }
    const inOrder = (places) => [...places].sort((one, other) => one - other);
    return { rows: sorted(inOrder(rows), cells), columns: inOrder(columns), at: (row, column) => cells.get(row)?.get(column) ?? -1 };
  }

  const placeOn = (axis, i) => (!axis ? 0 : axis.at[i] < 0 ? axis.values.length : axis.at[i]);

  /** @returns {any[]} The axes that are neither rows nor columns and have a choice. */
  batchgen.otherAxes = () => batchgen.varying().filter((axis) => axis.name !== batchgen.view.x && axis.name !== batchgen.view.y);

  /** @param {any} axis @returns {number} The place of its value that is shown. */
  batchgen.placeShown = (axis) => Math.min(batchgen.own(batchgen.view.at, axis.name) ?? 0, axis.values.length - 1);

  /** @returns {number[]} Cells with the chosen values of all other axes, or that those do not touch. */
  batchgen.onPage = () => {
    const others = batchgen.otherAxes().map((axis) => [axis.at, batchgen.placeShown(axis)]);
    const found = [];
    for (let i = 0; i < batchgen.data.count; i += 1) {
      if (others.every(([at, place]) => at[i] === place || at[i] < 0)) found.push(i);
    }
    return found;
  };

  /** Rows by the median of what is sorted by, over their cells that pass. */
  function sorted(rows, cells) {
    const { sort, descending } = batchgen.view;
    const field = sort ? batchgen.field(sort) : null;
    if (!field) return descending ? rows.reverse() : rows;
    const medians = new Map(rows.map((row) => {
      const numbers = [...cells.get(row).values()].filter(batchgen.passes).map((i) => field.numbers[i]);
      return [row, batchgen.median(numbers)];
    }));
    const compare = batchgen.byNumber();
    return rows.sort((one, other) => compare(medians.get(one), medians.get(other)) || one - other);
  }

  /** @returns {[number, number]} Width and height that most pictures have. */
  batchgen.usualPicture = () => {
    const { size, size_of: of } = batchgen.data;
    const counts = new Map();
    for (const each of of) if (each >= 0) counts.set(each, (counts.get(each) ?? 0) + 1);
    const [best] = [...counts].sort((one, other) => other[1] - one[1]);
    const [width, height] = best ? size[best[0]] : [Number(batchgen.data.constant.width) || 1, Number(batchgen.data.constant.height) || 1];
    return [width, Math.min(width * 2, Math.max(width / 2, height))];
  };

  /**
   * The width of cells that lets most be seen at once, where nobody said.
   * @param {number} room  Pixels for one cell.
   */
  batchgen.fittingSize = (room) => {
    const size = Math.min(FITTING.most, Math.max(FITTING.least, Math.floor(room)));
    const [width] = batchgen.usualPicture();
    return batchgen.isSmall() ? Math.max(1, Math.floor((2 * size) / width) / 2) * width : size;
  };

  /** @returns {boolean} Whether most pictures are so small that it is to be seen how they are scaled. */
  batchgen.isSmall = () => {
    const [width] = batchgen.usualPicture();
    return width >= 16 && width <= SMALL_PICTURE;
  };

  /**
   * @param {HTMLElement} root  The scroller: its room decides how large cells are.
   * @returns {import('./pane.js').Model}
   */
  batchgen.gridModel = (root) => {
    const { rows, columns, at } = table();
    const [x, y] = [batchgen.axis(batchgen.view.x), batchgen.axis(batchgen.view.y)];
    const text = (axis, place) => (!axis ? '' : place >= axis.values.length ? 'any' : axis.values[place]);
    // An arrow follows the names in the corner.
    const heads = [...rows.map((place) => text(y, place)), `${y?.name} →`, x ? `${x.name} →` : ''];
    const headLeft = y ? headWidth(heads, root.clientWidth) : 0;
    const size = batchgen.view.size || batchgen.fittingSize((root.clientWidth - headLeft - 14) / Math.max(1, columns.length) - GAP);
    const labels = columns.map((place) => text(x, place));
    const [rowOf, columnOf] = [rows, columns].map((places) => new Map(places.map((place, n) => [place, n])));
    const onPage = new Set(batchgen.onPage());
    const shape = lattice(rows.length, columns.length, size);
    return {
      ...shape,
      size,
      headLeft,
      headTop: x ? headHeight(labels, size, y ? 2 : 1) : 0,
      label: `${rows.length} rows${y ? ` by ${y.name}` : ''}, ${columns.length} columns${x ? ` by ${x.name}` : ''}`,
      cellAt: (row, column) => at(rows[row], columns[column]),
      where(cell) {
        const [row, column] = [rowOf.get(placeOn(y, cell)), columnOf.get(placeOn(x, cell))];
        return !onPage.has(cell) || row === undefined || column === undefined ? null : [row, column];
      },
      rowLabel: (row) => ({ text: text(y, rows[row]), name: y?.name ?? '', letters: lettersIn(headLeft - 20) }),
      columnLabel: (column) => ({ text: labels[column] ?? '', name: x?.name ?? '', letters: lettersIn(size - 6) }),
    };
  };

  /** Equal cells in rows and columns. */
  function lattice(rows, columns, size) {
    const [width, height] = batchgen.usualPicture();
    const across = size + GAP;
    const down = Math.round((size * height) / width) + GAP + (batchgen.view.sort ? CAPTION : 0);
    const clamp = (n, most) => Math.min(Math.max(0, n), Math.max(0, most));
    return {
      rows,
      columns,
      width: columns * across,
      height: rows * down,
      rowAt: (y) => clamp(Math.floor(y / down), rows - 1),
      rowBox: (row) => [row * down, down - GAP],
      count: () => columns,
      cellBox: (_row, column) => [column * across, size],
      between: (_row, from, to) => [clamp(Math.floor(from / across), columns - 1), clamp(Math.ceil(to / across), columns)],
    };
  }

  /** How many letters a head of that width has room for, words not being broken. */
  const lettersIn = (width) => Math.max(8, Math.floor((0.9 * MOST_LINES * width) / LETTER));

  function headWidth(texts, room) {
    const [least, most] = room < 600 ? HEAD.narrow : HEAD.wide;
    const longest = texts.reduce((length, text) => Math.max(length, text.length), 0);
    return Math.min(most, Math.max(least, Math.ceil(longest * LETTER) + 22));
  }

  /** Of the heads of columns. Where there are rows too, both names stand in the corner, on two lines. */
  function headHeight(texts, size, least) {
    const letters = Math.max(4, Math.floor((size - 8) / LETTER));
    const lines = texts.reduce((most, text) => Math.max(most, Math.ceil(text.length / letters)), least);
    return Math.min(MOST_LINES, lines) * LINE + 12;
  }

  /** @returns {number[]} Cells that pass, as they stand in the grid, row by row. */
  batchgen.gridOrder = () => {
    const { rows, columns, at } = table();
    return rows.flatMap((row) => columns.map((column) => at(row, column)).filter((i) => i >= 0 && batchgen.passes(i)));
  };
})();
