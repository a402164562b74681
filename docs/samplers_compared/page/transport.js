/*
 * What plays the clips: play and pause, a scrubber in frames, speed, loop. There may be several; all show the one clock.
 */
(() => {
  'use strict';

  const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

  /**
   * @returns {HTMLElement} A group of controls that follows the clock while it is in the document.
   */
  batchgen.transport = () => {
    const { element, clock } = batchgen;
    const play = element('button', { type: 'button', class: 'button icon', dataset: { clock: 'play' }, on: { click: clock.toggle } });
    const scrub = element('input', {
      type: 'range', min: '0', step: '1', aria: { label: 'frame' }, dataset: { clock: 'scrub' },
      on: { input: () => scrubbed(scrub) },
    });
    const time = element('output', { class: 'time', aria: { live: 'off' } });
    const speed = element(
      'select',
      { aria: { label: 'speed' }, dataset: { clock: 'speed' }, on: { change: () => { clock.speed = speed.value; } } },
      ...SPEEDS.map((times) => element('option', { value: String(times), text: `${times}×` })),
    );
    const loop = element('input', {
      type: 'checkbox', dataset: { clock: 'loop' }, on: { change: () => { clock.loop = loop.checked; } },
    });
    const bar = element(
      'div', { class: 'transport', role: 'group', aria: { label: 'clips' } },
      play, scrub, time, speed, element('label', {}, loop, 'loop'),
    );
    follow(bar, { play, scrub, time, speed, loop });
    return bar;
  };

  function scrubbed(scrub) {
    const wanted = Number(scrub.value);
    batchgen.clock.pause();
    batchgen.clock.seekFrame(wanted);
  }

  function follow(bar, parts) {
    const { clock } = batchgen;
    const tick = () => {
      if (bar.isConnected) showTime(parts);
    };
    const change = () => {
      parts.play.replaceChildren(batchgen.icon(clock.playing ? 'pause' : 'play'));
      parts.play.setAttribute('aria-label', clock.playing ? 'pause' : 'play');
      parts.scrub.max = clock.frames - 1;
      parts.speed.value = String(clock.speed);
      parts.loop.checked = clock.loop;
      showTime(parts);
    };
    clock.events.addEventListener('tick', tick);
    clock.events.addEventListener('change', change);
    change();
  }

  function showTime({ scrub, time }) {
    const { clock } = batchgen;
    const text = `${clock.seconds.toFixed(2)} s of ${clock.length.toFixed(2)} s`;
    scrub.value = clock.frame;
    scrub.setAttribute('aria-valuetext', `frame ${clock.frame + 1} of ${clock.frames}, ${text}`);
    if (time.textContent !== text) time.textContent = text;
  }
})();
