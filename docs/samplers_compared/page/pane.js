/*
 * The pane: a scroller that holds only the tiles near what is seen, however many there are, and the focus among them.
 *
 * What it shows is a model (grid.js, wall.js): where rows and cells are, and which cell is where. Tiles are made in the
 * event that scrolls, a screen ahead, so that no row is ever blank. Row -1 are the heads of columns, column -1 those of
 * rows; the keyboard gets there too, because their texts may be shortened.
 *
 * @typedef {{text: string, name: string, letters: number}} Label  Text of a head, name of its axis, and for how many
 *   letters there is room.
 * @typedef {object} Model
 * @property {number} rows
 * @property {number} columns  Of the widest row.
 * @property {number} headTop  Height of the heads of columns; 0: there are none.
 * @property {number} headLeft  Width of the heads of rows; 0: there are none.
 * @property {number} width  Of all cells, in pixels.
 * @property {number} height
 * @property {(y: number) => number} rowAt  The row at a height, clamped.
 * @property {(row: number) => [number, number]} rowBox  Top and height.
 * @property {(row: number) => number} count  Cells of a row.
 * @property {(row: number, column: number) => [number, number]} cellBox  Left and width.
 * @property {(row: number, from: number, to: number) => [number, number]} between  First column, and the one after the last.
 * @property {(row: number, column: number) => number} cellAt  -1: nothing was asked for there.
 * @property {(cell: number) => [number, number]|null} where  Row and column of a cell.
 * @property {(row: number) => Label} rowLabel
 * @property {(column: number) => Label} columnLabel
 * @property {string} label  What the whole of it is, for a screen reader.
 */
(() => {
  'use strict';

  /** Tiles that may be alive before less is kept to the left and right. */
  const MANY = 1600;
  /** Tiles that are made at once, before anything has been seen. */
  const FEW = 400;

  batchgen.Pane = class Pane {
    /** @param {HTMLElement} root  The scroller. */
    constructor(root) {
      this.root = root;
      /** @type {Model|null} */
      this.model = null;
      this.active = { row: 0, column: 0 };
      this.heads = batchgen.element('div', { class: 'heads', role: 'row', aria: { rowindex: '1' } });
      this.canvas = batchgen.element('div', { class: 'canvas', role: 'presentation' }, this.heads);
      root.append(this.canvas);
      this.rows = new Map();
      this.headCells = new Map();
      this.spare = new Map();
      root.addEventListener('scroll', () => this.render(), { passive: true });
    }

    /**
     * Show a model. The active cell stays the active one, where the model has it. The first time, of many
     * cells only those that are seen are made: whoever shows them must `render` the rest.
     * @param {Model} model
     */
    show(model) {
      const first = this.model === null;
      const cell = this.activeCell();
      const focused = this.root.contains(document.activeElement) && document.activeElement !== this.root;
      this.spare = new Map([...this.rows.values()].flatMap((row) => [...row.cells.values()]).map((tile) => [Number(tile.dataset.cell), tile]));
      this.rows.forEach((row) => row.element.remove());
      this.rows.clear();
      this.heads.replaceChildren();
      this.headCells.clear();
      this.model = model;
      this.measure();
      const [row, column] = (cell >= 0 && model.where(cell)) || [0, 0];
      this.active = { row: Math.min(row, model.rows - 1), column };
      this.render(first && model.rows * model.columns > FEW ? 0 : 1);
      this.spare.clear();
      if (focused) this.activeElement()?.focus({ preventScroll: true });
    }

    measure() {
      const { model, canvas, heads, root } = this;
      canvas.style.width = `${model.headLeft + model.width}px`;
      canvas.style.height = `${model.headTop + model.height}px`;
      heads.style.height = `${model.headTop}px`;
      heads.hidden = model.headTop === 0;
      root.style.setProperty('--head-left', `${model.headLeft}px`);
      root.setAttribute('aria-label', model.label);
      root.setAttribute('aria-rowcount', String(model.rows + (model.headTop ? 1 : 0)));
      root.setAttribute('aria-colcount', String(model.columns + (model.headLeft ? 1 : 0)));
    }

    /**
     * Make what has come near, and remove what is far.
     * @param {number} [ahead]  How many screens ahead.
     */
    render(ahead = 1) {
      const { model, root } = this;
      if (!model) return;
      const { scrollLeft: x, scrollTop: y, clientWidth: width, clientHeight: height } = root;
      const aside = ahead * this.overscan(width, height);
      const [from, to] = [x - aside, x + width + aside];
      const end = model.rows ? model.rowAt(y + (1 + ahead) * height) + 1 : 0;
      const wanted = rangeWith(model.rowAt(y - ahead * height), end, this.active.row);
      this.removeRows(new Set(wanted));
      let before = this.heads;
      for (const r of wanted) {
        const row = this.rows.get(r) ?? this.makeRow(r);
        if (row.element.previousSibling !== before) before.after(row.element);
        before = row.element;
        this.fill(row, r, from, to);
      }
      if (model.headTop) this.fillHeads(from, to);
    }

    /** How far to the left and right of what is seen there are tiles. Above and below it is always a screen. */
    overscan(width, height) {
      const { model } = this;
      if (model.headLeft + model.width <= width || model.rows === 0) return 0;
      const across = Math.max(1, (width / model.width) * model.columns);
      const down = Math.min(model.rows, (3 * height * model.rows) / Math.max(1, model.height));
      const screens = (MANY / (across * down) - 1) / 2;
      return width * Math.min(1, Math.max(0.15, screens));
    }

    removeRows(wanted) {
      for (const [r, row] of this.rows) {
        if (wanted.has(r)) continue;
        row.element.remove();
        this.rows.delete(r);
      }
    }

    makeRow(r) {
      const { model } = this;
      const [top, height] = model.rowBox(r);
      const first = model.headTop ? 2 : 1;
      const element = batchgen.element('div', { class: 'row', role: 'row', aria: { rowindex: String(r + first) } });
      element.style.top = `${model.headTop + top}px`;
      element.style.height = `${height}px`;
      const head = model.headLeft ? this.head('rowheader', model.rowLabel(r), r, -1) : null;
      if (head) element.append(head);
      const row = { element, head, cells: new Map() };
      this.rows.set(r, row);
      return row;
    }

    head(role, { text, name, letters }, row, column) {
      const inside = batchgen.element('span', { class: 'label', dir: 'auto', text: batchgen.shortened(text, letters) });
      const head = batchgen.element('div', { class: 'head', role, tabIndex: -1, aria: { label: `${name} ${text}` } }, inside);
      Object.assign(head.dataset, { tip: text, row: String(row), column: String(column) });
      if (role === 'rowheader') head.setAttribute('aria-colindex', '1');
      head.tabIndex = this.isActive(row, column) ? 0 : -1;
      return head;
    }

    fill(row, r, from, to) {
      const { model } = this;
      const wanted = rangeWith(...model.between(r, from - model.headLeft, to - model.headLeft), r === this.active.row ? this.active.column : -1);
      removeOthers(row.cells, new Set(wanted));
      let before = row.head;
      for (const c of wanted) {
        const tile = row.cells.get(c) ?? this.makeTile(row, r, c);
        const inPlace = tile.parentNode === row.element && tile.previousSibling === before;
        if (!inPlace && before) before.after(tile);
        else if (!inPlace) row.element.prepend(tile);
        before = tile;
      }
    }

    makeTile(row, r, c) {
      const { model } = this;
      const i = model.cellAt(r, c);
      const old = this.reusable(i);
      const tile = old ?? batchgen.tile(i);
      if (old) batchgen.dress(old, i);
      const [left, width] = model.cellBox(r, c);
      tile.style.left = `${model.headLeft + left}px`;
      tile.style.width = `${width}px`;
      Object.assign(tile.dataset, { row: String(r), column: String(c) });
      tile.setAttribute('aria-colindex', String(c + (model.headLeft ? 2 : 1)));
      tile.tabIndex = this.isActive(r, c) ? 0 : -1;
      row.cells.set(c, tile);
      return tile;
    }

    /** The tile that a cell had in the model before: its picture is loaded already. New data may have another one. */
    reusable(i) {
      const tile = this.spare.get(i);
      this.spare.delete(i);
      if (!tile || i < 0) return undefined;
      const { data } = batchgen;
      return tile.dataset.id === data.id[i] && tile.dataset.state === data.states[data.state[i]] ? tile : undefined;
    }

    fillHeads(from, to) {
      const { model, heads } = this;
      const wanted = rangeWith(...model.between(0, from - model.headLeft, to - model.headLeft), this.active.row === -1 ? this.active.column : -1);
      removeOthers(this.headCells, new Set(wanted));
      if (!heads.querySelector('.corner') && model.headLeft) heads.prepend(this.corner());
      for (const c of wanted) {
        if (this.headCells.has(c)) continue;
        const head = this.head('columnheader', model.columnLabel(c), -1, c);
        const [left, width] = model.cellBox(0, c);
        head.style.left = `${model.headLeft + left}px`;
        head.style.width = `${width}px`;
        head.setAttribute('aria-colindex', String(c + (model.headLeft ? 2 : 1)));
        this.headCells.set(c, head);
        heads.append(head);
      }
    }

    corner() {
      const { model } = this;
      const words = [model.rowLabel(0).name, model.columnLabel(0).name];
      const texts = words.map((text, n) => batchgen.element('span', { class: n ? 'of-columns' : 'of-rows', dir: 'auto', text }));
      return batchgen.element('div', { class: 'corner', role: 'columnheader', aria: { colindex: '1' } }, ...texts);
    }

    isActive(row, column) {
      return this.active.row === row && this.active.column === column;
    }

    /** @returns {number} The cell that has the focus, or would have it; -1: none. */
    activeCell() {
      const { row, column } = this.active;
      return this.model && row >= 0 && column >= 0 && row < this.model.rows ? this.model.cellAt(row, column) : -1;
    }

    /** @returns {HTMLElement|undefined} */
    activeElement() {
      const { row, column } = this.active;
      if (row === -1) return this.headCells.get(column);
      const found = this.rows.get(row);
      return column === -1 ? found?.head : found?.cells.get(column);
    }

    /**
     * Make a place the active one: seen, and with the focus.
     * @param {number} row @param {number} column @param {boolean} [focus]
     */
    activate(row, column, focus = true) {
      const before = this.activeElement();
      if (before) before.tabIndex = -1;
      this.active = { row, column };
      this.reveal(row, column);
      this.render();
      const now = this.activeElement();
      if (!now) return;
      now.tabIndex = 0;
      if (focus) now.focus({ preventScroll: true });
    }

    reveal(row, column) {
      const { model, root } = this;
      if (row >= 0) {
        const [top, height] = model.rowBox(row);
        root.scrollTop = seen(root.scrollTop, root.clientHeight - model.headTop, top, height);
      }
      if (column >= 0) {
        const [left, width] = model.cellBox(Math.max(0, row), column);
        root.scrollLeft = seen(root.scrollLeft, root.clientWidth - model.headLeft, left, width);
      }
    }

    /** Go to a cell. @param {number} cell @returns {boolean} Whether it is here. */
    go(cell, focus = true) {
      const place = this.model?.where(cell);
      if (place) this.activate(place[0], place[1], focus);
      return Boolean(place);
    }

    /** @param {(i: number, tile: HTMLElement) => void} each  Is called for every tile that is alive. */
    forEachTile(each) {
      for (const row of this.rows.values()) for (const tile of row.cells.values()) if (tile.dataset.cell !== '-1') each(Number(tile.dataset.cell), tile);
    }
  };

  /** The numbers from `first` up to `end`, and `pinned`, which has the focus and must not vanish; in order. */
  function rangeWith(first, end, pinned) {
    const numbers = Array.from({ length: Math.max(0, end - first) }, (_, n) => first + n);
    if (pinned < 0 || (pinned >= first && pinned < end)) return numbers;
    return pinned < first ? [pinned, ...numbers] : [...numbers, pinned];
  }

  function removeOthers(cells, wanted) {
    for (const [c, cell] of cells) {
      if (wanted.has(c)) continue;
      cell.remove();
      cells.delete(c);
    }
  }

  /** Where to scroll to so that what is at `start`, `length` long, is seen in a window of `size`. */
  function seen(now, size, start, length) {
    if (start < now || length > size) return start;
    return Math.max(now, start + length - size);
  }
})();
