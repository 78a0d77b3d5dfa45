// How things are said: money, times, statuses, events.

import {el, svg} from "./dom.js";

const MONEY = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
const MONIES = new Map(); // by currency: {whole: with its code, bare: without}
const COUNT = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const DAY = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});

const STATUSES = {
  PENDING_SHIPMENT: {words: "Waiting for shipment", name: "pending", rank: 0},
  SHIPPED: {words: "Shipped", name: "shipped", rank: 1},
  DELIVERED: {words: "Delivered", name: "delivered", rank: 2},
  CANCELLED: {words: "Cancelled", name: "cancelled", rank: 2},
};

const EVENTS = {
  "order.created": "Placed",
  "order.shipped": "Shipped",
  "order.delivered": "Delivered",
  "order.tracking_changed": "Tracking changed",
  "order.cancel_requested": "Cancel requested",
  "order.cancelled": "Cancelled",
  "order.cancel_refused": "Cancellation refused",
};

// A shape for each status, so that colour is never all there is.
const SHAPES = {
  pending: ["circle", {cx: 8, cy: 8, r: 5, fill: "none", "stroke-width": 2}],
  shipped: ["path", {d: "M3 8h8M8 4.5 11.5 8 8 11.5", fill: "none", "stroke-width": 2}],
  delivered: ["path", {d: "M3 8.5 6.5 12 13 4.5", fill: "none", "stroke-width": 2}],
  cancelled: ["path", {d: "M4 4l8 8M12 4l-8 8", fill: "none", "stroke-width": 2}],
};

/** What is said of a status, also of one that a later server has. */
export function statusOf(status) {
  return STATUSES[status] ?? {words: String(status), name: "pending", rank: 3};
}

/** The status as a mark: shape, colour and words. */
export function statusMark(status) {
  const {words, name} = statusOf(status);
  const [shape, attributes] = SHAPES[name];
  return el("span", {class: `status ${name}`},
    svg("svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, svg(shape, {stroke: "currentColor", ...attributes})), words);
}

/** What an event is called. */
export function eventWords(type) {
  return EVENTS[type] ?? String(type);
}

function formatsOf(currency) {
  if (!currency) return {whole: MONEY, bare: MONEY};
  if (!MONIES.has(currency)) {
    const whole = new Intl.NumberFormat("en", {style: "currency", currency, currencyDisplay: "code"});
    const {minimumFractionDigits, maximumFractionDigits} = whole.resolvedOptions();
    MONIES.set(currency, {whole, bare: new Intl.NumberFormat("en", {minimumFractionDigits, maximumFractionDigits})});
  }
  return MONIES.get(currency);
}

/** An amount with its currency if it has one, or a dash while it is not known. */
export function money(amount, currency) {
  return amount == null ? "–" : formatsOf(currency).whole.format(amount);
}

/** The same where the currency is said elsewhere. */
export function figure(amount, currency) {
  return formatsOf(currency).bare.format(amount);
}

/** "1 order", "2 orders". */
export function plural(count, one, many = `${one}s`) {
  return `${COUNT.format(count)} ${count === 1 ? one : many}`;
}

/** A time element: the clock, with the day unless it is today. */
export function timeOf(iso) {
  const at = new Date(iso), today = DAY.format(at) === DAY.format(new Date());
  return el("time", {datetime: iso}, today ? CLOCK.format(at) : `${DAY.format(at)}, ${CLOCK.format(at)}`);
}

/** How long something took, in its two largest units: "15 s", "2 min 5 s". */
export function span(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return "less than 1 s";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[first], rest = units[first + 1];
  const less = rest ? Math.floor((seconds % size) / rest[1]) : 0;
  return `${Math.floor(seconds / size)} ${name}${less ? ` ${less} ${rest[0]}` : ""}`;
}

/** The end of an id, which differs between orders of the same second. */
export function shortId(id) {
  return `…${String(id).slice(-8)}`;
}
