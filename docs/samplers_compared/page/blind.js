/*
 * Blind comparison: two pictures that differ in one axis alone, and nothing that says which is which until votes are in.
 *
 * Three phases: what to judge, votes, tally. Pictures are drawn on canvases, so that no name of a file is in the page.
 */
(() => {
  'use strict';

  const ROUNDS = ['10', '20', '50', '100'];
  const WHAT = 'Two pictures that differ in one thing alone, without their names. Say which is better; what they were is told afterwards.';
  const HOW = 'A tie is half a win. The bar is the 95 % interval (Wilson): where bars overlap much, these votes do not tell values apart.';
  const USUAL_ROUNDS = '20';
  const CHOICES = [['a', '← A better'], ['tie', '↓ No difference'], ['b', 'B better →'], ['skip', '↑ Skip'], ['undo', '⌫ Undo']];
  const ARROWS = { ArrowLeft: 'a', ArrowRight: 'b', ArrowDown: 'tie', ArrowUp: 'skip', Backspace: 'undo' };

  let blind = null;
  const state = { axis: '', groups: [], seen: new Set(), pair: null, session: [], goal: 0, before: null };

  /** Open the blind comparison. */
  batchgen.openBlind = () => {
    if (blind?.dialog.open) return;
    state.before = document.activeElement;
    blind ??= build();
    setUp();
    blind.dialog.showModal();
    blind.setup.querySelector('select')?.focus();
  };

  function build() {
    const { element, icon } = batchgen;
    const parts = {
      stage: batchgen.createStage({ blind: true, changed: () => loaded() }),
      setup: element('section', { class: 'blind-setup', tabIndex: -1 }),
      vote: element('section', { class: 'blind-vote' }),
      tally: element('section', { class: 'blind-tally' }),
      progress: element('progress', { aria: { label: 'pairs judged' } }),
      said: element('p', { class: 'blind-said', role: 'status' }),
    };
    const close = element('button', {
      type: 'button', class: 'button icon', dataset: { blind: 'close' }, aria: { label: 'close' },
      on: { click: () => parts.dialog.close() },
    }, icon('close'));
    parts.finish = button('finish', 'Finish', finish);
    parts.vote.append(parts.stage.element, transportIfClips(), voteBar());
    const title = element('h2', { id: 'blind-title', text: 'Blind comparison' });
    parts.dialog = element('dialog', { id: 'blind-dialog', tabIndex: -1, aria: { labelledby: 'blind-title' }, dataset: { phase: 'setup' } },
      element('header', {}, title, parts.progress, parts.said, parts.finish, close),
      parts.setup, parts.vote, parts.tally);
    parts.dialog.addEventListener('keydown', pressed);
    parts.dialog.addEventListener('close', closed);
    document.body.append(parts.dialog);
    return parts;
  }

  const button = (name, text, act, kind = '') => batchgen.element('button', {
    type: 'button', class: `button ${kind}`, text, dataset: { blind: name }, on: { click: act },
  });

  const transportIfClips = () => (batchgen.data.clip ? batchgen.transport() : '');

  function voteBar() {
    const { element } = batchgen;
    const buttons = CHOICES.map(([choice, text]) => element('button', {
      type: 'button', class: `button ${choice === 'a' || choice === 'b' ? 'primary' : ''}`, text, dataset: { vote: choice },
      on: { click: () => vote(choice) },
    }));
    return element('div', { class: 'votes', role: 'group', aria: { label: 'your vote' } }, ...buttons);
  }

  function phase(name) {
    blind.dialog.dataset.phase = name;
    for (const each of ['setup', 'vote', 'tally']) blind[each].hidden = each !== name;
    blind.finish.hidden = name !== 'vote';
    blind.progress.hidden = name !== 'vote';
    blind.said.textContent = '';
  }

  // What to judge

  function setUp() {
    phase('setup');
    const axes = batchgen.varying();
    const axis = select('blind-axis', axes.map((each) => [each.name, each.name]));
    const values = [select('blind-first', []), select('blind-second', [])];
    const rounds = select('blind-rounds', ROUNDS.map((count) => [count, count]));
    const text = batchgen.element('p', { class: 'quiet', role: 'status' });
    const start = button('start', 'Start', () => begin(Number(rounds.value)), 'primary');
    const earlier = button('tally', 'Votes so far', () => showTally());
    const change = () => {
      Object.assign(state, { axis: axis.value, groups: chosenGroups(axis.value, values.map((each) => each.value)) });
      const pairs = batchgen.blindCount(state.groups);
      text.textContent = pairs > 0
        ? `${batchgen.counted(pairs, 'pair')} to draw from, of what passes the filters.`
        : 'No pairs: no two pictures differ in this alone.';
      start.disabled = pairs === 0;
      earlier.hidden = batchgen.votes.of(state.axis).length === 0;
    };
    axis.addEventListener('change', () => { offer(values, axis.value); change(); });
    values.forEach((each) => each.addEventListener('change', change));
    rounds.value = USUAL_ROUNDS;
    axis.value = usualAxis(axes);
    offer(values, axis.value);
    change();
    blind.setup.replaceChildren(
      batchgen.element('p', { text: WHAT }),
      labelled('Judge', axis), labelled('Only', values[0]), labelled('against', values[1]), labelled('Pairs', rounds),
      text, batchgen.element('div', { class: 'blind-actions' }, start, earlier));
  }

  /** What is compared in the rows is what most people want to judge. */
  function usualAxis(axes) {
    const wanted = [state.axis, batchgen.view.y, batchgen.view.x];
    return wanted.find((name) => axes.some((axis) => axis.name === name)) ?? axes[0]?.name ?? '';
  }

  function select(id, options) {
    const { element } = batchgen;
    return element('select', { id }, ...options.map(([value, text]) => element('option', { value, text })));
  }

  function labelled(text, field) {
    const { element } = batchgen;
    return element('div', { class: 'field' }, element('label', { htmlFor: field.id, text }), field);
  }

  function offer(selects, name) {
    const { element } = batchgen;
    const values = batchgen.axis(name)?.values ?? [];
    for (const each of selects) {
      each.replaceChildren(element('option', { value: '', text: 'any' }),
        ...values.map((value, place) => element('option', { value: String(place), text: batchgen.shortened(value, 80) })));
    }
  }

  function chosenGroups(name, [first, second]) {
    if (!batchgen.axis(name)) return [];
    const groups = batchgen.blindGroups(name, first && second ? [Number(first), Number(second)] : null, batchgen.ordered());
    const wanted = first || second;
    if (!wanted || (first && second)) return groups;
    return groups.flatMap((group) => pairsWith(group, name, Number(wanted)));
  }

  /** Of a group, the pairs that have one value in them. */
  function pairsWith(group, name, place) {
    const { at } = batchgen.axis(name);
    const one = group.find((index) => at[index] === place);
    return one === undefined ? [] : group.filter((index) => index !== one).map((index) => [one, index]);
  }

  // Votes

  function begin(goal) {
    Object.assign(state, { goal: Math.min(goal, batchgen.blindCount(state.groups)), seen: new Set(), session: [] });
    phase('vote');
    blind.stage.set({ mode: 'side' });
    blind.stage.view.fit();
    next();
    blind.stage.element.focus();
  }

  function next() {
    state.pair = state.session.length < state.goal ? batchgen.blindPair(state.groups, state.seen) : null;
    if (state.pair) showPair();
    else showTally();
  }

  function showPair() {
    const number = state.session.length + 1;
    Object.assign(blind.progress, { max: state.goal, value: number - 1 });
    blind.stage.show(...state.pair);
    blind.said.textContent = `Pair ${number} of ${state.goal}`;
    allow('undo', state.session.length > 0);
    loaded();
  }

  const shown = () => Object.values(blind.stage.sides).map((side) => side.shown);
  const areLoaded = () => !shown().some((what) => ['loading', 'none'].includes(what));

  /** Nobody is asked before both can be seen. */
  const canJudge = () => areLoaded() && !shown().includes('failed');

  function loaded() {
    if (!blind?.dialog.open || blind.dialog.dataset.phase !== 'vote') return;
    blind.stage.element.dataset.ready = areLoaded();
    for (const choice of ['a', 'b', 'tie']) allow(choice, canJudge());
    if (shown().includes('failed')) blind.said.textContent = 'A picture of this pair could not be loaded: skip it';
  }

  const voteButton = (choice) => blind.vote.querySelector(`[data-vote=${choice}]`);

  /** Buttons that cannot be pressed for a moment keep the focus, which `disabled` would take from them. */
  const allow = (choice, whether) => voteButton(choice).setAttribute('aria-disabled', String(!whether));

  function vote(choice) {
    if (choice === 'undo') {
      undo();
    } else if (choice === 'skip') {
      next();
    } else if (canJudge()) {
      const { id } = batchgen.data;
      const { at, values } = batchgen.axis(state.axis);
      const [a, b] = state.pair;
      const made = { a: id[a], b: id[b], choice, values: [values[at[a]], values[at[b]]] };
      batchgen.votes.keep(state.axis, [...batchgen.votes.of(state.axis), made]);
      state.session.push(state.pair);
      next();
    }
  }

  function undo() {
    const pair = state.session.pop();
    if (!pair) return;
    batchgen.votes.keep(state.axis, batchgen.votes.of(state.axis).slice(0, -1));
    state.pair = pair;
    showPair();
  }

  function pressed(event) {
    const choice = ARROWS[event.key];
    if (blind.dialog.dataset.phase !== 'vote' || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches('input[type=range], select')) return;
    if (choice) vote(choice);
    else if (event.key === ' ' && batchgen.data.clip && !event.target.matches('button, input')) batchgen.clock.toggle();
    else if (!steerZoom(event.key)) return;
    event.preventDefault();
  }

  function steerZoom(key) {
    const { view } = blind.stage;
    const [nearer, farther] = [() => view.nearer(), () => view.farther()];
    const act = { '+': nearer, '=': nearer, '-': farther, f: () => view.fit(), z: () => view.to(1) }[key];
    act?.();
    return Boolean(act);
  }

  const finish = () => showTally();

  // Tally

  function showTally() {
    const { element } = batchgen;
    blind.stage.close();
    phase('tally');
    const votes = batchgen.votes.of(state.axis);
    blind.tally.replaceChildren(
      element('h3', { tabIndex: -1, text: `${state.axis}: ${batchgen.counted(votes.length, 'vote')}` }),
      votes.length > 0 ? tallyTable(batchgen.tally(votes)) : element('p', { class: 'quiet', text: 'No votes yet.' }),
      element('p', { class: 'quiet', text: HOW }),
      element('div', { class: 'blind-actions' },
        button('export', 'Export votes', exportVotes, 'primary'),
        button('again', 'Judge more', setUp),
        button('clear', 'Clear these votes', clear)));
    for (const name of ['export', 'clear']) blind.tally.querySelector(`[data-blind=${name}]`).disabled = votes.length === 0;
    blind.tally.firstChild.focus();
  }

  function tallyTable(rows) {
    const { element } = batchgen;
    const names = [state.axis, 'wins', 'ties', 'losses', 'share', '95 % interval'];
    return element('table', { dataset: { tally: '' } },
      element('thead', {}, element('tr', {}, ...names.map((text) => element('th', { scope: 'col', text })))),
      element('tbody', {}, ...rows.map(tallyRow)));
  }

  function tallyRow({ value, wins, ties, losses, share, low, high }) {
    const { element } = batchgen;
    const percent = (part) => `${Math.round(part * 100)} %`;
    const along = (part) => `${(part * 100).toFixed(2)}%`;
    const bar = element('span', { class: 'interval' }, element('span', { class: 'range' }), element('span', { class: 'point' }));
    bar.firstChild.style.left = along(low);
    bar.firstChild.style.width = along(high - low);
    bar.lastChild.style.left = along(share);
    return element('tr', { dataset: { value } },
      element('th', { scope: 'row', text: batchgen.shortened(value, 200) }),
      ...Object.entries({ wins, ties, losses, share: percent(share) }).map(([name, text]) => element('td', { class: name, text })),
      element('td', { class: 'between' }, bar, element('span', { text: `${Math.round(low * 100)}–${percent(high)}` })));
  }

  function exportVotes() {
    const votes = batchgen.votes.of(state.axis);
    batchgen.saveFile(`${batchgen.data.name}-votes-${state.axis}.json`, batchgen.votesFile(state.axis, votes));
  }

  async function clear() {
    const count = batchgen.counted(batchgen.votes.of(state.axis).length, 'vote');
    if (!(await batchgen.confirm(`Clear ${count} on ${state.axis}?`, 'Clear'))) return;
    batchgen.votes.keep(state.axis, []);
    showTally();
  }

  function closed() {
    blind.stage.close();
    state.before?.focus?.();
  }
})();
