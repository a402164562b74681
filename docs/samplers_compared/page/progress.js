/*
 * How far a run is: its live.js is read again and again, and its data when that has become newer. Scripts, because a
 * page from a disk may fetch nothing.
 */
(() => {
  'use strict';

  const EVERY = 10_000;
  let asking = 0;
  let taking = false;
  let number = Date.now();

  /** live.js calls this. @param {any} told */
  globalThis.batchgenLive = (told) => {
    showProgress(told);
    if (told.version && told.version !== batchgen.data?.version) takeData();
    asking = told.running ? setTimeout(ask, EVERY) : 0;
  };

  function ask() {
    clearTimeout(asking);
    // Not there: a gallery that was made when all was over, or an older one. Then it is not asked for again.
    load('live.js', () => {}, () => showProgress({ running: false }));
  }

  function takeData() {
    if (taking) return;
    taking = true;
    const done = () => {
      taking = false;
    };
    load('data.js', () => {
      done();
      batchgen.takeData(globalThis.batchgenData);
    }, done);
  }

  function load(file, loaded, failed) {
    const script = document.createElement('script');
    number += 1;
    script.src = `${file}?${number}`;
    script.addEventListener('load', () => (script.remove(), loaded()));
    script.addEventListener('error', () => (script.remove(), failed()));
    document.head.append(script);
  }

  function showProgress({ running, asked = 0, made = 0, failed = 0, left = 0, seconds_left: seconds = null }) {
    const box = document.getElementById('progress');
    box.hidden = !running;
    if (!running) return;
    const bar = box.querySelector('progress');
    bar.max = Math.max(1, asked);
    bar.value = asked - left;
    const words = [
      `${(asked - left).toLocaleString('en')} of ${asked.toLocaleString('en')}`,
      failed ? `${failed} failed` : '',
      typeof seconds === 'number' && Number.isFinite(seconds) ? `${duration(seconds)} left` : made ? '' : 'beginning',
    ];
    box.querySelector('.words').textContent = words.filter(Boolean).join(' · ');
  }

  /** @param {number} seconds @returns {string} "1 h 20 min" */
  function duration(seconds) {
    const minutes = Math.round(seconds / 60);
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  /** Begin to ask how far the run is. */
  batchgen.startProgress = ask;
})();
