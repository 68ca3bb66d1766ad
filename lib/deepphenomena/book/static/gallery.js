// The filter of the gallery: by topic, and by the verdict on the main claim of a chapter.
(() => {
  const tiles = [...document.querySelectorAll(".dp-tile")];
  const values = (name) => [...new Set(tiles.map((tile) => tile.dataset[name]))];
  const topic = filterChoice("topic", "every topic", values("topic"));
  const verdict = filterChoice("verdict", "every verdict", values("verdict").sort());

  addFilter(document.querySelector(".dp-chapters"), "Filter the chapters", { Topic: topic, "Main claim": verdict }, () => {
    for (const tile of tiles) {
      tile.hidden = [topic, verdict].some(({ name, value }) => value !== "" && tile.dataset[name] !== value);
    }
    return `${tiles.filter((tile) => !tile.hidden).length} of ${tiles.length} chapters`;
  });
})();
