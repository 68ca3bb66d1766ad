// Mean-field theory of tanh networks. Expectations are sums on an even grid, which is exact to rounding for them. The
// correlation map is a power series in c: E[φ(u)φ(v)] = Σ aₖ² cᵏ with the Hermite coefficients aₖ of φ(√q z).
live.start(({ panel, slider, say, redraw }) => {
  const LAYERS = 100, TERMS = 60, H = 0.1;
  const { short, fixed, shape } = live;
  const nodes = Array.from({ length: 201 }, (_, k) => (k - 100) * H);
  const weights = nodes.map((z) => (H / Math.sqrt(2 * Math.PI)) * Math.exp((-z * z) / 2));
  const mean = (f) => nodes.reduce((sum, z, k) => sum + weights[k] * f(z), 0);
  const square = (q) => mean((z) => Math.tanh(Math.sqrt(q) * z) ** 2);
  const slope = (q) => mean((z) => (1 - Math.tanh(Math.sqrt(q) * z) ** 2) ** 2);
  const powers = (q) => {
    const sums = new Array(TERMS).fill(0);
    nodes.forEach((z, k) => {
      const value = weights[k] * Math.tanh(Math.sqrt(q) * z);
      for (let n = 0, before = 0, now = 1; n < TERMS; n++) {
        sums[n] += value * now;
        [before, now] = [now, (z * now - Math.sqrt(n) * before) / Math.sqrt(n + 1)];
      }
    });
    return sums.map((a) => a * a);
  };
  const at = (a, c) => a.reduceRight((sum, one) => sum * c + one, 0);
  const derivative = (a, c) => a.reduceRight((sum, one, n) => (n ? sum * c + n * one : sum), 0);
  // The place in [low, high] up to which `above` holds.
  const bisect = (above, low, high, halvings = 45) => {
    for (let k = 0; k < halvings; k++) {
      const middle = (low + high) / 2;
      [low, high] = above(middle) ? [middle, high] : [low, middle];
    }
    return low;
  };

  function solve(w, b) {
    const q = Math.max(bisect((v) => w * square(v) + b > v, 1e-9, w + b), 1e-9);
    const [chi, a] = [w * slope(q), powers(q)];
    const map = (c) => (w * at(a, c) + b) / q;
    const c = chi > 1 ? bisect((v) => map(v) > v, 0, 1 - 1e-7) : 1;
    const stable = chi > 1 ? (w / q) * derivative(a, c) : chi;
    return { q, chi, c, map, depth: -1 / Math.log(stable) };
  }

  // The points of equal depth scale: by q where c* is 1, else the weight variance at each bias variance.
  const grid = Array.from({ length: 60 }, (_, k) => 2.5 * (k / 59) ** 2);
  const ordered = (chi) => grid.map((q) => [chi / slope(q), q - (chi / slope(q)) * square(q)]);
  const nearer = (w, b, depth) => { const at = solve(w, b); return at.chi < 1 || at.depth > depth; };
  const chaotic = (depth) => [0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]
    .map((b) => [bisect((w) => nearer(w, b, depth), 1, 5, 12), b]);
  const critical = ordered(1);
  const levels = [...[2, 5, 20].map((depth) => [depth, ordered(Math.exp(-1 / depth))]),
    ...[20, 10].map((depth) => [depth, chaotic(depth)])];

  const PAIRS = [["similar inputs", 0.98, "dp-live-green"], ["unlike inputs", 0.2, "dp-live-purple"]];
  const W = [0, 4], B = [0, 0.4];
  const weight = slider({
    label: "Weight variance", min: 0.1, max: 4, step: 0.02, value: 1.3, format: (v) => fixed(v, 2),
  });
  const bias = slider({
    label: "Bias variance", min: 0, max: 0.4, step: 0.005, value: 0.05, format: (v) => fixed(v, 3),
  });
  const plane = panel({
    label: "Plane of weight and bias variance", role: "group", height: 300,
    x: { range: W, ticks: [0, 1, 2, 3, 4], label: "weight variance" },
    y: { range: B, ticks: [0, 0.1, 0.2, 0.3, 0.4], label: "bias variance" },
  });
  const pairs = panel({
    label: "Correlation of two pairs of inputs from layer to layer", height: 300,
    x: { range: [0, LAYERS], ticks: [0, 25, 50, 75, 100], label: "layer" },
    y: { range: [0, 1.12], ticks: [0, 0.25, 0.5, 0.75, 1], label: "correlation of two inputs" },
  });

  const cross = shape("g", {
    class: "dp-live-cross", tabindex: 0, role: "slider", "aria-label": "Cross in the plane, moved by the arrow keys",
    "aria-valuemin": W[0], "aria-valuemax": W[1],
  });
  const move = (w, b) => { weight.value = w; bias.value = b; redraw(); };
  cross.addEventListener("keydown", (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
    if (x === undefined) return;
    event.preventDefault();
    move(weight.value + 0.02 * x, bias.value + 0.005 * y);
  });
  const follow = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = plane.root.getBoundingClientRect();
    move(plane.x.of(event.clientX - box.left), plane.y.of(event.clientY - box.top));
  };
  plane.root.classList.add("dp-live-plane");
  plane.root.addEventListener("pointerdown", follow);
  plane.root.addEventListener("pointermove", follow);

  return () => {
    const [w, b] = [weight.value, bias.value];
    const { q, chi, c, map, depth } = solve(w, b);
    const focused = document.activeElement === cross;
    plane.clear();
    plane.area([[0, 0], [1, 0], ...critical, [0, 9]], "dp-live-blue");
    plane.area([[1, 0], ...critical, [9, 0]], "dp-live-orange");
    for (const [level, points] of levels) {
      plane.line(points, "dp-live-thin");
      const on = points.find(([, y]) => y > 0.33);
      if (on) plane.text(...on, short(level), { anchor: "middle" });
    }
    plane.line([[1, 0], ...critical], "dp-live-strong");
    plane.text(0.1, 0.2, "order", { kind: "dp-live-blue" });
    plane.text(3.9, 0.03, "chaos", { kind: "dp-live-orange", anchor: "end" });
    const [x, y] = [plane.x(w), plane.y(b)];
    cross.setAttribute("aria-valuenow", fixed(w, 2));
    cross.setAttribute("aria-valuetext", `weight variance ${fixed(w, 2)}, bias variance ${fixed(b, 3)}`);
    const arms = shape("path", { d: `M${x - 15} ${y}h30M${x} ${y - 15}v30` });
    cross.replaceChildren(shape("circle", { cx: x, cy: y, r: 9 }), arms);
    plane.over.append(cross);
    if (focused) cross.focus();

    pairs.clear();
    for (const [name, first, kind] of PAIRS) {
      const points = [[0, first]];
      for (let layer = 1; layer <= LAYERS; layer++) points.push([layer, Math.min(1, map(points[layer - 1][1]))]);
      pairs.line(points, kind);
      pairs.dot(0, first, kind);
      pairs.text(0, first, name, { kind, dx: 9, dy: first > 0.5 ? -9 : 14 });
    }
    if (6 * depth < LAYERS) {
      pairs.line([[6 * depth, 0], [6 * depth, 1.12]], "dp-live-mark");
      pairs.text(6 * depth, 0.06, "6 ξ", { dx: 5 });
    }
    const side = depth > 500 ? "Close to the critical line: signals and gradients survive for long"
      : chi < 1 ? "Ordered phase: inputs become alike and gradients vanish"
        : "Chaotic phase: similar inputs part and gradients explode";
    say(`${side}. Weight variance ${fixed(w, 2)}, bias variance ${fixed(b, 3)}: q* = ${fixed(q, 3)}, c* = ${fixed(c, 3)}, ` +
      `χ₁ = ${fixed(chi, 3)}. The depth scale ξ is ${short(depth)} layers; six of them are ${short(6 * depth)} layers.`);
  };
});
