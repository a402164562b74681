/*
 * Marking: the buttons and keys that mark a cell, and the menu that saves, takes and clears marks.
 */
(() => {
  'use strict';

  const { element, icon } = batchgen;
  const STARS = [1, 2, 3, 4, 5];
  const LARGEST_FILE = 64 * 2 ** 20;

  /**
   * Buttons that show and change the mark of a cell.
   * @param {number} i @returns {HTMLElement}
   */
  batchgen.markButtons = (i) => {
    const id = batchgen.data.id[i];
    const toggle = (verdict) => () => batchgen.marks.set(id, { verdict: batchgen.marks.get(id).verdict === verdict ? null : verdict });
    const rate = (stars) => () => batchgen.marks.set(id, { stars: batchgen.marks.get(id).stars === stars ? 0 : stars });
    const stars = STARS.map((n) => element('button', { class: 'star', type: 'button', dataset: { stars: n }, aria: { label: batchgen.counted(n, 'star') }, on: { click: rate(n) } }, icon('star')));
    const made = element(
      'div',
      { class: 'marking', role: 'group', aria: { label: 'Mark' }, dataset: { id } },
      element('button', { class: 'button keep', type: 'button', on: { click: toggle('keep') } }, icon('check'), 'Keep'),
      element('button', { class: 'button reject', type: 'button', on: { click: toggle('reject') } }, icon('cross'), 'Reject'),
      element('span', { class: 'stars' }, ...stars),
    );
    showMark(made);
    return made;
  };

  function showMark(made) {
    const mark = batchgen.marks.get(made.dataset.id);
    made.querySelector('.keep').setAttribute('aria-pressed', String(mark.verdict === 'keep'));
    made.querySelector('.reject').setAttribute('aria-pressed', String(mark.verdict === 'reject'));
    made.querySelectorAll('.star').forEach((star) => star.setAttribute('aria-pressed', String(Number(star.dataset.stars) <= mark.stars)));
  }

  /**
   * Mark as a key says: k keeps, x rejects, digits are stars. The same key again takes it back.
   * @param {string} key @param {number} i @returns {boolean}  Whether the key means a mark.
   */
  batchgen.markByKey = (key, i) => {
    const id = batchgen.data.id[i];
    const mark = batchgen.marks.get(id);
    const verdict = { k: 'keep', x: 'reject' }[key];
    if (verdict) batchgen.marks.set(id, { verdict: mark.verdict === verdict ? null : verdict });
    else if (/^[0-5]$/.test(key)) batchgen.marks.set(id, { stars: mark.stars === Number(key) ? 0 : Number(key) });
    else return false;
    batchgen.announce(inWords(batchgen.marks.get(id)));
    return true;
  };

  function inWords({ verdict, stars }) {
    const words = [verdict === 'keep' ? 'kept' : verdict === 'reject' ? 'rejected' : '', stars ? batchgen.counted(stars, 'star') : ''];
    return words.filter(Boolean).join(', ') || 'no mark';
  }

  function showCounts() {
    const { keep, reject, starred, marked } = batchgen.marks.counts();
    const words = [`${keep} kept`, `${reject} rejected`, `${starred} with stars`].join(' · ');
    document.getElementById('marks-counts').textContent = marked ? words : 'Nothing is marked yet: k keeps the picture in focus, x rejects it, 1 to 5 are stars.';
    document.getElementById('marks-number').textContent = marked ? String(marked) : '';
    for (const name of ['marks-export', 'marks-clear']) document.getElementById(name).disabled = marked === 0;
  }

  function exportMarks() {
    batchgen.saveFile(`${batchgen.data.name}.marks.json`, batchgen.marksFile());
    batchgen.toast(`${batchgen.counted(batchgen.marks.counts().marked, 'mark')} saved as a file`);
  }

  async function importMarks(event) {
    const [file] = event.target.files;
    event.target.value = '';
    if (!file) return;
    try {
      if (file.size > LARGEST_FILE) throw new Error('is too large to be marks');
      const { taken, strangers } = batchgen.marks.take(await file.text());
      batchgen.toast(`${batchgen.counted(taken, 'mark')} taken${strangers ? `, ${strangers} of them of pictures that are not here` : ''}`);
    } catch (error) {
      batchgen.toast(`${file.name} ${error instanceof Error ? error.message : 'cannot be read'}`);
    }
  }

  async function clearMarks() {
    const { marked } = batchgen.marks.counts();
    if (await batchgen.confirm(`Forget ${batchgen.counted(marked, 'mark')} of this run?`, 'Forget them')) batchgen.marks.clear();
  }

  /** Bring the menu to life. */
  batchgen.startMarking = () => {
    document.getElementById('marks-export').addEventListener('click', exportMarks);
    document.getElementById('marks-import').addEventListener('change', importMarks);
    document.getElementById('marks-clear').addEventListener('click', clearMarks);
    batchgen.events.addEventListener('marks', showCounts);
    batchgen.events.addEventListener('marks', () => document.querySelectorAll('.marking').forEach(showMark));
    showCounts();
  };
})();
