// One switch for the code of a chapter. Folded code leaves the text, the figures and the cells with the paper's idea.
// Without this script all code is shown.
(() => {
  const cells = document.querySelectorAll("article .cell_input");
  const title = document.querySelector("article h1");
  if (!cells.length || !title) return;

  const KEY = "deepphenomena-code";
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (state) => { try { localStorage.setItem(KEY, state); } catch { /* private windows keep nothing */ } };

  const button = document.createElement("button");
  button.type = "button";
  button.className = "dp-code-switch";
  const set = (shown) => {
    document.documentElement.classList.toggle("dp-code-folded", !shown);
    button.textContent = shown ? "Hide code" : "Show code";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    set(shown);
    keep(shown ? "shown" : "folded");
  });
  set(kept() === "shown");
  (document.querySelector("dl.dp-finding") || title).after(button);

  // A link to code, such as "how tested", shows it.
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest(".cell_input")) {
      set(true);
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  follow();
})();
