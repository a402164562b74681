/*
 * Full texts of what had to be shortened: whatever has `data-tip` shows it, under the pointer or with the focus, if it
 * is cut off where it stands. It stays while the pointer is on it, and Escape takes it away.
 */
(() => {
  'use strict';

  const DELAY = 250;
  const AWAY = 150;
  const GAP = 6;
  const tip = document.getElementById('tip');
  let waiting = 0;
  let owner = null;

  const ownerOf = (target) => (target instanceof Element ? target.closest('[data-tip]') : null);

  /** Whether a text is not seen in full. A select shows one line of it. */
  function cut(element) {
    const label = element.querySelector('.label') ?? element;
    if (element instanceof HTMLSelectElement) return element.dataset.tip.length * 7 > element.clientWidth - 30;
    return label.textContent !== element.dataset.tip || label.scrollWidth > label.clientWidth + 1 || label.scrollHeight > label.clientHeight + 1;
  }

  function show(element) {
    if (!element.isConnected || !cut(element)) return hide();
    owner?.removeAttribute('aria-describedby');
    owner = element;
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    place(element.getBoundingClientRect());
    return undefined;
  }

  function place(box) {
    const { width, height } = tip.getBoundingClientRect();
    const below = box.bottom + GAP + height <= innerHeight || box.top < height + GAP;
    const top = below ? Math.min(box.bottom + GAP, innerHeight - height - GAP) : box.top - height - GAP;
    tip.style.left = `${Math.max(GAP, Math.min(box.left, innerWidth - width - GAP))}px`;
    tip.style.top = `${Math.max(GAP, top)}px`;
  }

  function hide() {
    clearTimeout(waiting);
    const shown = !tip.hidden;
    tip.hidden = true;
    owner = null;
    return shown;
  }

  /** Take the text away. @returns {boolean} Whether there was one. */
  batchgen.hideTip = hide;

  function later(act, delay) {
    clearTimeout(waiting);
    waiting = setTimeout(act, delay);
  }

  document.addEventListener('pointerover', (event) => {
    if (event.pointerType === 'touch') return;
    if (tip.contains(event.target)) return void clearTimeout(waiting);
    const element = ownerOf(event.target);
    if (element !== owner) later(() => (element ? show(element) : hide()), element ? DELAY : AWAY);
    else clearTimeout(waiting);
  });
  document.addEventListener('focusin', (event) => {
    const element = ownerOf(event.target);
    if (element) later(() => show(element), DELAY);
    else hide();
  });
  document.addEventListener('scroll', (event) => void (tip.contains(event.target) || hide()), { capture: true, passive: true });
  document.addEventListener('pointerdown', (event) => void (tip.contains(event.target) || hide()));
})();
