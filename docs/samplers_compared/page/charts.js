/*
 * Charts and what they say in words.
 */
(() => {
  'use strict';

  const { element } = batchgen;

  /** Show the charts of the run, and its findings. */
  batchgen.showCharts = () => {
    const { charts, findings } = batchgen.data;
    document.getElementById('findings').replaceChildren(...findings.map((text) => element('li', { dir: 'auto', text })));
    document.getElementById('findings-box').hidden = findings.length === 0;
    document.getElementById('chart-cards').replaceChildren(...charts.map(card));
    document.getElementById('no-charts').hidden = charts.length > 0 || findings.length > 0;
  };

  function card({ title, file, text }) {
    const picture = element('img', { src: file, alt: `${title}. ${text}`, loading: 'lazy' });
    // An address that holds its data cannot be gone to; a file can, and is larger there.
    const shown = file.startsWith('data:') ? picture : element('a', { href: file, target: '_blank', rel: 'noopener', aria: { label: `${title}, on its own` } }, picture);
    return element('figure', { class: 'chart' }, element('h2', { dir: 'auto', text: title }), shown, element('figcaption', { dir: 'auto', text }));
  }
})();
