// What the page knows: the newest orders, how many came in each minute, and whether it is live.

import {statusOf} from "./format.js";

export const MOST_ROWS = 200;
export const MINUTES = 30;
const MOST_COUNTED = 5000; // orders whose minute is known to be counted
const MOST_DONE = 500; // events of the open order
const MINUTE = 60000;
const LEAST_PAUSE = 100; // between two drawings

/**
 * Calls f in a frame: at once where nothing happened before, ten times a second where much happens, which is more than
 * anybody can read. A page that nobody sees has no frames, so a timer takes their place.
 */
function onceAFrame(f) {
  let waiting = false, last = 0;
  const go = () => {
    waiting = false;
    last = performance.now();
    f();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    const pause = last + LEAST_PAUSE - performance.now();
    if (document.hidden) setTimeout(go, 1000);
    else if (pause > 0) setTimeout(() => requestAnimationFrame(go), pause);
    else requestAnimationFrame(go);
  };
}

/** Where an id belongs in a list of ids, newest first: ids of orders sort by their time. */
function placeOf(ids, id) {
  let low = 0, high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle] > id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A store. A change of it calls onChange() soon, one call for all changes until then. */
export function createStore(onChange) {
  const changed = onceAFrame(() => onChange(store));
  const counted = new Set();
  const store = {
    client: null,
    connection: "away", // or "connecting", "live", "reconnecting", "paused"
    trouble: "", // why the server refuses the stream
    ids: [], // of the orders below, newest first
    orders: new Map(), // id: {id, customer_id, status, total_amount, currency, created_at, version}
    cursor: null, // of the next page; null: there is none
    loaded: false,
    minutes: new Map(), // number of the minute: new orders
    since: 0, // from this time on they are all counted
    news: {}, // status: how many orders got it since they were last read out
    health: null,
    open: null, // the order that is shown: {id, order, events, problem}
    changed,
  };

  function count(id, createdAt) {
    const minute = Math.floor(Date.parse(createdAt) / MINUTE), now = Math.floor(Date.now() / MINUTE);
    if (counted.has(id) || !(minute > now - MINUTES)) return;
    counted.add(id);
    if (counted.size > MOST_COUNTED) counted.delete(counted.values().next().value);
    store.minutes.set(minute, (store.minutes.get(minute) ?? 0) + 1);
    for (const old of store.minutes.keys()) if (old <= now - MINUTES) store.minutes.delete(old);
  }

  /** Whether the list would show an order with this id. */
  function covers(id) {
    const whole = store.loaded && store.cursor === null && store.ids.length < MOST_ROWS;
    return whole || store.ids.length === 0 || id > store.ids.at(-1);
  }

  function put(order) {
    const known = store.orders.get(order.id);
    if (!known) {
      store.ids.splice(placeOf(store.ids, order.id), 0, order.id);
      store.orders.set(order.id, {version: 0, ...order});
      if (store.ids.length > MOST_ROWS) store.orders.delete(store.ids.pop());
      return;
    }
    const back = statusOf(order.status).rank < statusOf(known.status).rank; // what was read before a later event
    Object.assign(known, order, {version: known.version + 1}, back && {status: known.status});
  }

  function applyToOpen(event) {
    const {open} = store;
    if (open?.id !== event.order_id) return;
    if (!open.events.some(one => one.id === event.id)) open.events.push(event);
    if (open.events.length > MOST_DONE) open.events.shift();
    if (!open.order) return;
    const {tracking_number: tracking, carrier} = event.data ?? {};
    const later = statusOf(event.status).rank >= statusOf(open.order.status).rank;
    Object.assign(open.order, later && {status: event.status}, tracking && {tracking_number: tracking}, carrier && {carrier});
  }

  return Object.assign(store, {
    /** An event of the stream. */
    apply(event) {
      const order = {id: event.order_id, customer_id: event.customer_id, status: event.status};
      if (event.type === "order.created") {
        Object.assign(order, {total_amount: event.data?.total_amount, currency: event.data?.currency, created_at: event.occurred_at});
        count(order.id, order.created_at);
      }
      const moved = event.previous_status !== event.status;
      if (moved) store.news[event.status] = (store.news[event.status] ?? 0) + 1;
      if (store.orders.has(order.id) || covers(order.id)) put(order);
      applyToOpen(event);
      changed();
    },
    /** A page of the list. */
    addPage({orders, next_cursor: next}) {
      for (const {id, customer_id, status, total_amount, currency, created_at} of orders) {
        put({id, customer_id, status, total_amount, currency, created_at});
        count(id, created_at);
      }
      store.cursor = next;
      store.since = next ? Date.parse(orders.at(-1).created_at) : 0;
      store.loaded = true;
      changed();
    },
    /** Forgets the orders, because events of them were missed. */
    restart() {
      store.ids = [];
      store.orders.clear();
      store.loaded = false;
      store.cursor = null;
      changed();
    },
    set(changes) {
      Object.assign(store, changes);
      changed();
    },
    /** What has happened since the last call. */
    takeNews() {
      const news = store.news;
      store.news = {};
      return news;
    },
  });
}
