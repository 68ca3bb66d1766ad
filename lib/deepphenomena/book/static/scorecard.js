// The filter of the scorecard: by words, chapter and verdict. Without this script, the page shows the whole table.
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

  function labelled(text, control) {
    const field = document.createElement("div");
    control.id = `filter-${control.name}`;
    field.append(Object.assign(document.createElement("label"), { htmlFor: control.id, textContent: text }), control);
    return field;
  }

  function choice(name, everything, values) {
    const select = document.createElement("select");
    select.name = name;
    select.append(new Option(everything, ""), ...values.map((value) => new Option(value, value)));
    return select;
  }

  const words = Object.assign(document.createElement("input"), { type: "search", name: "words" });
  const chapter = choice("chapter", "every chapter", groups.map((group) => group.dataset.chapter));
  const verdict = choice("verdict", "every verdict", Object.keys(tests));
  const count = Object.assign(document.createElement("output"), { className: "dp-count" });
  const form = Object.assign(document.createElement("form"), { className: "dp-filter", role: "search" });
  form.setAttribute("aria-label", "Filter the claims");
  form.append(labelled("Words", words), labelled("Chapter", chapter), labelled("Verdict", verdict), count);

  // The filter is stored in the URL, so that a filtered scorecard can be linked.
  const given = new URLSearchParams(location.search);
  for (const control of [words, chapter, verdict]) {
    control.value = given.get(control.name) ?? "";
    if (control.selectedIndex === -1) control.value = "";
  }

  function filter() {
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
    count.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
    const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = chosen.length ? `?${new URLSearchParams(chosen)}` : "";
    history.replaceState(null, "", location.pathname + query + location.hash);
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  scorecard.prepend(form);
  filter();
})();
