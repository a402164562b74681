/*
 * Steering a pane: keys move the focus among tiles and heads, pointers choose and open.
 */
(() => {
  'use strict';

  /**
   * @typedef {object} Ear  Who is told.
   * @property {(i: number) => void} hover  The pointer is over a cell; -1: over none.
   * @property {(i: number, how: 'key'|'pointer'|'touch') => void} choose  A cell has been gone to.
   * @property {(i: number) => void} open
   */

  /** @param {any} pane  A batchgen.Pane. @param {Ear} ear */
  batchgen.steer = (pane, ear) => {
    pane.root.addEventListener('keydown', (event) => onKey(pane, ear, event));
    pane.root.addEventListener('click', (event) => onClick(pane, ear, event));
    pane.root.addEventListener('pointerover', (event) => {
      if (event.pointerType !== 'touch') ear.hover(cellOf(event.target));
    });
    pane.root.addEventListener('pointerleave', () => ear.hover(-1));
  };

  /**
   * Move as a key says that was pressed where nothing has the focus.
   * @param {any} pane @param {Ear} ear @param {KeyboardEvent} event
   */
  batchgen.steerByKey = (pane, ear, event) => onKey(pane, ear, event);

  const tileOf = (target) => (target instanceof Element ? target.closest('.tile') : null);
  const cellOf = (target) => Number(tileOf(target)?.dataset.cell ?? -1);

  function onClick(pane, ear, event) {
    const place = event.target instanceof Element ? event.target.closest('.tile, .head') : null;
    if (!place) return;
    const [row, column] = [Number(place.dataset.row), Number(place.dataset.column)];
    const again = pane.chosen === place.dataset.cell && pane.isActive(row, column);
    pane.activate(row, column);
    pane.chosen = place.dataset.cell;
    const cell = cellOf(place);
    if (cell < 0) return;
    if (again) ear.open(cell);
    else ear.choose(cell, event.pointerType === 'touch' ? 'touch' : 'pointer');
  }

  function onKey(pane, ear, event) {
    if (event.altKey || event.metaKey || !pane.model?.rows) return;
    if ((event.key === 'Enter' || event.key === ' ') && pane.activeCell() >= 0) {
      event.preventDefault();
      ear.open(pane.activeCell());
      return;
    }
    const target = destination(pane, event);
    if (!target) return;
    event.preventDefault();
    pane.activate(...target);
    pane.chosen = String(pane.activeCell());
    ear.choose(pane.activeCell(), 'key');
  }

  /** @returns {[number, number]|null} Row and column where a key leads; null: it is no key that moves. */
  function destination(pane, event) {
    const { row, column } = pane.active;
    const { model } = pane;
    const [firstRow, firstColumn] = [model.headTop ? -1 : 0, model.headLeft ? -1 : 0];
    const last = (of) => model.count(Math.max(0, of)) - 1;
    switch (event.key) {
      case 'ArrowLeft':
        return column > firstColumn && !(row < 0 && column === 0) ? [row, column - 1] : before(model, row, column);
      case 'ArrowRight':
        return column < last(row) ? [row, column + 1] : after(model, row, column);
      case 'ArrowUp':
        return row > firstRow && !(column < 0 && row === 0) ? beside(model, row, column, row - 1) : [row, column];
      case 'ArrowDown':
        return row < model.rows - 1 ? beside(model, row, column, row + 1) : [row, column];
      case 'Home':
        return event.ctrlKey ? [0, 0] : [row, 0];
      case 'End':
        return event.ctrlKey ? [model.rows - 1, last(model.rows - 1)] : [row, last(row)];
      case 'PageUp':
      case 'PageDown':
        return byPage(pane, event.key === 'PageUp' ? -1 : 1);
      default:
        return null;
    }
  }

  /** On a wall the row goes on in the next one. */
  const after = (model, row, column) => (model.headLeft || model.headTop || row >= model.rows - 1 ? [row, column] : [row + 1, 0]);
  const before = (model, row, column) => (model.headLeft || model.headTop || row <= 0 ? [row, column] : [row - 1, model.count(row - 1) - 1]);

  /** The place in another row that is right above or below. */
  function beside(model, row, column, target) {
    if (column < 0 || row < 0 || target < 0) return [target, column];
    const [left, width] = model.cellBox(row, column);
    const middle = left + width / 2;
    const distance = (n) => {
      const [begin, wide] = model.cellBox(target, n);
      return Math.abs(begin + wide / 2 - middle);
    };
    let best = Math.min(column, model.count(target) - 1);
    while (best > 0 && distance(best - 1) < distance(best)) best -= 1;
    while (best < model.count(target) - 1 && distance(best + 1) < distance(best)) best += 1;
    return [target, best];
  }

  function byPage(pane, sign) {
    const { model, root } = pane;
    const { row, column } = pane.active;
    const [top] = model.rowBox(Math.max(0, row));
    const target = model.rowAt(top + sign * (root.clientHeight - model.headTop));
    const step = target === row ? Math.min(model.rows - 1, Math.max(0, row + sign)) : target;
    return beside(model, Math.max(0, row), column, step);
  }
})();
