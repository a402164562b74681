/*
 * A recipe as `batchgen run` would be told it: on a command line, and as a manifest. Both ask for the very same job.
 *
 * What cannot be said exactly is not said at all: a command line has no lists, and one that holds control characters
 * would do something else when it is pasted into a terminal.
 */
(() => {
  'use strict';

  const ORDER = [
    ...['model', 'vae', 'loras', 'lora_scale', 'init_image', 'mask_image', 'strength', 'negative_prompt', 'width', 'height', 'frames', 'fps'],
    ...['sampler', 'schedule', 'steps', 'guidance_scale', 'distilled_guidance', 'shift', 'hires', 'upscale'],
  ];
  /** But for a line's end, which stands well in quotes. */
  const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;
  const BARE = /^[A-Za-z_][A-Za-z0-9_-]*$/;
  const RESERVED = /^(true|false|null|inf|nan)$/i;
  /** batchgen reads `~` at the beginning of an item as a home, before it looks for quotes. */
  const HOME = /(?<=[=[,])~[\w/.-]*(?=$|[,\]])/;
  const SHELL_SAFE = /^[A-Za-z0-9_=.,:/+-]+$/;
  const ENDS_IN_SCALE = /:-?[0-9.]+$/;
  const PLAIN_NUMBER = /^-?[0-9.]+$/;
  /** What YAML would not take as it is, or might take for the end of a line. */
  const ESCAPED = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

  /**
   * What is asked for, field by field; null where that is not known.
   * @param {number} i
   * @returns {{prompt: string, seed: string, fields: [string, any][]}|null}
   */
  function asked(i) {
    const { prompt, seed, ...rest } = batchgen.cell(i).recipe;
    if (typeof prompt !== 'string' || seed === undefined || seed === null || !rest.model) return null;
    const fields = Object.entries(rest).filter(([, value]) => value !== null);
    const rank = (name) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
    fields.sort(([one], [other]) => rank(one) - rank(other));
    return { prompt, seed: String(seed), fields };
  }

  /**
   * The command line that makes a cell's picture.
   * @param {number} i @returns {string|null}  null: it cannot be said on a command line.
   */
  batchgen.commandLine = (i) => {
    const said = asked(i);
    if (!said) return null;
    const words = said.fields.map(([name, value]) => [name, overrideValue(name, value)]);
    if (CONTROL.test(said.prompt) || words.some(([, word]) => word === null)) return null;
    const overrides = words.map(([name, word]) => shellQuoted(`${name}=${word}`));
    return ['batchgen run', '--prompt', shellWord(said.prompt), '--seeds', said.seed, ...overrides].join(' ');
  };

  /** A value in Hydra's grammar of overrides, or null. */
  function overrideValue(name, value) {
    if (name === 'loras') return adapterValue(value);
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return typeof value === 'string' ? quotedValue(value) : null;
  }

  /** None or one LoRA has a short form, `name:0.8`. */
  function adapterValue(value) {
    if (!Array.isArray(value) || value.length > 1) return null;
    if (value.length === 0) return 'none';
    const { name, scale = 1, clip_scale: clipScale = scale, ...rest } = value[0];
    const numbers = [scale, clipScale].map(String);
    const plain = Object.keys(rest).length === 0 && typeof name === 'string' && !ENDS_IN_SCALE.test(name) && name !== 'none';
    if (!plain || /\n/.test(name) || !numbers.every((number) => PLAIN_NUMBER.test(number))) return null;
    return quotedValue([name, ...numbers.slice(0, clipScale === scale ? 1 : 2)].join(':'));
  }

  function quotedValue(text) {
    if (BARE.test(text) && !RESERVED.test(text)) return text;
    // Backslashes count where a quote follows them, also the one that closes.
    const escaped = text.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, '$&$&');
    const word = `"${escaped}"`;
    return CONTROL.test(text) || HOME.test(`=${word}`) ? null : word;
  }

  const shellQuoted = (word) => (SHELL_SAFE.test(word) ? word : shellWord(word));
  const shellWord = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  /**
   * The manifest that makes a cell's picture, in a run of its own.
   * @param {number} i @returns {string|null}  null: not known, because it was never made.
   */
  batchgen.yaml = (i) => {
    const said = asked(i);
    if (!said) return null;
    const fields = said.fields.map(([name, value]) => `  ${name}: ${yamlValue(value)}\n`);
    const prompt = `prompts:\n  - prompt: ${yamlText(said.prompt)}\n`;
    return `name: ${yamlText(runName(i))}\nset:\n${fields.join('')}${prompt}seeds: [${said.seed}]\n`;
  };

  /** Not the run's own name: running the manifest must not take the place of all that the run was asked for. */
  function runName(i) {
    const { name, id } = batchgen.data;
    const kept = name.replace(/[^A-Za-z0-9_-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 48);
    return `${kept || 'picture'}-${id[i].slice(0, 8)}`;
  }

  function yamlValue(value) {
    if (typeof value === 'string') return yamlText(value);
    if (typeof value === 'number') return yamlNumber(value);
    if (Array.isArray(value)) return `[${value.map(yamlValue).join(', ')}]`;
    if (value === null || typeof value !== 'object') return String(value);
    const parts = Object.entries(value).filter(([, each]) => each !== null);
    return `{${parts.map(([key, each]) => `${yamlText(key)}: ${key === 'seed' ? each : yamlValue(each)}`).join(', ')}}`;
  }

  /** JavaScript writes 1e-7; a number of a manifest has a dot before its exponent. */
  const yamlNumber = (value) => String(value).replace(/^(-?\d+)e/, '$1.0e');

  const yamlText = (text) => JSON.stringify(text).replace(ESCAPED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
})();
