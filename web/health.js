// What order-svc says of itself and of the parts that it needs.

import {el} from "./dom.js";
import {timeOf} from "./format.js";

const PARTS = {database: "Database", redis: "Redis", sqs: "Queues (SQS)"};
const WORDS = {
  healthy: "All parts work.",
  degraded: "Orders are taken. What needs the missing part is late.",
  unhealthy: "Orders cannot be taken now.",
};

function line(name, well) {
  return el("li", {}, el("span", {}, PARTS[name] ?? name), el("span", {class: well ? "state good" : "state bad"}, well ? "works" : "away"));
}

/** The panel. */
export function healthPanel() {
  const words = el("p", {class: "hint"}), parts = el("ul", {class: "parts"});
  const node = el("section", {class: "card", "aria-labelledby": "health-title"}, el("h2", {id: "health-title"}, "Health"), parts, words);
  let drawn;

  function update({health}) {
    if (health === drawn) return;
    drawn = health;
    const known = health?.dependencies ?? {};
    parts.replaceChildren(line("order-svc", Boolean(health?.dependencies)), ...Object.entries(known).map(([name, well]) => line(name, well)));
    words.replaceChildren(health?.dependencies ? WORDS[health.status] ?? String(health.status) : "order-svc does not answer.");
    if (health?.timestamp) words.append(" Seen at ", timeOf(health.timestamp), ".");
  }

  return {node, update};
}
