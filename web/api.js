// The API of order-svc. The token and the secret are in memory only, and end with the page.

const RENEW_AT = 0.8; // of a token's life
const LONGEST_TIMER = 12 * 3600 * 1000;

/** An answer that is an error, as an exception: {message, status, errors, retryAfter}. */
async function problemOf(answer) {
  const body = await answer.json().catch(() => ({}));
  const text = body.message ?? body.error_description ?? `The server answered ${answer.status}.`;
  return Object.assign(new Error(text), {
    status: answer.status,
    code: body.error,
    errors: Array.isArray(body.errors) ? body.errors : [],
    retryAfter: Number(answer.headers.get("Retry-After")) || 0,
  });
}

/** What to say of an exception: fetch has no good words for a server that is away. */
export function wordsOf(problem) {
  return problem.status ? problem.message : "The server cannot be reached. Try again in a moment.";
}

/** Sends without cookies, and so that a browser asks nobody for a password. */
function send(path, options) {
  return fetch(path, {credentials: "omit", cache: "no-store", redirect: "error", ...options});
}

/** A client of the API. onEnd(words) is called when the server no longer accepts the client's secret. */
export function createApi(onEnd) {
  let login = null, token = null, timer = 0, renewal = null;
  let seen = ""; // the last position, as a text that sorts, of what was shown: no answer may be older

  async function obtain(client) {
    const body = new URLSearchParams({grant_type: "client_credentials", ...client});
    const answer = await send("auth/token", {method: "POST", body});
    if (!answer.ok) throw await problemOf(answer);
    return answer.json();
  }

  function adopt(client, {access_token: fresh, expires_in: seconds}) {
    login = client;
    token = fresh;
    clearTimeout(timer);
    const pause = Math.min(Math.max(seconds * 1000 * RENEW_AT, 500), LONGEST_TIMER);
    timer = setTimeout(() => renew().catch(() => {}), pause);
  }

  function forget() {
    login = token = renewal = null;
    clearTimeout(timer);
  }

  async function renewOnce() {
    const client = login;
    try {
      const fresh = await obtain(client);
      if (login === client) adopt(client, fresh);
    } catch (problem) {
      if (login !== client) throw problem;
      if (problem.status === 400 || problem.status === 401) {
        forget();
        onEnd("Your access has ended: the server no longer accepts this id and secret.");
      } else {
        timer = setTimeout(() => renew().catch(() => {}), 5000);
      }
      throw problem;
    }
  }

  /** Gets a new token for the old one; callers at the same time share one request. */
  function renew() {
    renewal ??= renewOnce().finally(() => { renewal = null; });
    return renewal;
  }

  /** Notes a position that was shown: the Consistency-Token of an answer, or the id of an event. */
  function saw(position) {
    if (position > seen) seen = position;
  }

  /** A request with the token. One that the server no longer takes is replaced, once. */
  async function open(path, {headers = {}, ...options} = {}) {
    for (let again = true; ; again = false) {
      const used = token;
      if (!used) throw Object.assign(new Error("You are signed out."), {status: 401});
      const position = seen && {"Consistency-Token": seen};
      const answer = await send(path, {...options, headers: {...headers, ...position, Authorization: `Bearer ${used}`}});
      saw(answer.headers.get("Consistency-Token"));
      if (answer.ok) return answer;
      if (answer.status !== 401 || !again) throw await problemOf(answer);
      if (token === used) await renew();
    }
  }

  return {
    open,
    saw,
    /** The token that requests have now, to see whether it has changed. */
    token: () => token,
    async signIn(id, secret) {
      const client = {client_id: id, client_secret: secret};
      adopt(client, await obtain(client));
    },
    /** Forgets everything at once, and has the server revoke the token. */
    async signOut() {
      const body = login && new URLSearchParams({...login, token});
      forget();
      if (body) await send("auth/revoke", {method: "POST", body, keepalive: true}).catch(() => {});
    },
    async get(path) {
      return (await open(path)).json();
    },
    async post(path, body, headers = {}) {
      const options = {method: "POST", body, headers: {"Content-Type": "application/json", ...headers}};
      return (await open(path, options)).json();
    },
    /** What order-svc says of its parts; it answers 503 when one that it needs is away. */
    async health() {
      return (await send("health", {})).json();
    },
  };
}
