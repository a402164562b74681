/*
 * The blind comparison without its dialog: which pairs may be judged, by what chance they come, and what votes amount to.
 *
 * A pair differs in the axis that is judged and in nothing else. Chance is the browser's generator for secrets, so that
 * neither order nor side can be foretold. Nothing here touches the document.
 */
(() => {
  'use strict';

  /** z of a 95 % interval. */
  const Z = 1.959964;
  const TRIES = 200;

  /** A whole number from 0 to below `count`, all equally likely. */
  function chance(count) {
    const most = Math.floor(2 ** 32 / count) * count;
    const drawn = new Uint32Array(1);
    do crypto.getRandomValues(drawn);
    while (drawn[0] >= most);
    return drawn[0] % count;
  }

  /**
   * Cells that differ in one axis alone, by what they have in common.
   *
   * @param {string} name Of the axis.
   * @param {?[number, number]} only Places of two of its values, or null: any.
   * @param {number[]} cells To choose from.
   * @returns {number[][]} Groups of at least two cells; any two of a group are a pair.
   */
  batchgen.blindGroups = (name, only, cells) => {
    const axis = batchgen.axis(name);
    const others = batchgen.axes().filter((each) => each !== axis);
    const groups = new Map();
    for (const index of cells) {
      const place = axis.at[index];
      if (place < 0 || (only && !only.includes(place)) || !isSeen(index)) continue;
      const key = others.map((each) => each.at[index]).join();
      if (!groups.has(key)) groups.set(key, new Map());
      groups.get(key).set(place, index);
    }
    return [...groups.values()].map((group) => [...group.values()]).filter((group) => group.length > 1);
  };

  const isSeen = (index) => {
    const { state, picture, thumb, states } = batchgen.data;
    return states[state[index]] === 'made' && Boolean(picture[index] || thumb[index]);
  };

  const pairsOf = ({ length }) => (length * (length - 1)) / 2;

  /** @param {number[][]} groups @returns {number} How many pairs there are, those with identical pixels among them. */
  batchgen.blindCount = (groups) => groups.reduce((sum, group) => sum + pairsOf(group), 0);

  const keyOf = (i, j) => [batchgen.data.id[i], batchgen.data.id[j]].sort().join();

  /**
   * Draw a pair that was not seen yet, with its sides by chance. Pairs with identical pixels have nothing to judge.
   *
   * @param {number[][]} groups
   * @param {Set<string>} seen Is added to.
   * @returns {?[number, number]} A and B, or null: there is none left that chance would find.
   */
  batchgen.blindPair = (groups, seen) => {
    const count = batchgen.blindCount(groups);
    for (let tries = 0; tries < TRIES && count > 0; tries += 1) {
      const pair = pairNumber(groups, chance(count));
      if (take(pair, seen)) return pair;
    }
    return firstLeft(groups, seen);
  };

  function take([i, j], seen) {
    const key = keyOf(i, j);
    if (seen.has(key) || batchgen.sameIn(i, j)) return false;
    seen.add(key);
    return true;
  }

  function pairNumber(groups, number) {
    let left = number;
    const group = groups.find((each) => {
      if (left < pairsOf(each)) return true;
      left -= pairsOf(each);
      return false;
    });
    const first = chance(group.length);
    const second = (first + 1 + chance(group.length - 1)) % group.length;
    return [group[first], group[second]];
  }

  /** When few are left, chance alone would look for them too long. */
  function firstLeft(groups, seen) {
    for (const group of groups) {
      for (const [at, i] of group.entries()) {
        for (const j of group.slice(at + 1)) {
          const pair = chance(2) ? [i, j] : [j, i];
          if (take(pair, seen)) return pair;
        }
      }
    }
    return null;
  }

  /**
   * Wilson's interval of a share (JASA 22, 1927): where the true share lies, with 95 % confidence.
   * @param {number} share From 0 to 1. @param {number} count Of votes, at least 1.
   * @returns {[number, number]}
   */
  batchgen.wilson = (share, count) => {
    const middle = (share + (Z * Z) / (2 * count)) / (1 + (Z * Z) / count);
    const half = (Z / (1 + (Z * Z) / count)) * Math.sqrt((share * (1 - share)) / count + (Z * Z) / (4 * count * count));
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
  };

  /**
   * What votes amount to, best first. A tie is half a win.
   *
   * @param {{values: [string, string], choice: 'a'|'b'|'tie'}[]} votes
   * @returns {{value: string, wins: number, ties: number, losses: number, share: number, low: number, high: number}[]}
   */
  batchgen.tally = (votes) => {
    const counts = new Map();
    const count = (value, what) => {
      if (!counts.has(value)) counts.set(value, { value, wins: 0, ties: 0, losses: 0 });
      counts.get(value)[what] += 1;
    };
    for (const { values: [one, other], choice } of votes) {
      count(one, { a: 'wins', b: 'losses', tie: 'ties' }[choice]);
      count(other, { a: 'losses', b: 'wins', tie: 'ties' }[choice]);
    }
    return [...counts.values()].map(withShare).sort((one, other) => other.share - one.share || other.low - one.low);
  };

  function withShare(row) {
    const count = row.wins + row.ties + row.losses;
    const share = (row.wins + row.ties / 2) / count;
    const [low, high] = batchgen.wilson(share, count);
    return { ...row, share, low, high };
  }

  const place = () => `batchgen.votes.${batchgen.data.name}`;

  const isVote = (vote) => ['a', 'b', 'tie'].includes(vote?.choice)
    && [vote.a, vote.b, vote.values?.[0], vote.values?.[1]].every((each) => typeof each === 'string');

  /** Votes that the browser would not keep: they last as long as the page. */
  let unkept = null;

  /** The votes that this browser keeps of the run, by axis. */
  batchgen.votes = {
    /** @param {string} axis @returns {{a: string, b: string, choice: string, values: [string, string]}[]} */
    of: (axis) => (kept()[axis] ?? []).filter(isVote),
    /** @param {string} axis @param {object[]} votes */
    keep(axis, votes) {
      const all = { ...kept(), [axis]: votes };
      unkept = batchgen.kept.set(place(), JSON.stringify(all)) ? null : all;
    },
  };

  function kept() {
    if (unkept) return unkept;
    try {
      const read = JSON.parse(batchgen.kept.get(place()) ?? '{}');
      return Object.fromEntries(Object.entries(read).filter(([, votes]) => Array.isArray(votes)));
    } catch {
      return {};
    }
  }

  /**
   * The file that is exported.
   * @param {string} axis @param {object[]} votes @returns {string}
   */
  batchgen.votesFile = (axis, votes) => {
    const rounded = (share) => Number(share.toFixed(4));
    const tally = batchgen.tally(votes).map(({ value, share, low, high, ...counts }) => [
      value, { ...counts, share: rounded(share), low: rounded(low), high: rounded(high) },
    ]);
    const document = { batchgen: 'votes', format: 1, run: batchgen.data.name, axis, votes, tally: Object.fromEntries(tally) };
    return `${JSON.stringify(document, null, 2)}\n`;
  };
})();
