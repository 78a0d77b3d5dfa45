// All orders, newest first. Rows are kept, and only what has changed is drawn.

import {wordsOf} from "./api.js";
import {chart} from "./chart.js";
import {el, setText} from "./dom.js";
import {money, plural, shortId, statusMark, statusOf, timeOf} from "./format.js";
import {healthPanel} from "./health.js";
import {MOST_ROWS} from "./store.js";

const MOST_LIT = 3; // rows that light up in one frame

/** A row, and how to bring it up to date. */
function createRow(order) {
  const status = el("span", {class: "row-status"}), total = el("span", {class: "row-total"});
  const time = el("span", {class: "row-time"}), customer = el("span", {class: "row-customer"});
  const link = el("a", {href: `#/orders/${encodeURIComponent(order.id)}`, title: order.id}, shortId(order.id));
  const node = el("li", {class: "row", "data-id": order.id}, el("span", {class: "row-id"}, link), customer, total, time, status);
  const row = {node, link, version: -1, status: null};
  /** Returns whether its status has changed. */
  row.draw = current => {
    if (row.version === current.version) return false;
    setText(customer, current.customer_id);
    setText(total, money(current.total_amount, current.currency));
    if (current.created_at && !time.firstChild) time.append(timeOf(current.created_at));
    const moved = row.status !== null && row.status !== current.status;
    if (row.status !== current.status) status.replaceChildren(statusMark(current.status));
    Object.assign(row, {version: current.version, status: current.status});
    return moved;
  };
  return row;
}

/** Makes the children of list the nodes of the rows, in this order, moving as few as possible. */
function arrange(list, nodes) {
  let at = list.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else list.insertBefore(node, at);
  }
}

function countOf(store) {
  const counts = new Map();
  for (const {status} of store.orders.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => statusOf(a).rank - statusOf(b).rank);
}

/** Opens an order of which the reader has the id. */
function finder() {
  const input = el("input", {id: "find", name: "find", autocomplete: "off", spellcheck: "false", placeholder: "01a21811-1bd2-…"});
  function submit(event) {
    event.preventDefault();
    const id = input.value.trim();
    if (id) location.hash = `#/orders/${encodeURIComponent(id)}`;
    else input.focus();
  }
  return el("form", {class: "find", role: "search", onsubmit: submit}, el("label", {for: "find"}, "Open an order by its id"),
    el("div", {class: "line"}, input, el("button", {type: "submit", class: "quiet"}, "Open")));
}

/** The view; loadMore() adds a page of older orders. */
export function listView(store, loadMore) {
  const rows = new Map();
  const list = el("ol", {class: "rows", "aria-label": "Orders, newest first"});
  const summary = el("p", {class: "lead", id: "summary"});
  const empty = el("p", {class: "note", hidden: true}, "There are no orders yet. ", el("a", {href: "#/new"}, "Place the first one"), ".");
  const more = el("button", {type: "button", class: "quiet", hidden: true, onclick: addMore}, "Show older orders");
  const limit = el("p", {class: "hint", hidden: true}, `The newest ${MOST_ROWS} orders are shown. Open an older one by its id.`);
  const trouble = el("p", {class: "note bad", role: "alert", hidden: true});
  const refused = el("p", {class: "note bad", role: "alert", hidden: true});
  const orders = chart(), health = healthPanel();
  const title = el("h1", {id: "view-title", tabindex: "-1"}, "All orders");

  async function addMore() {
    more.disabled = true;
    trouble.hidden = true;
    try {
      await loadMore();
    } catch (problem) {
      trouble.textContent = wordsOf(problem);
      trouble.hidden = false;
    } finally {
      more.disabled = false;
    }
  }

  function drawRows() {
    for (const [id, row] of rows) {
      if (store.orders.has(id)) continue;
      if (row.node.contains(document.activeElement)) title.focus();
      row.node.remove();
      rows.delete(id);
    }
    const moved = [];
    arrange(list, store.ids.map(id => {
      const order = store.orders.get(id);
      if (!rows.has(id)) rows.set(id, createRow(order));
      const row = rows.get(id);
      if (row.draw(order) && row.node.isConnected) moved.push(row.node);
      return row.node;
    }));
    if (moved.length <= MOST_LIT) for (const one of moved) one.classList.add("moved"); // else all would flicker
  }

  function update() {
    drawRows();
    const full = store.ids.length >= MOST_ROWS;
    const parts = countOf(store).map(([status, count]) => `${count} ${statusOf(status).words.toLowerCase()}`);
    setText(summary, parts.length ? `${plural(store.ids.length, "order")} shown: ${parts.join(", ")}.` : store.loaded || store.trouble ? "" : "Reading the orders…");
    refused.hidden = !store.trouble;
    setText(refused, store.trouble);
    empty.hidden = !store.loaded || store.ids.length > 0;
    more.hidden = store.cursor === null || full;
    limit.hidden = !full;
    orders.update(store);
    health.update(store);
  }

  const node = el("div", {class: "columns"},
    el("section", {"aria-labelledby": "view-title"}, el("div", {class: "head"}, title, summary), refused, trouble, empty, list, more, limit),
    el("aside", {"aria-label": "Overview"}, orders.node, health.node, finder()));
  list.addEventListener("animationend", event => event.target.classList.remove("moved"));
  return {
    node, update,
    title: () => {
      const moving = [...store.orders.values()].filter(order => statusOf(order.status).rank < 2).length;
      return `${moving} on their way`;
    },
    focus: id => (rows.get(id)?.link ?? title).focus(),
  };
}
