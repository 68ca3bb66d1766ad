// The recursion of the two-layer linear model, from f₀ = 1 and λ₀ = 2, the mean squares of f and λ at normal weights.
// In x = ηλ and p = η²f²/n nothing else is left of it: f ← (1 − x + p) f and x ← x + p (x − 4).
live.start(({ panel, slider, choice, say }) => {
  const STEPS = 40, WIDTHS = [64, 1024, 16384], FAR = 1e6;
  const { short, fixed } = live;
  const trajectory = (rate, width) => {
    let [x, p, ratio] = [rate, rate ** 2 / (4 * width), 1];
    const states = [];
    for (let step = 0; step <= STEPS && ratio < 1e30; step++) {
      states.push({ step, ratio, x });
      const factor = 1 - x + p;
      [x, p, ratio] = [x + p * (x - 4), factor ** 2 * p, factor ** 2 * ratio];
    }
    return states;
  };

  const rate = slider({
    label: "Learning rate ηλ₀", min: 0.1, max: 5, step: 0.05, value: 3, format: (v) => fixed(v, 2),
    bands: [["lazy", 1.9], ["catapult", 2], ["divergent", 1]],
  });
  const width = choice({ label: "Width n", options: WIDTHS.map((n) => short(n)), value: 1 });
  const steps = { range: [0, STEPS], ticks: [0, 10, 20, 30, 40], label: "step" };
  const power = (v) => (v === 1 ? "1" : `10${[...Math.log10(v).toFixed(0)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`);
  const loss = panel({
    label: "Loss over training steps, on a logarithmic axis", x: steps,
    y: { range: [1e-6, FAR], log: true, ticks: [1e-6, 1e-3, 1, 1e3, 1e6], format: power, label: "loss over its start" },
  });
  const curvature = panel({
    label: "Curvature times learning rate over training steps", x: steps,
    y: { range: [0, 6], ticks: [0, 2, 4, 6], label: "curvature, ηλ" },
  });

  const phase = (r) => {
    if (r === 2 || r === 4) return "Between two phases";
    return r < 2 ? "Lazy phase" : r < 4 ? "Catapult phase" : "Divergent phase";
  };
  const outcome = (states, r) => {
    const top = states.reduce((a, b) => (b.ratio > a.ratio ? b : a));
    const last = states[states.length - 1];
    const kept = `The curvature ends at ${fixed(last.x / r, 2)} of λ₀, so ηλ is ${fixed(last.x, 2)}`;
    const gone = states.find((state) => state.ratio > FAR);
    if (gone && r > 4) return `The loss is over a million times its start at step ${gone.step}; the curvature grows with it.`;
    if (last.ratio > 1) return `After ${STEPS} steps the loss is ${short(last.ratio)} times its start and has not settled.`;
    if (top.step === 0) return `The loss falls from the first step. ${kept}.`;
    const below = last.x < 2 ? `, below the limit of 2` : "";
    return `The loss rises to ${short(top.ratio)} times its start at step ${top.step}, then falls. ${kept}${below}.`;
  };

  return () => {
    const states = trajectory(rate.value, WIDTHS[width.value]);
    loss.clear();
    curvature.clear();
    loss.line([[0, 1], [STEPS, 1]], "dp-live-mark");
    loss.text(STEPS, 1, "start", { anchor: "end", dy: -5 });
    for (const [at, name] of [[2, "2: stable below"], [4, "4: curvature grows above"]]) {
      curvature.line([[0, at], [STEPS, at]], "dp-live-mark");
      curvature.text(STEPS, at, name, { anchor: "end", dy: -5 });
    }
    loss.line(states.map(({ step, ratio }) => [step, Math.max(ratio, 1e-9)]), "dp-live-blue");
    curvature.line(states.map(({ step, x }) => [step, Math.max(-1, Math.min(x, 99))]), "dp-live-red");
    curvature.dot(0, rate.value, "dp-live-red");
    loss.dot(0, 1, "dp-live-blue");
    say(`${phase(rate.value)}, ηλ₀ = ${fixed(rate.value, 2)}. ${outcome(states, rate.value)}`);
  };
});
