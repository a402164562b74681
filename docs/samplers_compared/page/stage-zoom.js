/*
 * Zoom and pan: which part of the pictures is seen. One view serves every pane, so that all of them show the same place.
 *
 * A view is a scale and the point of the pictures that lies in the middle of a pane. It is kept when other pictures of
 * another size come, and when the window changes.
 */
(() => {
  'use strict';

  const LARGEST = 64;
  const STEP = 1.25;

  const between = (least, value, most) => Math.min(most, Math.max(least, value));

  /** Where one side begins: in the middle if it is smaller than the pane, without a gap if it is larger. */
  function begin(pane, length, middle) {
    if (length <= pane) return Math.round((pane - length) / 2);
    return Math.round(between(pane - length, pane / 2 - middle * length, 0));
  }

  /** The view of a box of pixels through a pane. */
  batchgen.View = class View {
    fitted = true;
    /** Of the pictures, in their pixels. */
    box = { width: 1, height: 1 };
    /** In CSS pixels. */
    pane = { width: 1, height: 1 };
    /** How many fingers or buttons are down on it. */
    fingers = 0;
    /** CSS pixels a picture's pixel, unless it is fitted. */
    #scale = 1;
    /** What lies in the middle of the pane, as shares of the box. */
    #middle = { x: 0.5, y: 0.5 };
    #changed;

    /** @param {() => void} changed Called after each change. */
    constructor(changed) {
      this.#changed = changed;
    }

    get scale() {
      return this.fitted ? this.#fit() : this.#scale;
    }

    #fit() {
      const most = Math.min(this.pane.width / this.box.width, this.pane.height / this.box.height);
      // Whole multiples make every pixel of a small picture equally large.
      return most >= 4 ? Math.floor(most) : most;
    }

    /** @returns {{left: number, top: number, width: number, height: number, scale: number}} Of the box, in the pane. */
    place() {
      const { pane, box, scale } = this;
      const [width, height] = [box.width * scale, box.height * scale];
      const left = begin(pane.width, width, this.#middle.x);
      return { left, top: begin(pane.height, height, this.#middle.y), width, height, scale };
    }

    /** Let the box begin at a place; where that would leave a gap, as near to it as can be. */
    #look(left, top, scale) {
      this.fitted = false;
      this.#scale = scale;
      const { width, height } = this.place();
      const middle = (from) => ({ x: (this.pane.width / 2 - from.left) / width, y: (this.pane.height / 2 - from.top) / height });
      this.#middle = middle({ left, top });
      const held = middle(this.place());
      if (width > this.pane.width) this.#middle.x = held.x;
      if (height > this.pane.height) this.#middle.y = held.y;
      this.#changed();
    }

    /** @param {{width: number, height: number}} box */
    show(box) {
      this.box = box;
      this.#changed();
    }

    /** @param {{width: number, height: number}} pane */
    through(pane) {
      this.pane = pane;
      this.#changed();
    }

    fit() {
      this.fitted = true;
      this.#middle = { x: 0.5, y: 0.5 };
      this.#changed();
    }

    /**
     * Enlarge, and keep what is at a point of the pane where it is.
     * @param {number} scale @param {{x: number, y: number}} [point] The middle, if nothing is said.
     */
    to(scale, point = { x: this.pane.width / 2, y: this.pane.height / 2 }) {
      const { left, top, scale: before } = this.place();
      const after = between(Math.min(this.#fit(), 1), scale, Math.max(this.#fit(), LARGEST));
      this.#look(point.x - ((point.x - left) * after) / before, point.y - ((point.y - top) * after) / before, after);
    }

    /** @param {number} factor @param {{x: number, y: number}} [point] */
    by(factor, point) {
      this.to(this.scale * factor, point);
    }

    nearer() {
      this.by(STEP);
    }

    farther() {
      this.by(1 / STEP);
    }

    /** Whether there is something to be seen by moving. */
    get movable() {
      const { width, height } = this.place();
      return width > this.pane.width + 1 || height > this.pane.height + 1;
    }

    move(right, down) {
      if (!this.movable) return;
      const { left, top, scale } = this.place();
      this.#look(left + right, top + down, scale);
    }

    /** Between the whole picture and one CSS pixel a picture's pixel. */
    toggle(point) {
      if (this.fitted) this.to(1, point);
      else this.fit();
    }
  };

  /**
   * Let wheel, mouse and fingers steer a view.
   *
   * @param {HTMLElement} surface With the panes in it.
   * @param {View} view
   * @param {(point: {x: number, y: number}) => void} still A drag while there is nothing to move: where it is, in its pane.
   */
  batchgen.steerView = (surface, view, still) => {
    /** Fingers, and the mouse while its button is down: where each is, and the pane it came down on. */
    const down = new Map();

    surface.addEventListener('wheel', (event) => {
      const pane = paneOf(event);
      if (!pane) return;
      event.preventDefault();
      view.by(Math.exp(-wheelPixels(event) * (event.ctrlKey ? 0.01 : 0.002)), within(pane, event));
    }, { passive: false });

    surface.addEventListener('pointerdown', (event) => {
      const pane = paneOf(event);
      if (!pane || event.button !== 0) return;
      const own = !onSlider(event);
      // A finger on the slider moves the slider, until a second one makes it a pinch.
      if (own) surface.setPointerCapture(event.pointerId);
      down.set(event.pointerId, { pane, own, ...within(pane, event) });
      view.fingers = down.size;
      if (own && down.size === 1 && !view.movable) still(within(pane, event));
    });
    surface.addEventListener('pointermove', (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const after = { ...before, ...within(before.pane, event) };
      down.set(event.pointerId, after);
      if (down.size === 2) pinch(view, down, event.pointerId, before);
      else if (before.own && view.movable) view.move(after.x - before.x, after.y - before.y);
      else if (before.own) still(after);
    });
    for (const end of ['pointerup', 'pointercancel']) {
      surface.addEventListener(end, (event) => {
        down.delete(event.pointerId);
        view.fingers = down.size;
      });
    }
    surface.addEventListener('dblclick', (event) => {
      const pane = paneOf(event);
      if (pane && !onSlider(event)) view.toggle(within(pane, event));
    });
  };

  function pinch(view, down, moved, before) {
    const after = down.get(moved);
    const [, other] = [...down].find(([finger]) => finger !== moved);
    const apart = (finger) => Math.max(1, Math.hypot(finger.x - other.x, finger.y - other.y));
    const middle = { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 };
    view.by(apart(after) / apart(before), middle);
    view.move((after.x - before.x) / 2, (after.y - before.y) / 2);
  }

  /** By place, not by target: while a pointer is captured, all its events are the surface's. */
  function paneOf({ currentTarget, clientX, clientY }) {
    return [...currentTarget.querySelectorAll('.stage-pane')].find((pane) => {
      const { left, right, top, bottom } = pane.getBoundingClientRect();
      return clientX >= left && clientX < right && clientY >= top && clientY < bottom;
    });
  }

  const onSlider = ({ target }) => target.closest('[role=slider]') !== null;

  function within(pane, event) {
    const frame = pane.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  /** What a wheel turned, in pixels: some browsers count lines or pages. */
  const wheelPixels = (event) => event.deltaY * [1, 33, 400][event.deltaMode];
})();
