// The recorded soft-errors of both worlds, and of the Real World on its own training set, up to a step.
live.start(({ data, panel, slider, choice, say }) => {
  const { fixed, short } = live;
  const { samples, batch_size: batch, fully_connected: plain } = data.parameters;
  const named = (network) => (network === plain ? "fully connected" : "convolutional");
  const cases = Object.keys(data.curves).map((network) => [named(network), samples, data.curves[network]]);
  cases.push([named(plain), samples / 10, data.samples["n / 10"]]);
  const steps = Object.keys(cases[0][2].Ideal).map(Number);
  const last = steps[steps.length - 1];
  const LINES = [
    ["Ideal", "Ideal World, test", "dp-live-blue"],
    ["Real", "Real World, test", "dp-live-orange"],
    ["Real, training set", "Real World, training", "dp-live-orange", "dp-live-dashed"],
  ];

  const network = choice({
    label: "Network and training images",
    options: cases.map(([name, images]) => `${name}, ${short(images, 6)}`),
    value: Object.keys(data.curves).indexOf(plain),
  });
  const step = slider({
    label: "Training step", min: 0, max: last, step: steps[1], value: steps[3], format: (v) => short(v, 6),
  });
  const errors = panel({
    label: "Soft-error of both worlds over training steps", height: 320, right: 20,
    x: {
      range: [0, last], ticks: [0, 0.25, 0.5, 0.75, 1].map((share) => share * last), label: "training step",
      format: (v) => short(v, 6),
    },
    y: { range: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1], label: "soft-error" },
  });

  return () => {
    const [, images, worlds] = cases[network.value];
    const now = step.value;
    errors.clear();
    errors.line([[now, 0], [now, 1]], "dp-live-mark");
    for (const [world, , kind, dashes = ""] of LINES) {
      const all = steps.map((s) => [s, worlds[world][s][0]]);
      const reached = steps.filter((s) => s <= now);
      errors.line(all, `${kind} ${dashes} dp-live-faint`);
      const edge = (which) => reached.map((s) => [s, worlds[world][s][which]]);
      errors.area([...edge(1), ...edge(2).reverse()], kind);
      errors.line(all.filter(([s]) => s <= now), `${kind} ${dashes}`);
      errors.dot(now, worlds[world][now][0], kind);
    }
    const [ideal, real, train] = LINES.map(([world]) => worlds[world][now][0]);
    if (now) {
      const beside = now > last / 2 ? { anchor: "end", dx: -9 } : { dx: 9 };
      errors.line([[now, train], [now, real]], "dp-live-orange");
      errors.text(now, (real + train) / 2, fixed(real - train, 3), { kind: "dp-live-orange", ...beside });
    }
    const end = LINES.map(([world]) => worlds[world][last][0]);
    const higher = end[0] > end[1] ? [-9, 19] : [19, -9];
    LINES.forEach(([, name, kind], k) =>
      errors.text(last, end[k], name, { kind, anchor: "end", dy: [...higher, -9][k] }));
    const seen = (now * batch) / images;
    say(`Step ${short(now, 6)}: the Real World has seen each of its ${short(images, 6)} images ${short(seen)} times, the ` +
      `Ideal World ${short(now * batch, 7)} fresh ones. Test errors: Real ${fixed(real, 3)}, Ideal ${fixed(ideal, 3)}, a ` +
      `difference of ${fixed(real - ideal, 3)}. Test minus training error in the Real World: ${fixed(real - train, 3)}.`);
  };
});
