/*
 * A tile: one cell of the grid or the wall, with its picture, or with the reason why there is none.
 */
(() => {
  'use strict';

  const NOTICES = { missing: 'clock', failed: 'broken', rejected: 'cross', unreadable: 'unknown' };
  const WORDS = { missing: 'not made yet', failed: 'failed', rejected: 'rejected', unreadable: 'unreadable' };
  /** Enlarged by this much, a picture shows its pixels instead of a blur. */
  const ENLARGED = 2;

  /**
   * Make the tile of a cell, or of a place nothing was asked for.
   * @param {number} i  -1: nothing was asked for.
   * @returns {HTMLElement}
   */
  batchgen.tile = (i) => {
    const tile = batchgen.element('div', { class: 'tile', role: 'gridcell', tabIndex: -1, dataset: { cell: i } });
    if (i < 0) {
      tile.classList.add('absent');
      tile.setAttribute('aria-label', 'nothing was asked for here');
      return tile;
    }
    const { data } = batchgen;
    tile.dataset.id = data.id[i];
    tile.dataset.state = data.states[data.state[i]];
    tile.append(frame(i));
    batchgen.dress(tile, i);
    return tile;
  };

  function frame(i) {
    const { data } = batchgen;
    const state = data.states[data.state[i]];
    const inside = data.thumb[i] || data.picture[i] ? shown(i) : state === 'made' ? null : notice(state, data.reasons[i] ?? '');
    return batchgen.element('div', { class: 'frame' }, inside);
  }

  /**
   * The picture of a cell, small; a clip plays.
   * @param {number} i @returns {HTMLElement}
   */
  const shown = (batchgen.thumbnail = (i) => {
    const { data } = batchgen;
    if (data.clip && data.clip.of[i] >= 0) return batchgen.filmElement?.(i) ?? firstFrame(i);
    const picture = batchgen.element('img', { class: 'picture', alt: '', decoding: 'async', draggable: false });
    picture.addEventListener('load', () => sharpen(picture));
    picture.addEventListener('error', () => picture.replaceWith(notice('unreadable', 'the file is gone')));
    picture.src = data.thumb[i] || data.picture[i];
    return picture;
  });

  function firstFrame(i) {
    const film = batchgen.data.clip.film[batchgen.data.clip.of[i]];
    const made = batchgen.element('div', { class: 'picture film' });
    made.style.backgroundImage = `url(${JSON.stringify(batchgen.data.thumb[i])})`;
    made.style.backgroundSize = `${film.columns * 100}% ${film.rows * 100}%`;
    return made;
  }

  /** Show the pixels of a picture that is much enlarged. @param {HTMLImageElement} picture */
  function sharpen(picture) {
    if (picture.naturalWidth) picture.classList.toggle('enlarged', picture.naturalWidth * ENLARGED <= picture.clientWidth);
  }

  /** @param {ParentNode} within  After cells have got another size. */
  batchgen.sharpen = (within) => within.querySelectorAll('img.picture').forEach(sharpen);

  function notice(state, reason) {
    const why = batchgen.element('span', { class: 'why', dir: 'auto', text: reason || WORDS[state] });
    return batchgen.element('div', { class: 'notice' }, batchgen.icon(NOTICES[state]), why);
  }

  /**
   * Bring marks, badges, caption and label of a tile up to date.
   * @param {HTMLElement} tile @param {number} i
   */
  batchgen.dress = (tile, i) => {
    const mark = batchgen.marks.get(batchgen.data.id[i]);
    const same = batchgen.data.same[i] >= 0 ? batchgen.same(i) : [];
    tile.classList.toggle('filtered', !batchgen.passes(i));
    tile.classList.toggle('kept', mark.verdict === 'keep');
    tile.classList.toggle('rejected-mark', mark.verdict === 'reject');
    tile.classList.toggle('same', same.length > 0);
    tile.classList.toggle('foreign', batchgen.foreign(i));
    tile.querySelectorAll(':scope > .badges, :scope > .caption').forEach((each) => each.remove());
    tile.append(...[badges(i, mark, same), caption(i)].filter(Boolean));
    tile.setAttribute('aria-label', spoken(i, mark, same));
  };

  function badges(i, mark, same) {
    const found = [
      same.length > 0 ? badge('same-badge', 'equal', sameAs(i, same[0])) : null,
      batchgen.foreign(i) ? badge('foreign-badge', 'flag', '') : null,
      mark.verdict === 'keep' ? badge('keep-badge', 'check', '') : null,
      mark.verdict === 'reject' ? badge('reject-badge', 'cross', '') : null,
      mark.stars > 0 ? badge('star-badge', 'star', String(mark.stars)) : null,
    ].filter(Boolean);
    return found.length > 0 ? batchgen.element('div', { class: 'badges', aria: { hidden: 'true' } }, ...found) : null;
  }

  /** Its text is for the eye (`content: attr()`): a tile's label says the same in words. */
  const badge = (name, icon, text) => batchgen.element('span', { class: `badge ${name}`, dataset: text ? { text } : {} }, batchgen.icon(icon));

  /**
   * What an identical picture has that this one has not: "ddim".
   * @param {number} i @param {number} other
   */
  const sameAs = (batchgen.sameAs = (i, other) => {
    const words = batchgen.differences(i, other).map((name) => {
      const axis = batchgen.axis(name);
      const text = axis.at[other] < 0 ? '' : batchgen.shortened(axis.values[axis.at[other]], 24);
      return axis.numeric ? `${name} ${text}` : text;
    });
    return words.join(' · ') || batchgen.data.id[other];
  });

  const captionText = (i) => [sortedBy(i), batchgen.view.mode === 'wall' ? batchgen.title(i) : ''].filter(Boolean).join(' — ');

  function caption(i) {
    const text = captionText(i);
    // The space parts it from a reason above, for whatever reads the tile as one text.
    return text ? batchgen.element('div', { class: 'caption', dir: 'auto', text: ` ${text}` }) : null;
  }

  /** The number by which cells are in order; "" where there is none. */
  function sortedBy(i) {
    const field = batchgen.view.sort ? batchgen.field(batchgen.view.sort) : null;
    const value = field?.numbers[i] ?? null;
    return value === null ? '' : batchgen.number(value, field.unit);
  }

  /** What is to be seen as text comes first, as it stands: who speaks to the page says what they see. */
  function spoken(i, mark, same) {
    const { data } = batchgen;
    const state = data.states[data.state[i]];
    return [
      state === 'made' ? '' : [WORDS[state], data.reasons[i]].filter(Boolean).join(': '),
      batchgen.view.mode === 'wall' ? captionText(i) : batchgen.title(i),
      sortedBy(i) && batchgen.view.mode === 'grid' && `${batchgen.view.sort} ${sortedBy(i)}`,
      batchgen.passes(i) ? '' : 'filtered out',
      mark.verdict === 'keep' ? 'kept' : mark.verdict === 'reject' ? 'marked as rejected' : '',
      mark.stars > 0 ? batchgen.counted(mark.stars, 'star') : '',
      same.length > 0 ? `same pixels as ${sameAs(i, same[0])}` : '',
      batchgen.foreign(i) ? 'made in another environment than most' : '',
    ].filter(Boolean).join(', ');
  }

  /** What is said of a cell's state, with the reason. @param {number} i */
  batchgen.stateText = (i) => {
    const { data } = batchgen;
    const state = data.states[data.state[i]];
    return [WORDS[state] ?? state, data.reasons[i]].filter(Boolean).join(': ');
  };
})();
