// The recorded AUC along fine-tuning, and the lag, by how many of the lowest blocks start from pretrained weights.
live.start(({ data, panel, slider, say }) => {
  const { fixed } = live;
  const [curves] = Object.values(data.curves), [lags] = Object.values(data.lags);
  const blocks = Object.keys(curves).filter((start) => /^\d/.test(start)).sort();
  const starts = ["random", ...blocks, "transfer"];
  const names = ["none", ...blocks.map((name) => name.split(" ")[0]), "all"];
  const steps = Object.keys(curves.random).map(Number);
  const last = steps[steps.length - 1];

  const twentieths = (a, b) => Array.from({ length: Math.round((b - a) * 20) + 1 }, (_, k) => a + k / 20);
  // The axis begins where the first steps have led: from there on the starts differ little.
  const later = starts.flatMap((start) => steps.slice(1).flatMap((step) => curves[start][step]));
  const low = Math.floor(Math.min(...later) * 20) / 20, high = Math.ceil(Math.max(...later) * 20) / 20;

  const taken = slider({
    label: "Pretrained blocks, from the lowest up", min: 0, max: starts.length - 1, step: 1, value: 2,
    format: (k) => names[k],
  });
  const auc = panel({
    label: "AUC along fine-tuning from each start", right: 20,
    x: { range: [0, last], ticks: [0, 0.25, 0.5, 0.75, 1].map((share) => share * last), label: "step of fine-tuning" },
    y: { range: [low, high], ticks: twentieths(low, high), label: "AUC, after the first steps" },
  });
  const top = Math.ceil(Math.max(...starts.map((start) => lags[start][2])) * 20) / 20;
  const lag = panel({
    label: "Lag by the number of pretrained blocks",
    x: {
      range: [-0.4, starts.length - 0.6], ticks: names.map((_, k) => k), label: "pretrained blocks",
      format: (k) => names[k],
    },
    y: { range: [0, top], ticks: twentieths(0, top), label: "lag: share of the way missing" },
  });

  return () => {
    const start = starts[taken.value];
    const line = (name) => steps.map((step) => [step, curves[name][step][0]]);
    auc.clear();
    lag.clear();
    const edge = (which) => steps.map((step) => [step, curves[start][step][which]]);
    auc.area([...edge(1), ...edge(2).reverse()], taken.value ? "dp-live-blue" : "dp-live-orange");
    auc.line(line("random"), "dp-live-orange");
    if (taken.value) auc.line(line(start), "dp-live-blue");
    const above = curves[start][last][0] > curves.random[last][0];
    const name = (of, text, kind, dy) => auc.text(last, curves[of][last][0], text, { kind, anchor: "end", dy });
    name("random", "random start", "dp-live-orange", above ? 36 : -24);
    if (taken.value) name(start, `${names[taken.value]} pretrained`, "dp-live-blue", above ? -24 : 36);
    starts.forEach((name, k) => {
      const [middle, low, high] = lags[name];
      const kind = k ? "dp-live-blue" : "dp-live-orange";
      lag.line([[k, low], [k, high]], kind);
      lag.dot(k, middle, `${kind} ${k === taken.value ? "" : "dp-live-hollow"}`, k === taken.value ? 6.5 : 4.5);
    });
    const [early, late] = [steps[1], last].map((s) => [curves[start][s][0], curves.random[s][0]].map((v) => fixed(v, 3)));
    const beside = (pair) => (taken.value ? `${pair[0]} (random start ${pair[1]})` : pair[0]);
    const [middle, low, high] = lags[start].map((v) => fixed(v, 3));
    say(`Pretrained blocks: ${names[taken.value]}. AUC ${beside(early)} at step ${steps[1]} and ${beside(late)} at step ${last}. ` +
      `Lag ${middle}, 95% interval ${low} to ${high}${taken.value ? `; random start ${fixed(lags.random[0], 3)}` : ""}.`);
  };
});
