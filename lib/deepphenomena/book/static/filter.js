// A filter above a table or a gallery. Without this script, the page shows everything and no control.
// The state of the filter is stored in the URL, so that a filtered page can be linked.

// An option of a select element for each value, after one that leaves everything.
function filterChoice(name, everything, values) {
  const select = document.createElement("select");
  select.name = name;
  select.append(new Option(everything, ""), ...values.map((value) => new Option(value, value)));
  return select;
}

// Puts the filter before everything in `place`. `controls` has a form element for each label. `apply` hides what the
// values of the elements exclude, and returns the words that say how much is left.
function addFilter(place, label, controls, apply) {
  const form = Object.assign(document.createElement("form"), { className: "dp-filter", role: "search" });
  form.setAttribute("aria-label", label);
  const given = new URLSearchParams(location.search);
  for (const [text, control] of Object.entries(controls)) {
    const field = document.createElement("div");
    control.id = `filter-${control.name}`;
    field.append(Object.assign(document.createElement("label"), { htmlFor: control.id, textContent: text }), control);
    form.append(field);
    control.value = given.get(control.name) ?? "";
    if (control.selectedIndex === -1) control.value = "";
  }
  const count = Object.assign(document.createElement("output"), { className: "dp-count" });
  form.append(count);

  function filter() {
    count.value = apply();
    const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = chosen.length ? `?${new URLSearchParams(chosen)}` : "";
    history.replaceState(null, "", location.pathname + query + location.hash);
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  place.prepend(form);
  filter();
}
