/*
 * One side of the stage: what is seen of one cell, from its thumbnail until the original is there.
 *
 * A picture is shown over its thumbnail. A clip plays as a video slaved to the clock, or as its film where the browser
 * does not play the file. In blind mode all is drawn on a canvas, so that no address of a file is in the page.
 */
(() => {
  'use strict';

  const VIDEO = /\.(mp4|webm)$/i;

  /**
   * @param {"a"|"b"} letter
   * @param {{blind: boolean, changed: () => void}} how `changed` is called when something else is to be seen.
   */
  batchgen.createSide = (letter, { blind, changed }) => {
    const sheet = batchgen.element('div', { class: 'stage-sheet' });
    const element = batchgen.element('div', { class: 'stage-side', dataset: { side: letter, shown: 'none' } }, sheet);
    const side = { element, sheet, index: -1, shown: 'none', natural: null, note: '', video: null };

    /** @param {string} shown @param {string} note What a person has to know about it; "" if nothing. */
    side.say = (shown, note = '') => {
      Object.assign(side, { shown, note });
      element.dataset.shown = shown;
      changed();
    };
    /** Show a cell; -1: nothing. */
    side.show = (index) => {
      side.video?.pause();
      Object.assign(side, { index, natural: null, note: '', video: null });
      for (const old of element.querySelectorAll('canvas, video')) batchgen.clock.leave(old);
      element.querySelector('.stage-reason')?.remove();
      sheet.replaceChildren();
      if (index < 0) side.say('none');
      else fill(side, batchgen.cell(index), blind);
    };
    return side;
  };

  /** Whether what is shown has all pixels that were made, so that enlarged ones may be seen as squares. */
  batchgen.hasAllPixels = (side) =>
    side.natural !== null && (['original', 'video'].includes(side.shown) || side.natural.width >= batchgen.cell(side.index).width);

  function fill(side, cell, blind) {
    side.say('loading');
    if (!cell.picture && !cell.thumb) {
      reason(side, cell);
    } else if (cell.film) {
      fillClip(side, cell, blind);
    } else {
      fillPicture(side, cell, blind);
    }
  }

  function reason(side, cell) {
    side.element.append(batchgen.element('p', { class: 'stage-reason', dir: 'auto', text: batchgen.stateText(cell.index) }));
    side.say('reason');
  }

  function fillPicture(side, cell, blind) {
    if (cell.thumb && cell.picture && !blind) {
      place(side, picture(cell.thumb, '', side, () => {
        if (side.shown === 'loading') side.say('thumb');
      }));
    }
    const wanted = cell.picture || cell.thumb;
    const drawn = picture(wanted, blind ? '' : batchgen.title(cell.index), side, () => {
      side.natural = { width: drawn.naturalWidth, height: drawn.naturalHeight };
      place(side, blind ? canvasOf(drawn) : drawn);
      if (cell.picture) side.say('original');
      else side.say('thumb', 'thumbnail only');
    });
    drawn.addEventListener('error', () => {
      if (drawn.isConnected || side.index !== cell.index) return;
      side.say(cell.thumb && !blind ? 'thumb' : 'failed', failed(cell, blind));
    });
  }

  function failed(cell, blind) {
    if (blind) return 'a picture could not be loaded';
    const what = cell.thumb ? 'thumbnail only: the picture' : 'the picture';
    return `${what} could not be loaded (${decodeURIComponent(cell.picture.split('/').pop())})`;
  }

  /** Load a picture for a side; `then` is called if the side still wants it. */
  function picture(source, alt, side, then) {
    const { index } = side;
    const image = batchgen.element('img', { alt, draggable: false, decoding: 'async' });
    image.addEventListener('load', async () => {
      await image.decode().catch(() => null);
      if (side.index === index) then();
    });
    image.src = source;
    return image;
  }

  function canvasOf(image) {
    const canvas = batchgen.element('canvas', { role: 'img', aria: { label: 'picture' } });
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas;
  }

  const place = (side, drawn) => side.sheet.replaceChildren(drawn);

  function fillClip(side, cell, blind) {
    if (cell.thumb) fillFilm(side, cell, blind);
    if (VIDEO.test(cell.picture)) fillVideo(side, cell, blind);
  }

  function fillFilm(side, cell, blind) {
    const canvas = batchgen.element('canvas', { class: 'film', role: 'img' });
    canvas.setAttribute('aria-label', blind ? 'clip' : `clip: ${batchgen.title(cell.index)}`);
    canvas.addEventListener('shown', () => {
      if (side.index !== cell.index || side.shown === 'video') return;
      side.natural = { width: canvas.width, height: canvas.height };
      side.say('film', VIDEO.test(cell.picture) ? side.note : filmOnly(cell));
    });
    canvas.addEventListener('failed', () => {
      if (side.index === cell.index && side.shown === 'loading') side.say('failed', 'the clip could not be loaded');
    });
    place(side, canvas);
    batchgen.film(canvas, cell.index);
  }

  const filmOnly = (cell) => (cell.picture ? "the clip's frames, from its thumbnail" : "thumbnail only");

  function fillVideo(side, cell, blind) {
    const video = batchgen.element('video', { muted: true, playsInline: true, preload: 'auto', disablePictureInPicture: true });
    video.setAttribute('aria-label', blind ? 'clip' : `clip: ${batchgen.title(cell.index)}`);
    const wanted = () => side.index === cell.index;
    const filmInstead = (why) => {
      side.note = `${why}: its frames, from its thumbnail`;
      side.say(side.shown === 'loading' && !cell.thumb ? 'failed' : side.shown, side.note);
    };
    video.addEventListener('loadeddata', () => {
      if (!wanted()) return;
      if (isSeekable(video) || !cell.thumb) showVideo(side, video, cell, blind);
      else filmInstead('this server sends clips as a whole, so they cannot be kept in step');
    });
    video.addEventListener('error', () => wanted() && filmInstead('this browser cannot play the clip'));
    video.src = cell.picture;
  }

  /** Servers that know no byte ranges, as Python's http.server, let a video only be played from its beginning. */
  const isSeekable = ({ seekable }) => seekable.length > 0 && seekable.end(seekable.length - 1) > 0;

  function showVideo(side, video, cell, blind) {
    for (const old of side.sheet.children) batchgen.clock.leave(old);
    side.natural = { width: video.videoWidth, height: video.videoHeight };
    side.video = video;
    const seen = blind ? mirror(video) : video;
    place(side, seen);
    // A clock that stands still says its second once: who was busy seeking then looks again afterwards.
    let missed = false;
    const follow = (seconds) => {
      missed = video.seeking;
      inStep(video, seconds, cell.film);
    };
    video.addEventListener('seeked', () => missed && follow(batchgen.clock.seconds));
    batchgen.clock.follow(seen, follow);
    side.say('video');
  }

  /** A canvas that shows what a video shows, without saying which one. */
  function mirror(video) {
    const canvas = batchgen.element('canvas', { role: 'img', aria: { label: 'clip' } });
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const draw = () => {
      canvas.getContext('2d').drawImage(video, 0, 0);
      if (canvas.isConnected) video.requestVideoFrameCallback?.(draw);
    };
    video.addEventListener('seeked', draw);
    requestAnimationFrame(draw);
    return canvas;
  }

  /** Bring a video to the clock's second: by its speed while it plays, by seeking when it is a frame off. */
  function inStep(video, seconds, film) {
    const { clock } = batchgen;
    const frame = 1 / (film.fps || 8);
    const last = Math.max(0, (video.duration || film.seconds) - frame / 2);
    const held = seconds >= last;
    const playing = clock.playing && !held;
    // The middle of a frame: at its very beginning, rounding would show the one before.
    const wanted = Math.min(last, playing ? seconds : Math.floor(seconds / frame + 1e-6) * frame + frame / 2);
    const late = wanted - video.currentTime;
    // What is off by less than a frame is made good by a little more or less speed: a seek would be seen.
    const rate = clock.speed * (1 + Math.min(0.2, Math.max(-0.2, late * 3)));
    if (Math.abs(video.playbackRate - rate) > 0.01) video.playbackRate = rate;
    if (!video.seeking && Math.abs(late) > (playing ? frame : frame / 4)) video.currentTime = wanted;
    if (playing && video.paused) video.play().catch(() => null);
    if (!playing && !video.paused) video.pause();
  }
})();
