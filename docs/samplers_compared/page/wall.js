/*
 * The wall: every picture that passes the filters, in the order that is asked for, without axes. Rows are as wide as
 * the page and as high as their pictures then are.
 */
(() => {
  'use strict';

  const GAP = 4;
  const EDGE = 8;
  const CAPTION = 20;
  const CAPTIONED = 88;
  const ROOM = { narrow: 112, wide: 168 };
  /** A row is stretched to the page's width by so much at most; the last row is often short of pictures. */
  const STRETCHED = 1.4;
  const [NARROWEST, WIDEST] = [0.4, 3];

  /**
   * Break cells into rows.
   * @param {number[]} cells @param {number} room  Width in pixels. @param {number} high  Of pictures, in pixels.
   * @returns {{start: number, end: number, top: number, height: number, scale: number}[]}
   */
  function breakRows(cells, room, high, below) {
    const rows = [];
    let [start, wide, top] = [0, 0, GAP];
    const close = (end, scale) => {
      const height = Math.round(high * scale) + below;
      rows.push({ start, end, top, height, scale });
      [start, wide, top] = [end, 0, top + height + GAP];
    };
    cells.forEach((cell, n) => {
      const width = high * proportion(cell);
      if (n > start && wide + width + (n - start) * GAP > room) close(n, scaled(room - (n - start - 1) * GAP, wide));
      wide += width;
    });
    if (cells.length > start) close(cells.length, Math.min(rows[0]?.scale ?? 1, scaled(room - (cells.length - start - 1) * GAP, wide)));
    return rows;
  }

  /** Small pictures are shown at a multiple of their size that suits them, and so they stay. */
  const scaled = (room, wide) => Math.min(batchgen.isSmall() ? 1 : STRETCHED, room / wide);

  function proportion(cell) {
    const { size, size_of: of } = batchgen.data;
    const [width, height] = of[cell] < 0 ? batchgen.usualPicture() : size[of[cell]];
    return Math.min(WIDEST, Math.max(NARROWEST, width / height));
  }

  /** @returns {number[]} For each cell, how far to the left it begins; and its width. */
  function placeAcross(cells, rows, high) {
    const [lefts, widths] = [new Float64Array(cells.length), new Float64Array(cells.length)];
    for (const { start, end, scale } of rows) {
      let left = 0;
      for (let n = start; n < end; n += 1) {
        lefts[n] = left;
        widths[n] = high * proportion(cells[n]) * scale;
        left += widths[n] + GAP;
      }
    }
    return [lefts, widths];
  }

  /**
   * @param {HTMLElement} root  The scroller.
   * @returns {import('./pane.js').Model}
   */
  batchgen.wallModel = (root) => {
    const cells = batchgen.ordered();
    const room = Math.max(80, root.clientWidth - 2 * EDGE);
    const [wide, high] = batchgen.usualPicture();
    const size = batchgen.view.size || batchgen.fittingSize(room < 600 ? ROOM.narrow : ROOM.wide);
    const height = (size * high) / wide;
    const rows = breakRows(cells, room, height, size >= CAPTIONED ? CAPTION : 0);
    const [lefts, widths] = placeAcross(cells, rows, height);
    const last = rows.at(-1);
    const spare = batchgen.isSmall() && rows.length > 1 ? (room - lefts[rows[0].end - 1] - widths[rows[0].end - 1]) / 2 : 0;
    return {
      size,
      rows: rows.length,
      columns: rows.reduce((most, row) => Math.max(most, row.end - row.start), 0),
      headTop: 0,
      headLeft: 0,
      width: room,
      height: last ? last.top + last.height + EDGE : 0,
      label: batchgen.counted(cells.length, 'picture'),
      ...lookup(cells, rows),
      cellBox: (row, column) => [EDGE + spare + lefts[rows[row].start + column], widths[rows[row].start + column]],
    };
  };

  function lookup(cells, rows) {
    const placeOf = new Map(cells.map((cell, n) => [cell, n]));
    const rowOf = (test) => {
      let [low, high] = [0, rows.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (test(rows[middle])) low = middle;
        else high = middle - 1;
      }
      return Math.max(0, low);
    };
    const nothing = () => ({ text: '', name: '', letters: 0 });
    return {
      rowAt: (y) => rowOf((row) => row.top <= y),
      rowBox: (row) => [rows[row].top, rows[row].height],
      count: (row) => rows[row].end - rows[row].start,
      between: (row) => [0, rows[row].end - rows[row].start],
      cellAt: (row, column) => (rows[row] && rows[row].start + column < rows[row].end ? cells[rows[row].start + column] : -1),
      where(cell) {
        const place = placeOf.get(cell);
        if (place === undefined) return null;
        const row = rowOf((each) => each.start <= place);
        return [row, place - rows[row].start];
      },
      rowLabel: nothing,
      columnLabel: nothing,
    };
  }

  /** @returns {number[]} Cells that pass, in the order in which they are shown now. */
  batchgen.visible = () => (batchgen.view.mode === 'grid' ? batchgen.gridOrder() : batchgen.ordered());
})();
