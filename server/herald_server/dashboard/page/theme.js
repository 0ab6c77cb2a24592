// Runs before the first paint, so that a chosen theme does not flash in late.
try {
  const theme = localStorage.getItem("herald.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden here: the theme of the system is used.
}
