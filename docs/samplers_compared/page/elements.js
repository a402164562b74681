/*
 * Making elements. Text comes in as text nodes and attributes alone, so that no name or prompt is ever read as HTML.
 */
(() => {
  'use strict';

  /** Milliseconds that a short message stays. */
  const SHOWN = 3000;
  const SVG = 'http://www.w3.org/2000/svg';

  /**
   * Make an element.
   * @param {string} tag
   * @param {Record<string, any>} [properties]  `class`, `dataset`, `aria`, `on` ({event: listener}), `text`; anything
   *   else is set as a property where there is one, or else as an attribute. null and undefined are left out.
   * @param {...(Node|string|null)} children
   * @returns {HTMLElement}
   */
  batchgen.element = (tag, properties = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined) continue;
      if (name === 'class') made.className = value;
      else if (name === 'text') made.textContent = value;
      else if (name === 'dataset') Object.assign(made.dataset, value);
      else if (name === 'aria') Object.entries(value).forEach(([key, each]) => made.setAttribute(`aria-${key}`, each));
      else if (name === 'on') Object.entries(value).forEach(([event, listener]) => made.addEventListener(event, listener));
      else if (name in made && name !== 'list' && name !== 'form') made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  /**
   * An icon of index.html, for the eye alone: what it stands beside must have a name.
   * @param {string} name @returns {SVGElement}
   */
  batchgen.icon = (name) => {
    const icon = document.createElementNS(SVG, 'svg');
    icon.setAttribute('class', 'icon');
    icon.setAttribute('aria-hidden', 'true');
    const use = document.createElementNS(SVG, 'use');
    use.setAttribute('href', `#icon-${name}`);
    icon.append(use);
    return icon;
  };

  /**
   * Shorten a text to so many characters, whole ones, with an ellipsis.
   * @param {string} text @param {number} most
   */
  batchgen.shortened = (text, most) => {
    const flat = text.length > 4 * most ? text.slice(0, 4 * most) : text;
    const characters = [...flat];
    return characters.length <= most && flat === text ? text : `${characters.slice(0, most - 1).join('').trimEnd()}…`;
  };

  /** @param {number} count @param {string} one @param {string} [several] */
  batchgen.counted = (count, one, several = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : several}`;

  /** Tell a screen reader, when it has nothing better to say. What is behind a dialog is not heard. @param {string} text */
  batchgen.announce = (text) => {
    const heard = document.querySelector('dialog[open] [role="status"]') ?? document.getElementById('announce');
    heard.textContent = text;
  };

  let leaving = 0;

  /** Say something for a few seconds. @param {string} text */
  batchgen.toast = (text) => {
    const toast = document.getElementById('toast');
    // A popover lies above dialogs; the last one to be shown is the uppermost.
    if (toast.matches(':popover-open')) toast.hidePopover();
    toast.showPopover();
    toast.textContent = text;
    clearTimeout(leaving);
    leaving = setTimeout(() => toast.hidePopover(), SHOWN);
  };

  /**
   * Copy, and say whether it worked.
   * @param {string} text @param {string} [what] @returns {Promise<boolean>}
   */
  batchgen.copyText = async (text, what = 'Copied') => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      done = copiedTheOldWay(text);
    }
    batchgen.toast(done ? what : 'This browser does not let the page copy');
    return done;
  };

  function copiedTheOldWay(text) {
    const before = document.activeElement;
    const area = batchgen.element('textarea', { class: 'visually-hidden', value: text, readOnly: true });
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    before?.focus?.({ preventScroll: true });
    return done;
  }

  /** Save a text as a file. @param {string} name @param {string} text */
  batchgen.saveFile = (name, text) => {
    const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const link = batchgen.element('a', { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };

  /**
   * Ask before something is lost.
   * @param {string} question @param {string} yes  What the button says that does it.
   * @returns {Promise<boolean>}
   */
  batchgen.confirm = (question, yes) => {
    const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('confirm'));
    dialog.querySelector('p').textContent = question;
    dialog.querySelector('.yes').textContent = yes;
    dialog.returnValue = 'no';
    dialog.showModal();
    dialog.querySelector('.no').focus();
    return new Promise((answer) => {
      dialog.addEventListener('close', () => answer(dialog.returnValue === 'yes'), { once: true });
    });
  };

  /**
   * What the browser keeps for this page between visits. In a private window or from a strange address there may be
   * nothing: then it is forgotten, and the page works all the same.
   */
  batchgen.kept = {
    /** @param {string} key @returns {string|null} */
    get(key) {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    /** @param {string} key @param {string} value @returns {boolean} Whether it will be there tomorrow. */
    set(key, value) {
      try {
        localStorage.setItem(key, value);
        return true;
      } catch {
        return false;
      }
    },
  };
})();
