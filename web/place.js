// Placing an order. What the server refuses is said at the field that it names.

import {wordsOf} from "./api.js";
import {el, field, setError} from "./dom.js";

const MOST_ITEMS = 100; // of an order

/** A key for an Idempotency-Key. randomUUID exists only where the page comes over HTTPS or from this machine. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A number for JSON where the text is one. Any other text is sent as it is, and the server says what is wrong. So is 1,000: it may
 * be a thousand, or one.
 */
function numberOf(text) {
  return /^-?\d+([.,]\d{1,2})?$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : text;
}

/** The view; onPlaced(id) is called with the new order. */
export function placeView(api, onPlaced) {
  const customer = field({id: "customer", label: "Customer id", spellcheck: "false"});
  const rows = [], list = el("div", {class: "items"});
  const message = el("p", {class: "note bad", role: "alert", hidden: true});
  const submit = el("button", {type: "submit"}, "Place order");
  const title = el("h1", {id: "view-title", tabindex: "-1"}, "New order");
  let serial = 0, sent = null; // {body, key}: the same order again has the same key

  function addRow(focus) {
    const n = ++serial;
    const row = {
      product_id: field({id: `product-${n}`, label: "Product id", spellcheck: "false"}),
      quantity: field({id: `quantity-${n}`, label: "Quantity", inputmode: "numeric", value: "1"}),
      unit_price: field({id: `price-${n}`, label: "Unit price", inputmode: "decimal"}),
      error: el("p", {class: "error", hidden: true}),
      legend: el("legend"),
    };
    row.remove = el("button", {type: "button", class: "quiet", onclick: () => dropRow(row)}, "Remove");
    row.node = el("fieldset", {class: "item"}, row.legend, row.product_id.node, row.quantity.node, row.unit_price.node, row.remove, row.error);
    rows.push(row);
    list.append(row.node);
    number();
    if (focus) row.product_id.input.focus();
  }

  function dropRow(row) {
    const at = rows.indexOf(row);
    rows.splice(at, 1);
    row.node.remove();
    number();
    rows[Math.max(at - 1, 0)].product_id.input.focus();
  }

  function number() {
    rows.forEach((row, i) => {
      row.legend.textContent = `Item ${i + 1}`;
      row.remove.setAttribute("aria-label", `Remove item ${i + 1}`);
      row.remove.hidden = rows.length === 1;
    });
    add.hidden = rows.length >= MOST_ITEMS;
  }

  const add = el("button", {type: "button", class: "quiet", onclick: () => addRow(true)}, "Add an item");

  function clearErrors() {
    message.hidden = true;
    setError(customer, "");
    for (const row of rows) {
      row.error.hidden = true;
      for (const name of ["product_id", "quantity", "unit_price"]) setError(row[name], "");
    }
  }

  /** Says a fault at its place. Returns the place, or null when the form has none for it. */
  function showFault({pointer, detail}) {
    const [, first, index, name] = String(pointer).split("/"), row = first === "items" && rows[index];
    const place = first === "customer_id" ? customer : row?.[name]?.input ? row[name] : null;
    if (place) {
      setError(place, `${place.label} ${detail}.`);
    } else if (row) {
      row.error.textContent = detail;
      row.error.hidden = false;
    }
    return place;
  }

  function showProblem(problem) {
    const places = problem.errors?.map(showFault) ?? [];
    const others = (problem.errors ?? []).filter((fault, i) => !places[i]).map(({pointer, detail}) => `${pointer.slice(1) || "The order"} ${detail}`);
    message.textContent = problem.errors?.length ? ["The order was not placed. Correct what is marked.", ...others].join(" ") : wordsOf(problem);
    message.hidden = false;
    (places.find(Boolean)?.input ?? submit).focus();
  }

  function bodyOf() {
    const items = rows.map(row => ({
      product_id: row.product_id.input.value,
      quantity: numberOf(row.quantity.input.value),
      unit_price: numberOf(row.unit_price.input.value),
    }));
    return JSON.stringify({customer_id: customer.input.value, items});
  }

  async function send(event) {
    event.preventDefault();
    clearErrors();
    const body = bodyOf();
    if (sent?.body !== body) sent = {body, key: newKey()};
    submit.disabled = true;
    try {
      const receipt = await api.post("orders", body, {"Idempotency-Key": sent.key});
      sent = null;
      onPlaced(receipt.order_id);
    } catch (problem) {
      submit.disabled = false;
      showProblem(problem);
    } finally {
      submit.disabled = false;
    }
  }

  const node = el("section", {class: "card medium", "aria-labelledby": "view-title"}, title, message,
    el("form", {novalidate: true, onsubmit: send}, customer.node, list, el("div", {class: "line"}, submit, add)));
  addRow(false);
  return {node, title: () => "New order", focus: () => customer.input.focus(), update() {}};
}
