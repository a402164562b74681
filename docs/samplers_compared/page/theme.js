/*
 * Light or dark. Loaded before anything is painted, so that no page flashes white at night.
 */
(() => {
  'use strict';

  const KEY = 'batchgen.theme';
  const root = document.documentElement;

  function kept() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // nothing is kept for this page: the system's theme it is
    }
  }

  const theme = kept();
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;

  /** Change to the other one, and keep it. */
  globalThis.batchgenOtherTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    batchgen.kept.set(KEY, root.dataset.theme);
  };
})();
