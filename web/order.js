// One order: what was ordered, where it is, and when it got there.

import {wordsOf} from "./api.js";
import {el, field, setText} from "./dom.js";
import {eventWords, figure, money, plural, shortId, span, statusMark, statusOf, timeOf} from "./format.js";

const STEPS = ["order.created", "order.shipped", "order.delivered"];
const ENDS = ["order.delivered", "order.cancelled"];

/** "15 s after it was placed, 5 s after it was shipped". */
function delays(event, before) {
  const [first, last] = [before[0], before.at(-1)], at = Date.parse(event.occurred_at);
  if (!first) return "";
  const words = [`${span(at - Date.parse(first.occurred_at))} after it was ${eventWords(first.type).toLowerCase()}`];
  if (last !== first && STEPS.includes(last.type)) {
    words.push(`${span(at - Date.parse(last.occurred_at))} after it was ${eventWords(last.type).toLowerCase()}`);
  }
  return words.join(", ");
}

function details({data}) {
  const {tracking_number: tracking, carrier, reason, refusal, total_amount: total, currency} = data ?? {};
  const words = [carrier, tracking && `tracking number ${tracking}`, reason && `reason: ${reason}`, refusal, total != null && `total ${money(total, currency)}`];
  return words.filter(Boolean).join(", ");
}

function stepOf(event, before) {
  const delay = delays(event, before), all = details(event);
  const more = before.length && details(before.at(-1)) === all ? "" : all;
  return el("li", {class: `step done ${statusOf(event.status).name}`, "data-type": event.type},
    el("p", {class: "step-name"}, eventWords(event.type)),
    el("p", {class: "hint"}, timeOf(event.occurred_at), delay && `, ${delay}`),
    more && el("p", {class: "step-more"}, more));
}

/** The steps that are done, and those that are to come. */
function timeline(events) {
  const done = new Set(events.map(event => event.type)), over = ENDS.some(type => done.has(type));
  const open = over ? [] : STEPS.filter(type => !done.has(type));
  return [
    ...events.map((event, i) => stepOf(event, events.slice(0, i))),
    ...open.map(type => el("li", {class: "step"}, el("p", {class: "step-name"}, eventWords(type)), el("p", {class: "hint"}, "Not yet"))),
  ];
}

function itemsTable(order) {
  const head = ["Product", "Quantity", "Unit price", "Sum"].map((name, i) => el("th", {scope: "col", class: i ? "number" : null}, name));
  const lines = order.items.map(item => el("tr", {},
    el("th", {scope: "row"}, item.product_id),
    ...[item.quantity, figure(item.unit_price, order.currency), figure(item.quantity * item.unit_price, order.currency)].map(value => el("td", {class: "number"}, String(value)))));
  return el("table", {}, el("caption", {}, `${plural(order.items.length, "item")} for `, el("strong", {}, order.customer_id)),
    el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...lines),
    el("tfoot", {}, el("tr", {}, el("th", {scope: "row", colspan: 3}, "Total"), el("td", {class: "number"}, money(order.total_amount, order.currency)))));
}

function facts(order) {
  const pairs = [["Reference", order.reference], ...Object.entries(order.metadata ?? {}), ["Carrier", order.carrier],
    ["Tracking number", order.tracking_number]].filter(([, value]) => value);
  return el("dl", {class: "facts"}, ...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** Asking for the cancellation of an order that waits for shipment, and what became of it. */
function cancelPanel(api, id) {
  const reason = field({id: "reason", label: "Reason", hint: "(optional)"});
  const button = el("button", {type: "submit", class: "danger"}, "Cancel order");
  const words = el("p", {class: "note", role: "status"});
  const form = el("form", {class: "cancel", onsubmit: submit}, reason.node, button);
  const node = el("section", {class: "card", "aria-labelledby": "cancel-title", hidden: true},
    el("h2", {id: "cancel-title"}, "Cancellation"), words, form);
  let asked = 0, trouble = ""; // asked: how many refusals there are if the last request of this page is refused

  async function submit(event) {
    event.preventDefault();
    const text = reason.input.value.trim();
    trouble = "";
    button.disabled = true;
    try {
      await api.post(`orders/${encodeURIComponent(id)}/cancel`, JSON.stringify(text ? {reason: text} : {}));
      asked = refusals() + 1;
    } catch (problem) {
      trouble = problem.code === "INVALID_TRANSITION" ? `The order cannot be cancelled: ${problem.message}` : wordsOf(problem);
    } finally {
      button.disabled = false;
      draw();
    }
  }

  let shown = {order: null, events: []};

  function refusals() {
    return shown.events.filter(event => event.type === "order.cancel_refused").length;
  }

  function draw() {
    const {order, events} = shown, last = events.filter(event => /^order\.cancel/.test(event.type)).at(-1);
    const waits = order?.status === "PENDING_SHIPMENT";
    const requested = waits && (asked > refusals() || last?.type === "order.cancel_requested");
    let text = trouble;
    if (last?.type === "order.cancel_refused") text ||= `The cancellation was refused: ${last.data?.refusal ?? "no reason was given"}.`;
    if (last?.type === "order.cancelled") text = "The order was cancelled.";
    if (requested) text = "The cancellation was requested. This page shows the decision when it comes.";
    setText(words, text);
    words.hidden = !text;
    form.hidden = !waits || requested;
    node.hidden = !text && form.hidden;
  }

  return {
    node,
    update(open) {
      shown = open;
      draw();
    },
  };
}

/** The view of store.open, which the stream keeps up to date; reload() reads it again. */
export function orderView(api, store, id, reload) {
  const title = el("h1", {id: "view-title", tabindex: "-1"}, "Order ", el("span", {class: "id"}, id));
  const status = el("p", {class: "big-status", "aria-live": "polite"}), trouble = el("p", {class: "note bad", role: "alert", hidden: true});
  const again = el("button", {type: "button", class: "quiet", hidden: true, onclick: reload}, "Try again");
  const steps = el("ol", {class: "timeline"}), items = el("div", {class: "scroll", role: "region", tabindex: 0, "aria-label": "Table of items"}), where = el("div");
  const cancel = cancelPanel(api, id);
  const content = el("div", {class: "columns even", hidden: true},
    el("section", {class: "card", "aria-labelledby": "timeline-title"}, el("h2", {id: "timeline-title"}, "Timeline"), steps),
    el("div", {}, el("section", {class: "card", "aria-labelledby": "items-title"}, el("h2", {id: "items-title"}, "Items"), items, where), cancel.node));
  const node = el("article", {"aria-labelledby": "view-title"}, el("p", {}, el("a", {href: "#/"}, "← All orders")),
    el("div", {class: "head"}, title, status), trouble, again, content);
  let drawn = "";

  function update() {
    const {order, events, problem} = store.open ?? {};
    if (store.open?.id !== id) return;
    trouble.hidden = !problem;
    again.hidden = !problem || problem.status === 404;
    setText(trouble, problem ? problem.status === 404 ? "There is no such order." : wordsOf(problem) : "");
    content.hidden = !order;
    if (!order) return;
    const key = `${order.status} ${order.carrier} ${order.tracking_number} ${events.map(event => event.id)}`;
    if (key === drawn) return;
    drawn = key;
    status.replaceChildren(statusMark(order.status));
    steps.replaceChildren(...timeline(events));
    items.replaceChildren(itemsTable(order));
    where.replaceChildren(facts(order));
    cancel.update(store.open);
  }

  return {
    node, update,
    title: () => `Order ${shortId(id)}${store.open?.order ? `, ${statusOf(store.open.order.status).words.toLowerCase()}` : ""}`,
    focus: () => title.focus(),
  };
}
