// New orders in each of the last minutes, as bars.

import {el, setText, svg} from "./dom.js";
import {plural} from "./format.js";
import {MINUTES} from "./store.js";

const WIDTH = 300, HEIGHT = 72, GAP = 2, MINUTE = 60000;
const CLOCK = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});

/** The panel. */
export function chart() {
  const step = WIDTH / MINUTES;
  const bars = Array.from({length: MINUTES}, (_, i) => {
    const title = svg("title"), bar = svg("rect", {x: i * step + GAP / 2, width: step - GAP, rx: 1}, title);
    return {bar, title};
  });
  const picture = svg("svg", {class: "bars", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none"},
    ...bars.map(({bar}) => bar));
  const now = el("strong"), words = el("p", {class: "hint"});
  const node = el("section", {class: "card", "aria-labelledby": "chart-title"},
    el("h2", {id: "chart-title"}, "Orders per minute"), el("p", {class: "figure"}, now, " in this minute"), picture, words);
  let drawn = "";

  function update(store) {
    const last = Math.floor(Date.now() / MINUTE), first = last - MINUTES + 1;
    const counts = bars.map((_, i) => store.minutes.get(first + i) ?? 0);
    const key = `${first} ${store.since} ${counts}`;
    if (key === drawn) return;
    drawn = key;
    const most = Math.max(...counts, 1), sum = counts.reduce((a, b) => a + b, 0);
    bars.forEach(({bar, title}, i) => {
      const height = counts[i] ? Math.max(counts[i] / most * HEIGHT, 3) : 1;
      bar.setAttribute("y", HEIGHT - height);
      bar.setAttribute("height", height);
      bar.setAttribute("class", counts[i] ? "bar" : "bar none");
      setText(title, `${CLOCK.format((first + i) * MINUTE)}: ${plural(counts[i], "order")}`);
    });
    setText(now, plural(counts.at(-1), "order"));
    const part = store.since > first * MINUTE ? ` Complete since ${CLOCK.format(store.since)}.` : "";
    setText(words, `${plural(sum, "order")} in the last ${MINUTES} minutes, at most ${most} in one.${part}`);
    picture.setAttribute("aria-label", `Bars for the last ${MINUTES} minutes. ${words.textContent}`);
  }

  return {node, update};
}
