// What the live figures share: controls, a sentence that follows them, and panels with axes. A figure is drawn again
// from its controls at every change, in pixels, so that its text keeps its size on a phone. Nothing moves by itself.
// Without this script the page shows a sentence in the figure's place.
const live = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (name, attributes, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const tag = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

  // A number with three significant digits, and a true minus.
  const short = (value, digits = 3) =>
    (Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits))))
      .replace("-", "−");
  const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");

  // A scale: value -> pixel, and back by `.of`.
  function scale([low, high], [from, to], log) {
    const [f, back] = log ? [Math.log10, (v) => 10 ** v] : [(v) => v, (v) => v];
    const slope = (to - from) / (f(high) - f(low));
    return Object.assign((v) => from + slope * (f(v) - f(low)), { of: (p) => back(f(low) + (p - from) / slope) });
  }

  // x and y: {range, ticks, label, log, format}. The label of y stands above its axis, so that no text is turned.
  function panel(stage, { label, x, y, height = 270, right = 14, role = "img" }) {
    const root = shape("svg", { role, "aria-label": label, "aria-describedby": "dp-live-says" });
    stage.append(root);
    const made = { root };
    made.clear = () => {
      const width = Math.max(240, stage.clientWidth > 640 && stage.children.length > 1
        ? Math.floor(stage.clientWidth / 2) - 12 : stage.clientWidth);
      const [left, top, bottom] = [44, 34, 46];
      root.setAttribute("width", width);
      root.setAttribute("height", height);
      made.x = scale(x.range, [left, width - right], x.log);
      made.y = scale(y.range, [height - bottom, top], y.log);
      const size = { width: width - right - left, height: height - bottom - top };
      // A nested drawing cuts off what leaves the axes.
      made.marks = shape("svg", { x: left, y: top, ...size, viewBox: `${left} ${top} ${size.width} ${size.height}` });
      made.over = shape("g", {});
      const axes = shape("g", { class: "dp-live-axes" });
      const write = (at, up, text, anchor) => axes.append(shape("text", { x: at, y: up, "text-anchor": anchor }, text));
      for (const tick of y.ticks) {
        axes.append(shape("path", { d: `M${left} ${made.y(tick)}h${size.width}` }));
        write(left - 6, made.y(tick) + 4, (y.format ?? short)(tick), "end");
      }
      for (const tick of x.ticks) write(made.x(tick), height - bottom + 18, (x.format ?? short)(tick), "middle");
      write(2, 16, y.label, "start");
      write(left + size.width / 2, height - 8, x.label, "middle");
      root.replaceChildren(axes, made.marks, made.over);
    };
    const place = ([a, b]) => [made.x(a), made.y(b)];
    made.line = (points, kind = "") =>
      made.marks.append(shape("path", { class: `dp-live-line ${kind}`, d: path(points.map(place)) }));
    made.area = (points, kind = "") =>
      made.marks.append(shape("path", { class: `dp-live-area ${kind}`, d: `${path(points.map(place))}Z` }));
    made.dot = (a, b, kind = "", radius = 4.5) =>
      made.over.append(shape("circle", { class: `dp-live-dot ${kind}`, cx: made.x(a), cy: made.y(b), r: radius }));
    made.text = (a, b, text, { kind = "", anchor = "start", dx = 0, dy = 4 } = {}) =>
      made.over.append(shape("text", { class: kind, x: made.x(a) + dx, y: made.y(b) + dy, "text-anchor": anchor }, text));
    return made;
  }

  // A slider; its value is a number. `format` gives what is shown beside the label and read out. `bands`, of
  // [name, width], are named under it.
  function slider(controls, changed, { label, min, max, step, value, format = short, bands = [] }) {
    const id = `dp-live-control-${controls.children.length}`;
    const input = tag("input", { type: "range", id, min, max, step, value });
    const shown = tag("span", { className: "dp-live-value" });
    shown.setAttribute("aria-hidden", "true");
    const under = bands.map(([name, wide]) => {
      const band = tag("span", {}, name);
      band.style.flex = `${wide} 1 0`;
      return band;
    });
    const say = () => {
      shown.textContent = format(Number(input.value));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => { say(); changed(); });
    say();
    const head = tag("div", {}, tag("label", { htmlFor: id }, label), shown);
    controls.append(tag("div", { className: "dp-live-slider" }, head, input));
    if (bands.length) input.after(tag("div", { className: "dp-live-bands", ariaHidden: "true" }, ...under));
    return { get value() { return Number(input.value); }, set value(to) { input.value = to; say(); } };
  }

  // One of a few named options; its value is the position.
  function choice(controls, changed, { label, options, value = 0 }) {
    const name = `dp-live-control-${controls.children.length}`;
    const inputs = options.map((_, at) => tag("input", { type: "radio", name, checked: at === value }));
    const labels = options.map((text, at) => tag("label", {}, inputs[at], tag("span", {}, text)));
    for (const input of inputs) input.addEventListener("change", changed);
    controls.append(tag("fieldset", {}, tag("legend", {}, label), ...labels));
    return { get value() { return inputs.findIndex((input) => input.checked); } };
  }

  // Put a figure in its place. `make` gets {data, panel, slider, choice, say} and returns a function that draws.
  function start(make) {
    const figure = document.querySelector("figure.dp-live");
    const data = JSON.parse(figure.querySelector("script").textContent);
    const place = figure.querySelector(".dp-live-stage");
    const controls = tag("div", { className: "dp-live-controls" });
    const panels = tag("div", { className: "dp-live-panels" });
    const says = tag("p", { id: "dp-live-says", className: "dp-live-says", ariaLive: "polite" });
    place.replaceChildren(controls, panels, says);
    let draw = () => {};
    draw = make({
      data,
      panel: (given) => panel(panels, given),
      slider: (given) => slider(controls, () => draw(), given),
      choice: (given) => choice(controls, () => draw(), given),
      say: (text) => { says.textContent = text; },
      redraw: () => draw(),
    });
    let width = 0;
    new ResizeObserver(() => {
      if (panels.clientWidth !== width) draw();
      width = panels.clientWidth;
    }).observe(panels);
  }
  return { start, short, fixed, shape };
})();
