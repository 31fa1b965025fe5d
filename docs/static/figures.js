// Two figures that move: CLL's bandwidth beside other losses, and learning curves of two losses.
// Plain SVG; the pages show a picture where scripts are off.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300, HEIGHT = 220, LEFT = 40, BOTTOM = 34, TOP = 24;

function node(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// An empty plot: x from 0 to `right`, y from `low` to `high`; returns what draws a line into it.
function plot(into, { title, xlabel, right, low, high, ticks }) {
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title }, into);
  const x = (v) => LEFT + (v / right) * (WIDTH - LEFT - 8);
  const y = (v) => HEIGHT - BOTTOM - ((v - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  node("text", { x: WIDTH / 2, y: 14, class: "title" }, svg, title);
  node("text", { x: WIDTH / 2, y: HEIGHT - 4, class: "label" }, svg, xlabel);
  for (const v of [0, right / 2, right]) {
    node("text", { x: x(v), y: HEIGHT - BOTTOM + 14, class: "label" }, svg, v);
  }
  for (const v of ticks) {
    node("line", { x1: LEFT, x2: WIDTH - 8, y1: y(v), y2: y(v), class: "grid" }, svg);
    node("text", { x: LEFT - 5, y: y(v) + 4, class: "tick" }, svg, v);
  }
  const drawn = node("g", {}, svg);
  return {
    clear: () => drawn.replaceChildren(),
    line: (points, kind) => node("polyline", {
      class: `line ${kind}`,
      points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(Math.min(b, high)).toFixed(1)}`).join(" "),
    }, drawn),
  };
}

// ---- sigma. Each loss by its value and its slope |dL/dp| at the belief p in the given label.

const LOSSES = {
  CE: [(p) => -Math.log(p), (p) => 1 / p],
  "GCE (q = 0.7)": [(p) => (1 - p ** 0.7) / 0.7, (p) => p ** -0.3],
  MAE: [(p) => 2 * (1 - p), () => 2],
};

function cll(sigma) {
  const kernel = (p) => Math.exp(-((1 - p) ** 2) / (2 * sigma ** 2));
  return [(p) => 1 - kernel(p), (p) => ((1 - p) / sigma ** 2) * kernel(p)];
}

const BELIEFS = Array.from({ length: 199 }, (_, i) => (i + 1) / 200);

function sigmaFigure(root) {
  const plots = root.querySelector(".plots"), slider = root.querySelector("input");
  const said = root.querySelector("output");
  const xlabel = "belief p in the given label";
  const value = plot(plots, { title: "Value of the loss", xlabel, right: 1, low: 0, high: 3, ticks: [0, 1, 2, 3] });
  const pull = plot(plots, { title: "Pull |dL/dz| = p (1 - p) |dL/dp|", xlabel, right: 1, low: 0, high: 1, ticks: [0, 0.5, 1] });
  const weight = plot(plots, { title: "Weight beside CE: pull / (1 - p)", xlabel, right: 1, low: 0, high: 2, ticks: [0, 1, 2] });
  const draw = () => {
    const sigma = 10 ** Number(slider.value);
    const shown = { ...LOSSES, CLL: cll(sigma) };
    for (const each of [value, pull, weight]) each.clear();
    Object.values(shown).forEach(([loss, slope], i) => {
      value.line(BELIEFS.map((p) => [p, loss(p)]), `k${i}`);
      pull.line(BELIEFS.map((p) => [p, p * (1 - p) * slope(p)]), `k${i}`);
      weight.line(BELIEFS.map((p) => [p, p * slope(p)]), `k${i}`);
    });
    const slope = shown.CLL[1], force = (p) => p * (1 - p) * slope(p);
    const peak = BELIEFS.reduce((best, p) => (force(p) > force(best) ? p : best));
    said.textContent = `sigma = ${sigma.toFixed(2)}: CLL pulls hardest, ${force(peak).toFixed(3)}, `
      + `at p = ${peak.toFixed(2)}; on an untrained network (p = 0.1) it pulls `
      + `${force(0.1).toFixed(3)}, and cross-entropy 0.900.`;
  };
  slider.addEventListener("input", draw);
  draw();
}

// ---- learning curves, from the records

function curvesFigure(root) {
  const curves = JSON.parse(root.querySelector("script").textContent);
  const choices = [...root.querySelectorAll("select")], said = root.querySelector("output");
  const only = plot(root.querySelector(".plots"), {
    title: "Clean test accuracy (%)", xlabel: "epoch", right: 50, low: 40, high: 100, ticks: [40, 60, 80, 100],
  });
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const draw = () => {
    only.clear();
    said.textContent = choices.map(({ value }, i) => {
      const seeds = curves[value];
      for (const seed of seeds) only.line(seed.map((a, epoch) => [epoch + 1, a]), `k${i * 3}`);
      const last = mean(seeds.map((seed) => seed.at(-1)));
      const best = mean(seeds.map((seed) => Math.max(...seed)));
      return `${value}: ${last.toFixed(2)} % after the last epoch, ${best.toFixed(2)} % at the best (${seeds.length} seed${seeds.length > 1 ? "s" : ""})`;
    }).join("; ") + ".";
  };
  choices.forEach((choice, i) => {
    for (const name of Object.keys(curves)) choice.add(new Option(name, name));
    choice.selectedIndex = i;
    choice.addEventListener("change", draw);
  });
  draw();
}

addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".sigma-figure").forEach(sigmaFigure);
  document.querySelectorAll(".curves-figure").forEach(curvesFigure);
  document.body.classList.add("moves"); // hides the pictures that stand in for these figures
  document.querySelectorAll(".moving").forEach((figure) => { figure.hidden = false; });
});
