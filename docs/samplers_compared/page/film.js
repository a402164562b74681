/*
 * Clips in step: one clock for every clip of the page, in the grid and in the viewer.
 *
 * A clip's thumbnail is a sheet of its frames, row by row. A canvas shows the tile of the clock's second; a clip that is
 * shorter than the longest holds its last frame. Frames are drawn only while something plays and is on the screen.
 */
(() => {
  'use strict';


  /** What is on the screen: element -> how it is drawn at a second. Elements elsewhere are held by nobody. */
  const onScreen = new Map();
  /** @type {WeakMap<Element, (seconds: number) => void>} */
  const drawings = new WeakMap();
  const events = new EventTarget();
  const now = { playing: false, begun: false, seconds: 0, speed: 1, loop: true, scope: null, last: 0, request: 0 };

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const draw = drawings.get(target);
        if (isIntersecting && draw) {
          onScreen.set(target, draw);
          draw(now.seconds);
        } else {
          onScreen.delete(target);
        }
      }
      wake();
    },
    { rootMargin: '100px' },
  );

  /** The films that set the clock's length: of the cells in question, or of the whole run. */
  function films() {
    if (now.scope) return now.scope;
    return batchgen.data?.clip?.film ?? [];
  }

  const longest = () => films().reduce((most, film) => Math.max(most, film.seconds), 0);
  const finest = () => films().reduce((most, film) => Math.max(most, film.fps ?? film.frames / film.seconds), 1);
  const say = (what) => events.dispatchEvent(new Event(what));

  function drawAll() {
    // These cover the page: what is under them is drawn when they are closed.
    const cover = document.querySelector(':is(#viewer, #blind-dialog)[open]');
    for (const [element, draw] of onScreen) if (!cover || cover.contains(element)) draw(now.seconds);
    say('tick');
  }

  function step(time) {
    now.request = 0;
    if (!now.playing || onScreen.size === 0) return;
    // A hidden tab gets no frames. What it missed is not made up for, so that a clip goes on where it was left.
    const passed = Math.min((time - now.last) / 1000, 0.25) * now.speed;
    now.last = time;
    advance(now.seconds + passed);
    drawAll();
    wake();
  }

  function advance(seconds) {
    const length = longest();
    if (seconds < length) {
      now.seconds = seconds;
    } else if (now.loop && length > 0) {
      now.seconds = seconds % length;
    } else {
      now.seconds = length;
      clock.pause();
    }
  }

  function wake() {
    if (!now.playing || now.request || onScreen.size === 0) return;
    if (document.timeline?.currentTime - now.last > 250) now.last = document.timeline.currentTime;
    now.request = requestAnimationFrame(step);
  }

  /**
   * One clock for all clips. It says "tick" when its second has changed, and "change" when anything else has.
   *
   * `frames` counts the frames of the longest clip, by the finest rate of the clips: a scrubber's steps.
   */
  const clock = {
    events,
    get playing() { return now.playing; },
    get seconds() { return now.seconds; },
    get length() { return longest(); },
    get frames() { return Math.max(1, Math.round(longest() * finest())); },
    get frame() { return Math.min(clock.frames - 1, Math.floor(now.seconds * finest() + 1e-6)); },
    get rate() { return finest(); },
    get speed() { return now.speed; },
    set speed(times) { now.speed = Math.min(4, Math.max(0.1, Number(times) || 1)); say('change'); },
    get loop() { return now.loop; },
    set loop(whether) { now.loop = Boolean(whether); say('change'); },

    play() {
      if (now.seconds >= longest() - 1e-6) now.seconds = 0;
      now.playing = true;
      now.last = document.timeline?.currentTime ?? performance.now();
      say('change');
      wake();
    },
    pause() {
      now.playing = false;
      say('change');
      drawAll();
    },
    toggle() { (now.playing ? clock.pause : clock.play)(); },

    /** @param {number} seconds From the beginning; what lies outside is taken to the nearest end. */
    seek(seconds) {
      now.seconds = Math.min(longest(), Math.max(0, seconds));
      drawAll();
    },
    /** @param {number} number Of a frame, from 0. */
    seekFrame(number) { clock.seek(number / finest()); },

    /**
     * Let the clock run as long as these clips last; null: as the longest of the run.
     * @param {?Array<{frames: number, seconds: number, fps: number}>} those
     */
    lasting(those) {
      now.scope = those?.length ? those : null;
      if (now.seconds > longest()) now.seconds = 0;
      say('change');
      drawAll();
    },
    /**
     * Draw an element at the clock's second, as long as it is on the screen.
     * @param {Element} element @param {(seconds: number) => void} draw
     */
    follow(element, draw) {
      drawings.set(element, draw);
      if (onScreen.has(element)) onScreen.set(element, draw);
      watcher.observe(element);
      begin();
    },
    /** @param {Element} element */
    leave(element) {
      watcher.unobserve(element);
      drawings.delete(element);
      onScreen.delete(element);
    },
  };
  batchgen.clock = Object.freeze(clock);

  /** Clips play by themselves from the first one on, unless the person has asked for less motion. */
  function begin() {
    if (now.begun) return;
    now.begun = true;
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) clock.play();
  }

  /**
   * The tile of a film at a second.
   * @param {{frames: number, seconds: number}} film @param {number} seconds
   * @returns {number} From 0; the last one after the end.
   */
  batchgen.frameAt = (film, seconds) =>
    Math.max(0, Math.min(film.frames - 1, Math.floor((seconds / film.seconds) * film.frames + 1e-6)));

  /**
   * Make a canvas show cell `index`'s film in step with the clock.
   *
   * Says "shown" on the canvas when its first frame is there, "failed" when its sheet of frames cannot be had.
   *
   * @param {HTMLCanvasElement} canvas
   * @param {number} index
   * @returns {HTMLCanvasElement} The same.
   */
  batchgen.film = (canvas, index) => {
    const { film, thumb } = batchgen.cell(index);
    const sheet = new Image();
    let drawn = -1;
    function draw(seconds) {
      const frame = batchgen.frameAt(film, seconds);
      if (frame === drawn || !sheet.complete || sheet.naturalWidth === 0) return;
      drawn = frame;
      drawTile(canvas, sheet, film, frame);
    }
    sheet.addEventListener('load', () => {
      canvas.width = Math.floor(sheet.naturalWidth / film.columns);
      canvas.height = Math.floor(sheet.naturalHeight / film.rows);
      draw(now.seconds);
      canvas.dispatchEvent(new Event('shown'));
    });
    sheet.addEventListener('error', () => canvas.dispatchEvent(new Event('failed')));
    sheet.src = thumb;
    clock.follow(canvas, draw);
    return canvas;
  };

  function drawTile(canvas, sheet, film, frame) {
    const { width, height } = canvas;
    const [column, row] = [frame % film.columns, Math.floor(frame / film.columns)];
    canvas.getContext('2d').drawImage(sheet, column * width, row * height, width, height, 0, 0, width, height);
    canvas.dataset.frame = frame;
  }

  /**
   * A canvas that shows a clip in step with the clock.
   * @param {number} index Of a cell that has a film.
   * @returns {HTMLCanvasElement}
   */
  batchgen.filmElement = (index) => {
    const name = `clip: ${batchgen.title(index)}`;
    const canvas = batchgen.element('canvas', { class: 'film', role: 'img', aria: { label: name }, dataset: { film: index } });
    return batchgen.film(canvas, index);
  };
})();
