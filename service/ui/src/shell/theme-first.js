// Runs before the first paint; src/shell/theme.ts keeps what is read here.
try {
  const chosen = localStorage.getItem('report-builder:theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {}
