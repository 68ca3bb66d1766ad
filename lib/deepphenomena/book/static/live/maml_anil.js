// The recorded accuracy of MAML with layers frozen in the inner loop, beside how alike each layer is before and after.
live.start(({ data, panel, slider, choice, say }) => {
  const { fixed, short } = live;
  const stages = Object.keys(data.freezing);
  const layers = Object.keys(data.similarity[stages[0]].CCA);
  const held = ["nothing", "1-3", "1-4", "head"];
  const names = ["nothing", "conv 1–3", "conv 1–4", "the head"];
  const frozen = (layer, at) => (at === 3 ? layer === layers.length - 1 : layer < [0, 3, 4][at]);
  const chance = 100 / data.parameters.ways;
  const span = (list) => list.map((_, k) => k);

  const stage = choice({ label: "Meta-training", options: stages, value: stages.length - 1 });
  const at = slider({
    label: "Frozen layers", min: 0, max: 3, step: 1, value: 2, format: (k) => names[k],
  });
  const accuracy = panel({
    label: "Accuracy on new tasks by the layers frozen in the inner loop",
    x: { range: [-0.4, 3.4], ticks: span(held), label: "frozen in the inner loop", format: (k) => names[k] },
    y: { range: [0, 100], ticks: [0, 25, 50, 75, 100], label: "accuracy on new tasks (%)" },
  });
  const alike = panel({
    label: "Similarity of each layer before and after the inner loop with nothing frozen",
    x: { range: [-0.4, 4.4], ticks: span(layers), label: "layer, nothing frozen", format: (k) => layers[k] },
    y: { range: [0, 1.05], ticks: [0, 0.25, 0.5, 0.75, 1], label: "similarity before and after (CCA)" },
  });

  return () => {
    const name = stages[stage.value];
    const [rates, similar] = [data.freezing[name], layers.map((layer) => data.similarity[name].CCA[layer])];
    accuracy.clear();
    alike.clear();
    accuracy.line([[-1, chance], [4, chance]], "dp-live-mark");
    accuracy.text(3.4, chance, "guessing", { anchor: "end", dy: 16 });
    for (const other of stages) {
      const kind = other === name ? "dp-live-blue" : "dp-live-faint";
      accuracy.line(held.slice(0, 3).map((key, k) => [k, data.freezing[other][key][0]]), kind);
      if (other !== name) accuracy.dot(3, data.freezing[other].head[0], "dp-live-faint", 3);
      accuracy.text(1, data.freezing[other]["1-3"][0], other, {
        kind: other === name ? "dp-live-blue" : "", anchor: "middle", dy: other === stages[stages.length - 1] ? -12 : 20,
      });
    }
    held.forEach((key, k) => {
      const [middle, low, high] = rates[key];
      accuracy.line([[k, low], [k, high]], "dp-live-blue");
      accuracy.dot(k, middle, `dp-live-blue ${k === at.value ? "" : "dp-live-hollow"}`, k === at.value ? 6.5 : 4.5);
    });
    similar.forEach(([middle, low, high], k) => {
      alike.line([[k, low], [k, high]], "dp-live-green");
      alike.dot(k, middle, `dp-live-green ${frozen(k, at.value) ? "" : "dp-live-hollow"}`, 6.5);
    });
    alike.text(-0.3, 0.1, at.value ? "filled: frozen" : "all layers move", { kind: "dp-live-green" });
    const here = rates[held[at.value]];
    const loss = rates.nothing[0] - here[0];
    const least = Math.min(...similar.filter((_, k) => frozen(k, at.value)).map(([middle]) => middle));
    const keeps = at.value === 3 ? `keeps a similarity of ${fixed(least, 2)}` : `keep a similarity of ${fixed(least, 2)} or more`;
    const compared = at.value
      ? `${fixed(Math.abs(loss), 1)} points ${loss > 0 ? "less" : "more"} than with nothing frozen. ` +
        `Left to move, ${names[at.value]} ${keeps}.`
      : "Every layer moves, as in MAML.";
    say(`Frozen: ${names[at.value]}; meta-training: ${name}. Accuracy on new tasks ${fixed(here[0], 1)}% ` +
      `(${fixed(here[1], 1)} to ${fixed(here[2], 1)}; guessing ${short(chance)}%). ${compared}`);
  };
});
