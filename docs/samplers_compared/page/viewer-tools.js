/*
 * The bars of the viewer: modes, zoom, and what a mode has to set: how much a difference is amplified, how fast two
 * pictures take turns.
 */
(() => {
  'use strict';

  /** Name, label, icon, key. */
  const MODES = [
    ['single', 'A alone', 'a'],
    ['slider', 'Slider', 'w'],
    ['side', 'Side by side', 'b'],
    ['difference', 'Difference', 'd'],
    ['flicker', 'Flicker', 'l'],
  ];
  const ZOOMS = [
    ['out', 'zoom-out', 'Smaller', '-'],
    ['in', 'zoom-in', 'Larger', '+'],
    ['fit', 'fit', 'Fit the whole picture', 'f'],
  ];
  /** Above three flashes a second, pictures may harm people: WCAG 2.3.1. */
  const SAFE_RATE = 3;

  /** @returns {Record<string, string>} Key -> mode. */
  batchgen.modeKeys = () => Object.fromEntries(MODES.map(([name, , key]) => [key, name]));

  /**
   * Buttons, one a mode.
   * @param {(mode: string) => void} choose
   * @returns {{element: HTMLElement, show: (mode: string, pair: boolean) => void}} `pair`: there is a B to compare with.
   */
  batchgen.modeBar = (choose) => {
    const { element } = batchgen;
    const buttons = MODES.map(([name, label, key]) => element('button', {
      type: 'button', class: 'button', text: label, title: `${label} (${key})`, aria: { keyshortcuts: key },
      dataset: { modeButton: name }, on: { click: () => choose(name) },
    }));
    const bar = element('div', { class: 'modes', role: 'group', aria: { label: 'how to compare' } }, ...buttons);
    const show = (mode, pair) => {
      for (const button of buttons) {
        button.setAttribute('aria-pressed', String(button.dataset.modeButton === mode));
        button.disabled = !pair && button.dataset.modeButton !== 'single';
      }
    };
    return { element: bar, show };
  };

  /**
   * Zoom: nearer, farther, the whole, 100 %.
   * @param {any} stage
   * @returns {{element: HTMLElement, show: () => void}}
   */
  batchgen.zoomBar = (stage) => {
    const { element, icon } = batchgen;
    const { view } = stage;
    const act = { out: () => view.farther(), in: () => view.nearer(), fit: () => view.fit(), real: () => view.to(1) };
    const buttons = ZOOMS.map(([name, sign, label, key]) => element('button', {
      type: 'button', class: 'button icon', title: `${label} (${key})`, aria: { label, keyshortcuts: key },
      dataset: { zoom: name }, on: { click: act[name] },
    }, icon(sign)));
    const real = element('button', {
      type: 'button', class: 'button zoom-real', title: 'One pixel as one pixel (z)', aria: { keyshortcuts: 'z' },
      dataset: { zoom: 'real' }, on: { click: act.real },
    });
    const bar = element('div', { class: 'zoom', role: 'group', aria: { label: 'zoom' } }, ...buttons, real);
    const show = () => {
      const percent = `${Math.round(view.place().scale * 100)} %`;
      real.textContent = percent;
      real.setAttribute('aria-label', `${percent}; go to 100 %`);
      bar.querySelector('[data-zoom=fit]').setAttribute('aria-pressed', String(view.fitted));
    };
    return { element: bar, show };
  };

  /**
   * How much a difference is amplified: once to 32 times.
   * @param {any} stage
   * @returns {HTMLElement}
   */
  batchgen.amplifier = (stage) => {
    const { element } = batchgen;
    const said = element('output', { htmlFor: 'amplify' });
    const range = element('input', { type: 'range', id: 'amplify', min: '0', max: '5', step: '1' });
    range.value = String(Math.log2(stage.amplify));
    const change = () => {
      stage.set({ amplify: 2 ** Number(range.value) });
      said.textContent = `× ${stage.amplify}`;
      range.setAttribute('aria-valuetext', `${stage.amplify} times`);
    };
    range.addEventListener('input', change);
    change();
    const label = element('label', { htmlFor: 'amplify', text: 'Amplified' });
    return element('div', { class: 'tool', dataset: { tool: 'difference' } }, label, range, said);
  };

  /**
   * What lets two pictures take turns. It begins by itself, slowly, unless the person has asked for less motion.
   * @param {any} stage
   * @returns {{element: HTMLElement, enter: () => void, leave: () => void, toggle: () => void, other: () => void}}
   */
  batchgen.flicker = (stage) => {
    const { element, icon } = batchgen;
    let timer = 0;
    const other = () => {
      stage.set({ turn: stage.turn === 'a' ? 'b' : 'a' });
      show();
    };
    const rate = element('input', { type: 'range', id: 'flicker-rate', min: '1', max: '10', step: '1', value: '2' });
    const said = element('output', { htmlFor: 'flicker-rate' });
    const play = element('button', {
      type: 'button', class: 'button icon', dataset: { flicker: 'play' }, aria: { keyshortcuts: 'Space' },
    });
    const swap = element('button', {
      type: 'button', class: 'button', title: 'The other one (t)', dataset: { flicker: 'other' }, aria: { keyshortcuts: 't' },
    });
    const start = () => {
      clearInterval(timer);
      timer = setInterval(other, 500 / Number(rate.value));
      show();
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      show();
    };
    function show() {
      play.replaceChildren(icon(timer ? 'pause' : 'play'));
      play.setAttribute('aria-label', timer ? 'stop taking turns' : 'take turns');
      swap.textContent = `Show ${stage.turn === 'a' ? 'B' : 'A'}`;
      swap.hidden = timer !== 0;
      const fast = Number(rate.value) > SAFE_RATE;
      said.textContent = `${rate.value} a second${fast ? ': so fast may harm people who are sensitive to flashes' : ''}`;
      said.classList.toggle('warning', fast);
    }
    const toggle = () => (timer ? stop : start)();
    play.addEventListener('click', toggle);
    swap.addEventListener('click', other);
    rate.addEventListener('input', () => (timer ? start() : show()));
    const label = element('label', { htmlFor: 'flicker-rate', text: 'Turns' });
    show();
    return {
      element: element('div', { class: 'tool', dataset: { tool: 'flicker' } }, play, swap, label, rate, said),
      enter: () => (matchMedia('(prefers-reduced-motion: reduce)').matches ? stop : start)(),
      leave: stop,
      toggle,
      other: () => { stop(); other(); },
    };
  };
})();
