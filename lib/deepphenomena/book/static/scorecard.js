// The filter of the scorecard: by words, chapter and verdict.
(() => {
  const scorecard = document.getElementById("every-claim");
  const groups = [...scorecard.querySelectorAll("tbody[data-chapter]")];
  const rows = groups.flatMap((group) => [...group.querySelectorAll("tr[data-verdict]")]);

  const verdicts = [
    "reproduced (size)", "reproduced (direction)", "not reproduced", "mixed", "inconclusive", "not measured",
  ];
  const tests = {
    ...Object.fromEntries(verdicts.map((verdict) => [verdict, (row) => row.dataset.verdict === verdict])),
    "quick disagrees": (row) => row.dataset.quick === "disagrees",
  };

  const words = Object.assign(document.createElement("input"), { type: "search", name: "words" });
  const chapter = filterChoice("chapter", "every chapter", groups.map((group) => group.dataset.chapter));
  const verdict = filterChoice("verdict", "every verdict", Object.keys(tests));

  addFilter(scorecard, "Filter the claims", { Words: words, Chapter: chapter, Verdict: verdict }, () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = tests[verdict.value] ?? (() => true);
    for (const group of groups) {
      const named = chapter.value === "" || chapter.value === group.dataset.chapter;
      const head = group.rows[0].textContent.toLowerCase();
      const shown = [...group.querySelectorAll("tr[data-verdict]")].filter((row) => {
        const text = head + row.textContent.toLowerCase();
        row.hidden = !(named && holds(row) && wanted.every((word) => text.includes(word)));
        return !row.hidden;
      });
      group.hidden = shown.length === 0;
    }
    return `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  });
})();
