/*
 * The recipe of a cell: what made its picture, in full, with the buttons that copy and mark. Beside the grid, and in
 * the viewer.
 */
(() => {
  'use strict';

  const { element, icon } = batchgen;
  const CLIPPED = 6;

  /**
   * All about a cell.
   * @param {number} i @returns {HTMLElement}
   */
  batchgen.recipePanel = (i) => {
    const cell = batchgen.cell(i);
    return element(
      'article',
      { class: 'recipe', dataset: { cell: i }, aria: { label: `Recipe of ${batchgen.title(i)}` } },
      element('h2', { class: 'title', dir: 'auto', text: batchgen.title(i, ['prompt']) }),
      cell.state === 'made' ? null : element('p', { class: `state ${cell.state}`, dir: 'auto', text: batchgen.stateText(i) }),
      batchgen.markButtons(i),
      actions(i, cell),
      element('p', { class: 'prompt-text', dir: 'auto', text: batchgen.prompt(i) }),
      sameList(i),
      foreignNote(i),
      table('How it was made', recipeRows(cell)),
      table('What came of it', factRows(cell)),
    );
  };

  function actions(i, cell) {
    return element(
      'div',
      { class: 'actions' },
      cell.picture || cell.thumb ? button('open-viewer', 'open', 'Open', () => batchgen.openViewer?.(i), 'primary') : null,
      copyButton('copy-command', 'Command', batchgen.commandLine(i), 'The command line is copied'),
      copyButton('copy-yaml', 'YAML', batchgen.yaml(i), 'The manifest is copied'),
    );
  }

  const button = (name, symbol, text, act, kind = '') => element('button', { class: `button ${kind} ${name}`, type: 'button', on: { click: act } }, icon(symbol), text);

  function copyButton(name, text, copied, said) {
    const made = button(name, 'copy', text, () => batchgen.copyText(copied, said));
    const cannot = name === 'copy-yaml' ? 'Its recipe is known once it is made' : 'This cannot be said on a command line; copy the YAML';
    made.disabled = copied === null;
    made.title = copied === null ? cannot : `Copy as ${text === 'YAML' ? 'a manifest' : 'a command line'}`;
    return made;
  }

  /** @param {number} i  Copies as a key does. @param {'command'|'yaml'} how */
  batchgen.copyRecipe = (i, how) => {
    const text = how === 'yaml' ? batchgen.yaml(i) : batchgen.commandLine(i);
    if (text === null) batchgen.toast(how === 'yaml' || batchgen.yaml(i) === null ? 'Its recipe is known once it is made' : 'No command line says this; copy the YAML');
    else batchgen.copyText(text, how === 'yaml' ? 'The manifest is copied' : 'The command line is copied');
  };

  function sameList(i) {
    const same = batchgen.data.same[i] >= 0 ? batchgen.same(i) : [];
    if (same.length === 0) return null;
    const links = same.slice(0, CLIPPED).map((j) => element('button', { class: 'link', type: 'button', dir: 'auto', text: batchgen.sameAs(i, j), on: { click: () => batchgen.focusCell(j) } }));
    const more = same.length > CLIPPED ? ` and ${same.length - CLIPPED} more` : '';
    return element('p', { class: 'note' }, icon('equal'), 'The very same pixels as ', ...links.flatMap((link, n) => (n ? [', ', link] : [link])), more);
  }

  function foreignNote(i) {
    if (!batchgen.foreign(i)) return null;
    const [own, usual] = [batchgen.data.environments[batchgen.data.environment[i]], batchgen.usualEnvironment()];
    const [one, other] = [flattened(own), flattened(usual)];
    const changed = [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((key) => one[key] !== other[key]);
    const words = changed.slice(0, CLIPPED).map((key) => `${key} ${one[key] ?? 'none'} (most: ${other[key] ?? 'none'})`);
    return element('p', { class: 'note foreign-note', dir: 'auto' }, icon('flag'), `Made in another environment: ${words.join('; ')}`);
  }

  function flattened(value, before = '') {
    const entries = Object.entries(value ?? {}).flatMap(([key, each]) =>
      typeof each === 'object' && each !== null ? Object.entries(flattened(each)) : [[before + key, String(each)]],
    );
    return Object.fromEntries(entries);
  }

  function recipeRows(cell) {
    const axes = batchgen.varying().map((axis) => axis.name);
    const recipe = { ...cell.coordinates, ...cell.recipe };
    const names = Object.keys(recipe).filter((name) => name !== 'prompt' && recipe[name] !== null && recipe[name] !== '');
    const first = names.filter((name) => axes.includes(name));
    const rows = [...first, ...names.filter((name) => !axes.includes(name))].map((name) => [name, batchgen.label(recipe[name]), axes.includes(name)]);
    const named = cell.coordinates.prompt && cell.coordinates.prompt !== cell.recipe.prompt ? [['prompt’s name', cell.coordinates.prompt, true]] : [];
    return [...named, ...rows];
  }

  function factRows(cell) {
    const { data } = batchgen;
    const facts = Object.entries(cell.facts).map(([name, value]) => {
      const unit = batchgen.column(name)?.unit ?? '';
      return [name, typeof value === 'number' ? batchgen.number(value, unit) : batchgen.label(value)];
    });
    const reference = data.reference && data.reference.of[cell.index] >= 0 ? [['measured against', data.reference.text]] : [];
    const size = cell.width ? [['size', `${cell.width} × ${cell.height}`]] : [];
    const film = cell.film ? [['clip', `${cell.film.frames} frames, ${batchgen.number(cell.film.seconds, 's')}`]] : [];
    const environment = data.environment[cell.index] >= 0 ? [['made with', batchgen.environmentLabel(data.environments[data.environment[cell.index]])]] : [];
    return [...facts, ...reference, ...size, ...film, ...environment, ['id', cell.id]];
  }

  function table(heading, rows) {
    if (rows.length === 0) return null;
    const terms = rows.flatMap(([name, value, varies]) => [
      element('dt', { dir: 'auto', class: varies ? 'varies' : '', text: name }),
      element('dd', { dir: 'auto', class: varies ? 'varies' : '', text: value }),
    ]);
    return element('section', {}, element('h3', { text: heading }), element('dl', {}, ...terms));
  }

  /**
   * What is said of the run while no cell is looked at.
   * @returns {HTMLElement}
   */
  batchgen.runPanel = () => {
    const { data } = batchgen;
    const fixed = batchgen.axes().filter((axis) => axis.values.length === 1).map((axis) => [axis.name, axis.values[0]]);
    const rows = new Map([...Object.entries(data.constant).map(([name, value]) => [name, batchgen.label(value)]), ...fixed]);
    const axes = batchgen.varying().map((axis) => [axis.name, batchgen.counted(axis.values.length, 'value')]);
    const environments = [...new Set(data.environment)].filter((each) => each >= 0).map((each) => ['made with', batchgen.environmentLabel(data.environments[each])]);
    const prompt = rows.get('prompt');
    rows.delete('prompt');
    return element(
      'article',
      { class: 'recipe run-panel', aria: { label: 'About this run' } },
      element('h2', { class: 'title', dir: 'auto', text: data.name }),
      element('p', { class: 'hint', text: 'Point at a picture to see its recipe here; click to stay with it, click again to open it.' }),
      prompt ? element('p', { class: 'prompt-text', dir: 'auto', text: prompt }) : null,
      table('What varies', axes),
      table('The same for all', [...[...rows].filter(([, value]) => value !== ''), ...environments]),
      element('p', { class: 'hint', dir: 'auto', text: data.made_with ?? '' }),
    );
  };
})();
