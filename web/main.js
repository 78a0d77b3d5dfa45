// The page: who is signed in, which view the address names, and what keeps both up to date.

import {createApi, wordsOf} from "./api.js";
import {el, setText} from "./dom.js";
import {plural, statusOf} from "./format.js";
import {listView} from "./list.js";
import {orderView} from "./order.js";
import {placeView} from "./place.js";
import {signInView} from "./signin.js";
import {createStore} from "./store.js";
import {follow} from "./stream.js";

const NEWS_PAUSE = 5000, HEALTH_PAUSE = 10000, TICK = 15000;
const PAGE = 100; // orders of a request
const MOST_PAGES = 5; // of the history of an order
const UNSEEN = 60000; // then a page that nobody looks at hangs up: a browser has six connections to a server
const CONNECTION = {connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…", paused: "Paused", away: ""};

const at = id => document.getElementById(id);
const main = at("main");
const api = createApi(words => end(words));
const store = createStore(draw);
let view = null, list = null, stop = null, unseen = 0, back = null; // back: the order that was open before

function show(next, focus = true) {
  view = next;
  main.replaceChildren(view.node);
  draw();
  if (!focus) return;
  scrollTo(0, 0);
  view.focus(back);
}

function draw() {
  view?.update();
  const state = CONNECTION[store.connection];
  at("connection").className = `connection ${store.connection}`;
  setText(at("connection"), state);
  document.title = [view?.title(), "Orders", state].filter(Boolean).join(" – ");
}

/** The view that the address names: #/, #/new or #/orders/ID. */
function route() {
  if (!store.client) return;
  const [, name, id] = location.hash.split("/");
  for (const link of at("nav").querySelectorAll("a")) {
    if (link.dataset.view === (name === "new" ? "place" : name ? "" : "list")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "orders" && id) return openOrder(decode(id));
  const before = store.open?.id;
  store.open = null;
  back = name ? null : before;
  if (name === "new") show(placeView(api, placed => { location.hash = `#/orders/${placed}`; }));
  else show(list);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function openOrder(id) {
  store.open = {id, order: null, events: [], problem: null};
  back = null;
  show(orderView(api, store, id, readOrder));
  readOrder();
}

/** All events of an order, unless it has very many. */
async function historyOf(path) {
  const events = [];
  for (let page = 0, after = ""; page < MOST_PAGES; page++) {
    const answer = await api.get(`${path}/events?limit=${PAGE}${after && `&after=${after}`}`);
    events.push(...answer.events);
    if (answer.events.length < PAGE) break;
    after = answer.next;
  }
  return events;
}

/** Reads the open order. Events that come meanwhile are kept. */
async function readOrder() {
  const {open} = store, path = `orders/${encodeURIComponent(open.id)}`;
  try {
    const [order, events] = await Promise.all([api.get(path), historyOf(path)]);
    const known = new Set(events.map(event => event.id)), live = open.events.filter(event => !known.has(event.id));
    const last = live.at(-1)?.status;
    if (last && statusOf(last).rank > statusOf(order.status).rank) order.status = last;
    Object.assign(open, {order, events: [...events, ...live], problem: null});
  } catch (problem) {
    open.problem = problem;
  }
  store.changed();
}

async function loadPage(cursor) {
  const {client} = store, answer = await api.get(`orders?limit=${PAGE}${cursor ? `&cursor=${cursor}` : ""}`);
  if (store.client === client) store.addPage(answer);
}

/** Reads the list and the open order, because the stream tells of changes only. */
function readAgain() {
  if (store.loaded) store.restart();
  loadPage().catch(() => {}); // without it the list has what the stream tells
  if (store.open) readOrder();
}

function begin(client) {
  store.set({client});
  readHealth();
  setText(at("client"), client);
  at("nav").hidden = at("session").hidden = false;
  list = listView(store, () => loadPage(store.cursor));
  start();
  route();
}

function start() {
  store.set({connection: "connecting"});
  stop = follow(api, {
    onEvent: store.apply,
    onOpen(resumed) {
      store.set({connection: "live", trouble: ""});
      if (!resumed) readAgain();
    },
    onGap: readAgain,
    onAway(problem) {
      store.set({connection: "reconnecting", trouble: problem?.status ? wordsOf(problem) : ""}); // "" while nobody answers
      if (!store.loaded) loadPage().catch(() => {});
    },
  });
}

/** Hangs up while nobody looks, and begins again, with what is there then, when somebody does. */
function heed() {
  clearTimeout(unseen);
  if (!store.client) return;
  if (!document.hidden) {
    readHealth();
    if (!stop) start();
    return;
  }
  unseen = setTimeout(() => {
    stop?.();
    stop = null;
    store.set({connection: "paused"});
  }, UNSEEN);
}

/** Back to the sign-in, with nothing of the client left. words: why. */
function end(words) {
  stop?.();
  clearTimeout(unseen);
  stop = list = back = null;
  store.restart();
  store.minutes.clear();
  store.set({client: null, connection: "away", trouble: "", open: null, news: {}});
  at("news").replaceChildren();
  at("nav").hidden = at("session").hidden = true;
  show(signInView(api, begin, words));
}

/** Reads out what has happened, in few words, and not too often. */
function readOut() {
  const news = Object.entries(store.takeNews()).map(([status, count]) =>
    status === "PENDING_SHIPMENT" ? plural(count, "new order") : `${plural(count, "order")} ${statusOf(status).words.toLowerCase()}`);
  if (news.length && store.client) at("news").replaceChildren(el("span", {}, `${news.join(", ")}.`));
}

async function readHealth() {
  if (document.hidden || !store.client) return;
  store.set({health: await api.health().catch(() => null)});
}

at("sign-out").addEventListener("click", () => {
  api.signOut();
  history.replaceState(null, "", "#/"); // the next client has other orders
  end("");
});
at("skip").addEventListener("click", event => {
  event.preventDefault(); // the address names the view
  main.focus();
});
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", heed);
setInterval(readOut, NEWS_PAUSE);
setInterval(readHealth, HEALTH_PAUSE);
setInterval(store.changed, TICK); // the minutes go on without events
end("");
